"""The bench of the peers, without measuring: right answers, the output of a peer, and the page."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
CASES = sorted((BENCHMARKS / "cases").glob("*.py"))
MEMRAY_REPORT = """\
M.                                            [100%]
=================== FAILURES ===================
----------- memray-leaked-memory ---------------
List of leaked allocations:
    - 12.0KiB allocated here:
        parse:/x/case.py:9
    - 103.5KiB allocated here:
        malloc:<unknown>:0
        keep:/x/case.py:17
        ...
=================== MEMRAY REPORT ==============
    - 900.0KiB allocated here:
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the scripts on the path, as when they are run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def make_case(**expect: Any) -> Any:
    """Return a case with these expectations; by default, a leak in ``keep``."""
    from peers.cases import Case

    told = {"verdict": "leak", "bytes_per_iter": 106, "heap_per_iter": 128, "where_any": ["keep"], **expect}
    return Case("case", "planted" if told["verdict"] == "leak" else "look-alike", Path("case.py"), "iteration", told)


def make_answer(verdict: str = "LEAK", **fields: Any) -> Any:
    """Return an answer; by default, a leak of 106 B per call in ``keep``."""
    from peers.tools import Answer

    told = {"cycles": 1000, "seconds": 2.0, "rate": 106.0, "place": "keep at case.py:17", "peak_bytes": 2**20}
    return Answer(verdict, **{"seconds_of_loop": 1.0, **told, **fields})


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_case_says_what_is_right_and_every_planted_leak_has_its_repaired_twin(file: Path):
    from peers.cases import read_case

    case = read_case(file, "planted", file.stem)
    functions = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}

    assert case.leaks == file.stem.startswith("planted_")
    assert ("repaired" in functions) == case.leaks
    assert "iteration" in functions
    if case.leaks:
        assert case.expect["where_any"]
        assert case.byte_rates


def test_names_that_say_where_are_not_names_of_the_call_itself():
    """``iteration`` is on every stack, so naming it would be right by accident."""
    from peers.cases import read_case

    for file in CASES:
        assert "iteration" not in read_case(file, "planted", file.stem).expect.get("where_any", ())


def test_a_case_without_a_word_on_what_is_right_is_refused(tmp_path: Path):
    from peers.cases import read_case

    file = tmp_path / "case.py"
    file.write_text("def iteration():\n    pass\n")
    with pytest.raises(ValueError, match="no EXPECT"):
        read_case(file, "planted", "case")


def test_drivers_that_may_grow_are_left_out():
    from peers.cases import driver_cases

    names = [case.name for case in driver_cases(ROOT / "standalone_tests")]

    assert "decoder" in names
    assert "display new figure" not in names


@pytest.mark.parametrize(
    ("expected", "said", "verdict"),
    [
        ("leak", "LEAK", "right"),
        ("leak", "CLEAN", "wrong"),
        ("leak", "SETTLING", "wrong"),
        ("leak", "INCONCLUSIVE", "undecided"),
        ("leak", "FAILED", "undecided"),
        ("clean", "CLEAN", "right"),
        ("clean", "SETTLING", "right"),
        ("clean", "LEAK", "wrong"),
    ],
)
def test_verdicts_are_judged(expected: str, said: str, verdict: str):
    from peers.scores import judge

    assert judge(make_case(verdict=expected), "soak", make_answer(said)).verdict == verdict


def test_the_place_counts_only_of_a_leak_that_was_found():
    from peers.scores import judge

    assert judge(make_case(), "soak", make_answer()).place is True
    assert judge(make_case(), "soak", make_answer(place="iteration at case.py:3")).place is False
    assert judge(make_case(), "soak", make_answer("CLEAN")).place is None
    assert judge(make_case(verdict="clean"), "soak", make_answer()).place is None
    assert judge(make_case(), "psleak", make_answer(place="")).place is None


def test_the_rate_is_compared_with_the_nearest_true_one():
    from peers.scores import judge

    assert judge(make_case(), "soak", make_answer(rate=127.36)).rate_error == pytest.approx(0.005)
    assert judge(make_case(), "soak", make_answer(rate=None)).rate_error is None
    descriptors = make_case(bytes_per_iter=None, heap_per_iter=None, fds_per_iter=2)
    assert judge(descriptors, "soak", make_answer(rate=1.5, unit="fds")).rate_error == pytest.approx(0.25)
    assert judge(descriptors, "soak", make_answer(rate=1.5)).rate_error is None


def test_what_could_not_be_asked_counts_nowhere():
    from peers.scores import judge, summarise

    scores = [judge(make_case(), "psleak", None, "not installed"), judge(make_case(), "soak", make_answer())]

    assert scores[0].verdict == "skipped"
    assert summarise(scores, "psleak")["leaks"] == 0
    assert summarise(scores, "soak")["found"] == 1


def test_the_best_peer_is_one_that_is_right():
    from peers.scores import best_peer, judge

    case = make_case()
    scores = [
        judge(case, "soak", make_answer(cycles=10)),
        judge(case, "psleak", make_answer("CLEAN", cycles=20)),
        judge(case, "pytest-memray", make_answer(cycles=30)),
        judge(case, "tracemalloc", make_answer(cycles=40)),
    ]

    assert best_peer(scores, case, "cycles") == (30.0, "pytest-memray")
    assert best_peer(scores[:2], case, "cycles") is None


def test_a_peer_that_flags_the_repaired_twin_has_not_found_the_leak():
    from dataclasses import replace

    from peers.scores import best_peer, judge, summarise

    case = make_case()
    twin = replace(case, name="case, repaired", group="repaired", expect={"verdict": "clean"})
    scores = [judge(case, "tracemalloc", make_answer()), judge(twin, "tracemalloc", make_answer())]

    assert best_peer(scores, case, "cycles") is None
    assert summarise(scores, "tracemalloc")["found"] == 1
    assert summarise(scores, "tracemalloc")["told apart"] == 0


def test_a_tool_may_be_right_for_another_reason():
    from peers.scores import blames_something_else, judge

    case = make_case()
    told = {"rate": None, "place": ""}

    assert blames_something_else(judge(case, "psleak", make_answer(told="detected 1 unclosed thread", **told)))
    assert not blames_something_else(judge(case, "psleak", make_answer(told="1 unclosed file descriptor", **told)))
    assert not blames_something_else(judge(case, "psleak", make_answer(told="memory kept increasing", place="")))
    assert blames_something_else(judge(case, "tracemalloc", make_answer(place="elsewhere")))
    assert not blames_something_else(judge(case, "tracemalloc", make_answer()))


def test_leaked_locations_are_read_from_what_pytest_memray_prints():
    from peers.tools import read_memray

    assert read_memray(MEMRAY_REPORT) == [
        (12.0 * 1024, "parse:/x/case.py:9\n"),
        (103.5 * 1024, "malloc:<unknown>:0\nkeep:/x/case.py:17\n...\n"),
    ]
    assert read_memray("..  [100%]") == []


def test_soaks_answer_is_its_first_confirmed_cause():
    from peers.tools import Finished, read_component

    def cause(function: str, *, confirmed: bool) -> dict[str, Any]:
        where = {"function": function, "file": "case.py", "line": 1, "module": None, "package": None}
        return {"confirmed": confirmed, "where": where, "python_where": None, "stack": [], "held_by": [], "type": None}

    component = {
        "verdict": "LEAK",
        "iterations": 500,
        "iterations_to_verdict": 400,
        "seconds": 3.0,
        "seconds_to_verdict": 2.0,
        "why": "It grows.",
        "growth": {"bytes_per_iteration": None, "per_iteration": 1.0, "unit": "fds"},
        "causes": [cause("suspected", confirmed=False), cause("proven", confirmed=True)],
    }
    answer = read_component(component, Finished("", 9.0, 2**20, False), 77)

    assert (answer.cycles, answer.seconds, answer.seconds_of_loop) == (400, 9.0, 2.0)
    assert (answer.rate, answer.unit) == (1.0, "fds")
    assert answer.place.startswith("proven")


def test_answers_that_were_kept_are_judged_and_not_asked_again(tmp_path: Path):
    import against_peers
    from peers.environments import Environments
    from peers.scores import judge

    bench = against_peers.Bench(Environments(tmp_path, None))
    case = make_case()
    document = against_peers.to_document([judge(case, "soak", make_answer())], bench)
    again = against_peers.Bench(Environments(tmp_path, None))
    again.take_answers(document)

    assert list(again.ask([case], ["soak"])) == [judge(case, "soak", make_answer())]


def test_the_page_keeps_what_soak_got_wrong():
    from peers import page
    from peers.scores import judge

    case = make_case()
    scores = [
        judge(case, "soak", make_answer(place="elsewhere /deep/folder/of/case.py 3")),
        judge(case, "tracemalloc", make_answer("CLEAN", rate=None)),
    ]
    text = page.render(scores, {"soak": "0.1.0"}, date(2026, 1, 2))

    assert "02 January 2026. soak 0.1.0." in text
    assert "- case: found, but the place named first is elsewhere case.py 3" in text
    assert "| case | soak | ● | LEAK | 1,000 | 2.0 | wrong | 0 % | 1 MiB | |" in text
    assert "| | tracemalloc | ✕ | CLEAN |" in text


def test_the_figure_is_an_svg_with_a_mark_for_each_answer():
    from peers import page
    from peers.scores import judge

    drawn = page.draw([judge(make_case(), "soak", make_answer()), judge(make_case(), "psleak", None, "not installed")])
    texts = "".join(ET.fromstring(drawn).itertext())

    assert "●" in texts
    assert "place ✓, 2.0 s" in texts
    assert "–" in texts


def test_a_command_is_watched_to_its_end(tmp_path: Path):
    import sys

    from peers.tools import run

    finished = run([sys.executable, "-c", "import time; x = bytearray(30_000_000); time.sleep(0.5)"], tmp_path, {})

    assert not finished.timed_out
    assert finished.seconds > 0.4
    assert finished.peak_bytes > 30_000_000
