"""soak.check, soak.judge and soak.mark, as a program uses them."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_examples import Counter, churn, drop, frames, hold, hold_async, wrapped

import soak
from soak.errors import UsageError
from soak.reporting.words import advise, held_by
from soak.testing.checks import Options
from soak.verdict import Verdict

CYCLES = 1024
SHORT = {"iterations": CYCLES, "n_min": 256, "checkpoint_every": 8}


def test_the_public_names_are_functions_that_come_when_first_used():
    assert soak.__all__ == ["asgi", "check", "explain", "judge", "mark", "wsgi"]
    assert {name: callable(getattr(soak, name)) for name in soak.__all__} == dict.fromkeys(soak.__all__, True)


def test_the_fixture_names_the_options_of_check_with_their_types():
    """Otherwise a type checker would accept any name."""
    options = {name: kind for name, kind in soak.check.__annotations__.items() if name not in ("function", "return")}

    declared = {name: kind.__forward_arg__ for name, kind in Options.__annotations__.items()}

    assert declared == options


def test_importing_soak_imports_nothing_else():
    """The measured process imports soak.inside through it."""
    script = "import sys; before = set(sys.modules); import soak; print(sorted(set(sys.modules) - before))"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "['soak']"


def test_an_unknown_name_is_the_usual_error():
    with pytest.raises(AttributeError, match="module 'soak' has no attribute 'leak'"):
        _ = soak.leak  # type: ignore[attr-defined]


def test_judge_is_the_rule_itself():
    found = soak.judge(range(2049), [112.0 * n for n in range(2049)], tolerance=1, n_min=1024)

    assert (found.verdict, found.rate, found.low, found.high) == ("LEAK", 112, 112, 112)


@pytest.mark.integration
def test_a_function_that_holds_what_it_makes_leaks_in_a_fresh_process():
    result = soak.check(hold, **SHORT)

    assert result.verdict is Verdict.LEAK, result
    assert result.target == f"{Path(hold.__code__.co_filename).relative_to(Path.cwd())}:hold"
    assert result.name == "hold"
    assert [(c.python_where.function, c.confirmed) for c in result.causes if c.python_where] == [("hold", True)]


@pytest.mark.integration
def test_its_repaired_twin_is_clean():
    result = soak.check(drop, **SHORT)

    assert (result.verdict, result.iterations, result.failure) == (Verdict.CLEAN, CYCLES, None)


@pytest.mark.integration
def test_a_coroutine_function_is_one_cycle():
    result = soak.check(hold_async, **SHORT)

    assert result.verdict is Verdict.LEAK


@pytest.mark.integration
def test_a_name_does_as_well_as_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "work.py").write_text("def cycle(state=None): pass\n")
    monkeypatch.chdir(tmp_path)

    result = soak.check("work.py:cycle", iterations=60, name="twin")

    assert (result.name, result.iterations, result.failure) == ("twin", 60, None)


@pytest.mark.integration
@pytest.mark.parametrize("function", [Counter.reset, Counter.look], ids=["class method", "static method"])
def test_what_needs_no_object_of_its_class_is_found_in_a_fresh_process(function):
    result = soak.check(function, iterations=60)

    assert (result.iterations, result.failure) == (60, None)


@pytest.mark.integration
def test_a_generator_that_is_named_fails_for_it_would_run_nothing():
    result = soak.check(f"{Path(frames.__code__.co_filename)}:frames", iterations=10)

    assert result.failure is not None
    assert "frames is a generator: a call does not run its code" in result.failure.detail


@pytest.mark.integration
def test_a_c_function_is_found_with_its_place(framing: Path, monkeypatch: pytest.MonkeyPatch):
    """The leaking call and its repaired twin, in a real extension."""
    monkeypatch.syspath_prepend(str(framing))
    import framing as extension

    leaking, repaired = (soak.check(f, **SHORT) for f in (extension.leaking_decode, extension.repaired_decode))

    assert leaking.verdict is Verdict.LEAK
    assert leaking.growth is not None
    assert leaking.growth.requested_bytes_per_iteration == pytest.approx(106, rel=0.01)
    where = leaking.causes[0].where
    assert where is not None
    assert (where.function, Path(where.file or "").name) == ("decode", "framing.c")
    assert repaired.verdict is Verdict.CLEAN


@pytest.mark.integration
@pytest.mark.long
@pytest.mark.parametrize(("tolerance", "verdict"), [("64B", Verdict.LEAK), ("1KiB", Verdict.CLEAN)])
def test_a_tolerance_accepts_what_is_lost_and_what_is_held(
    tolerance: str, verdict: Verdict, framing: Path, monkeypatch: pytest.MonkeyPatch
):
    """106 B per call in C that nothing points to, and the same amount that a list holds."""
    monkeypatch.syspath_prepend(str(framing))
    import framing as extension

    results = [soak.check(function, tolerance=tolerance, **SHORT) for function in (extension.leaking_decode, hold)]

    assert [result.verdict for result in results] == [verdict, verdict], results


@pytest.mark.integration
def test_what_a_check_raises_is_in_its_result():
    result = soak.check("math:sqrt", iterations=10)

    assert result.verdict is Verdict.FAILED
    assert result.failure is not None
    assert (result.failure.phase, result.failure.cycle) == ("cycle", 1)
    assert "TypeError" in result.failure.detail


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: None, "exists only inside a function"),
        (Counter().count, "the object that it is bound to exists in this process only"),
        (wrapped, "is not this object"),
        (functools.partial(drop), "it has no module and name"),
    ],
    ids=["lambda", "bound method", "wrapped", "partial"],
)
def test_what_a_fresh_process_cannot_import_is_refused_with_a_way_out(function, said: str):
    with pytest.raises(UsageError, match=said) as raised:
        soak.check(function)

    assert "isolate=False" in str(raised.value)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize(
    ("function", "said"),
    [(drop(), "None is not a function; give the function itself"), (frames, "is a generator: a call does not run")],  # type: ignore[func-returns-value]
    ids=["what a call returned", "generator"],
)
def test_what_does_nothing_when_it_is_called_is_refused(function, said: str, isolate: bool):
    """Otherwise it would be CLEAN, because nothing was run."""
    with pytest.raises(UsageError, match=said):
        soak.check(function, isolate=isolate)


@pytest.mark.parametrize(
    "options",
    [{"tolerance": 0}, {"iterations": 0}, {"n_min": -1}, {"budget": "soon"}, {"settings": {"a": 1}}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_cannot_be_met_are_refused(options):
    with pytest.raises(UsageError):
        soak.check(hold, **options)


@pytest.mark.parametrize(
    "options", [{"python": sys.executable}, {"interval": "1s"}, {"settings": {"a": 1}}], ids=lambda o: next(iter(o))
)
def test_in_process_takes_no_options_of_another_process(options):
    with pytest.raises(UsageError, match="isolate=False"):
        soak.check(hold, isolate=False, **options)


@pytest.mark.integration
def test_a_script_that_checks_itself_is_told_where_to_put_the_call(tmp_path: Path):
    """Otherwise each fresh process would start another."""
    script = tmp_path / "script.py"
    script.write_text("import soak\ndef f(): pass\nprint(soak.check(f, iterations=300).failure.detail)\n")

    answer = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert "if __name__ == '__main__':" in answer.stdout


@pytest.mark.integration
def test_in_process_a_closure_that_leaks_is_found_with_its_line():
    kept: list[object] = []

    result = soak.check(lambda: kept.append(object()), isolate=False, **SHORT)

    assert result.verdict is Verdict.LEAK
    assert result.decided_by == "counter:python_blocks"
    assert result.signals["python_blocks"].per_iteration == pytest.approx(1, abs=0.01)
    assert result.causes[0].python_where is not None
    assert result.causes[0].python_where.file == __file__
    assert result.messages[-1] == (
        "Judged in the process of the caller, by heap, python_blocks, fds, threads, children, mapped, rss."
    )


class Registry:
    """Keeps an object for each call."""

    def __init__(self) -> None:
        self.entries: dict[int, Registry | None] = {}

    def register(self) -> None:
        self.entries[len(self.entries)] = entry = Registry()
        entry.entries[0] = None


@pytest.mark.integration
def test_in_process_the_holder_of_objects_is_named():
    """The path leads from the function's own object, or from its closure, to one of the objects that stay."""
    kept: list[Registry] = []

    of_method = soak.check(Registry().register, isolate=False, **SHORT).causes[0]
    of_closure = soak.check(lambda: kept.append(Registry()), isolate=False, **SHORT).causes[0]

    assert (of_method.kind, of_method.state) == (of_closure.kind, of_closure.state) == ("python-object", "held")
    assert held_by(of_method)[1].startswith("Registry.entries, a dict of ")
    assert advise(of_method).startswith("They are held by Registry.entries, a dict of ")
    assert any(".kept, a list of " in step for step in held_by(of_closure))


@pytest.mark.integration
def test_in_process_objects_that_gc_does_not_know_have_no_holder():
    """Bytes are in none of gc's lists, so objgraph finds no path to them, and soak invents none."""
    kept: list[bytes] = []

    cause = soak.check(lambda: kept.append(bytes(50)), isolate=False, **SHORT).causes[0]

    assert (cause.state, held_by(cause), cause.chain) == ("unknown", (), ())


@pytest.mark.integration
def test_in_process_its_twin_is_clean_and_so_is_soak_itself():
    """The readings, judgements and checkpoints of the check leave nothing behind."""
    result = soak.check(churn, isolate=False, **SHORT)

    assert (result.verdict, result.iterations) == (Verdict.CLEAN, CYCLES)
    assert result.signals["python_blocks"].high is not None
    assert result.signals["python_blocks"].high < 0.01
    assert result.tracker.active is False


@pytest.mark.integration
def test_in_process_file_descriptors_count(tmp_path: Path):
    files = []

    result = soak.check(lambda: files.append((tmp_path / "x").open("w")), isolate=False, iterations=700, n_min=512)
    for file in files:
        file.close()

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:fds")
    assert [(group.kind, group.name) for group in result.causes[0].opened] == [("file", str(tmp_path / "x"))]


@pytest.mark.integration
def test_in_process_a_coroutine_is_awaited():
    calls = []

    async def cycle() -> None:
        await asyncio.sleep(0)
        calls.append(None)

    result = soak.check(cycle, isolate=False, iterations=300)

    assert result.iterations == len(calls) == 300


def test_in_process_what_the_function_raises_passes_through():
    with pytest.raises(ZeroDivisionError):
        soak.check(lambda: 1 / 0, isolate=False, iterations=300)


def test_mark_does_nothing_where_there_is_no_tracker():
    assert [soak.mark() for _ in range(3)] == [None, None, None]
