"""An interrupted run: final results stay, running components start again, and the verdicts are those of a whole run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_builder import Answer, soak
from faults_builder import CASE, LIMIT_S, SMALL, begin, cycles_read, latest, read_report, wait_until
from running_builder import a_plan

from soak.grounds import Ground, GroundKind, HoldingCache
from soak.request import Injection, Request
from soak.results import Cause, ComponentResult, Failure, Pacing, TrackerState
from soak.running.run.resumption import find_remainder
from soak.settings import RunPlan, make_plan, plan_from_document, plan_to_document
from soak.store.runs import claimed, open_run
from soak.targets import Target
from soak.verdict import Verdict


def a_result(name: str, **changes: Any) -> ComponentResult:
    result = ComponentResult(
        name=name, target=name, verdict=Verdict.CLEAN, decided_by=None, iterations=100, seconds=1.0,
        iterations_to_verdict=None, seconds_to_verdict=None, since=None, needed_iterations=None, n_min=256,
        stopped_by="budget", gate=True, growth=None, signals={}, causes=(), tracemalloc=None,
        tracker=TrackerState(active=False, reason=None), pacing=Pacing(None, None, 0, 0.0), failure=None, messages=(),
    )  # fmt: skip
    return replace(result, **changes)


def a_cause(holder: HoldingCache | None = None) -> Cause:
    return Cause(
        kind="python-object", confirmed=False, state="held", fingerprint="9f2c41d07a", bytes_per_iteration=106.0,
        blocks_per_iteration=1.0, every=1.0, since=1, holder=holder,
    )  # fmt: skip


def run_plan(*names: str) -> RunPlan:
    components = tuple(a_plan(Target(name, "empty"), budget_s=60.0) for name in names)
    return RunPlan(components, Path("/out"), 1, None, False, (), None, Path("/base"))


def remains(result: ComponentResult | None, cycles_read: int | None = None) -> tuple[bool, str, int | None]:
    """Return whether the result is kept, the reason why not, and the cycles planned."""
    results = {"it": result} if result is not None else {}
    remainder = find_remainder(run_plan("it"), results, {"it": cycles_read})
    return "it" in remainder.kept, remainder.reasons.get("it", ""), remainder.plan.components[0].iterations


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": Verdict.CLEAN},
        {"verdict": Verdict.LEAK},
        {"verdict": Verdict.LEAK, "stopped_by": "signal"},
        {"verdict": Verdict.LEAK, "stopped_by": "guard:fds"},
        {"verdict": Verdict.FAILED, "failure": Failure("cycle", 7, "exception", "ValueError: seven")},
        {"verdict": Verdict.FAILED, "failure": Failure("cycle", 7, "signal", "SIGSEGV")},
        {"verdict": Verdict.FAILED, "failure": Failure("cycle", 7, "hang", "no end")},
        {"verdict": Verdict.INCONCLUSIVE, "needed_iterations": None},
    ],
)
def test_a_final_result_is_kept(changes: dict[str, Any]):
    assert remains(a_result("it", **changes)) == (True, "", 2048)


def test_what_was_cut_off_is_measured_again_from_the_first_cycle():
    """Killed with its parent, stopped in order, killed by itself: each says so in a sentence."""
    killed = Failure("cycle", 1_234, "signal", "SIGKILL")

    assert remains(None, 1_500) == (False, "Cut off after 1,500 cycles and measured again from the first one.", 2048)
    assert remains(a_result("it", stopped_by="signal"))[:2] == (
        False, "Stopped after 100 cycles and measured again from the first one.",
    )  # fmt: skip
    assert remains(a_result("it", verdict=Verdict.FAILED, failure=killed))[:2] == (
        False, "SIGKILL ended its process in cycle 1,234; measured again.",
    )  # fmt: skip


def test_what_a_failed_control_left_unproven_is_measured_again():
    """The next run's controls may pass: the machine was busy, or somebody killed the control's process."""
    unproven = a_result("it", verdict=Verdict.INCONCLUSIVE, grounds=(Ground(GroundKind.CONTROL_FAILED, ("heap",)),))

    assert remains(unproven) == (
        False, "A control that its verdict rests on failed; measured again, as the controls are.", 2048,
    )  # fmt: skip


def paced_remainder(so_far: ComponentResult | None, *, can_resume: bool = True, done: int = 1_000):
    """Return the plan and the reason of a component of 2,048 cycles and 60 s, cut off after ``done`` at 40 a second."""
    target = Target("it", "driver", path="/it.py", can_resume=can_resume)
    component = a_plan(target, budget_s=60.0, interval_s=0.025)
    plan = replace(run_plan(), components=(component,))
    remainder = find_remainder(plan, {}, {"it": done}, {} if so_far is None else {"it": so_far})
    return remainder.plan.components[0], remainder.reasons["it"]


def test_a_paced_component_whose_driver_can_resume_goes_on_at_its_cycle():
    """With what is left of its cycles and of its time; cut off once more, at the sum."""
    so_far = a_result("it", verdict=Verdict.INCONCLUSIVE, iterations=960, seconds=24.0)

    again, reason = paced_remainder(so_far)

    assert (again.resumed_at, again.iterations, again.budget_s) == (1_000, 1_048, 35.0)
    assert "continues at cycle 1,000" in reason
    assert "the earlier cycles are INCONCLUSIVE" in reason
    later = find_remainder(replace(run_plan(), components=(again,)), {}, {"it": 48}, {"it": so_far})
    assert later.plan.components[0].resumed_at == 1_048


@pytest.mark.parametrize(
    ("so_far", "more", "why"),
    [
        (a_result("it", seconds=2.5), {"can_resume": False}, "its driver has no resume(cycle, **settings)"),
        (None, {}, "too little is known"),
        (a_result("it", verdict=Verdict.LEAK, seconds=2.5), {}, "a LEAK so far"),
        (a_result("it", seconds=2.5), {"done": 2_048}, "they were all"),
    ],
)
def test_a_paced_component_that_cannot_go_on_begins_at_its_first_cycle_and_says_why(
    so_far: ComponentResult | None, more: dict[str, Any], why: str
):
    again, reason = paced_remainder(so_far, **more)

    assert (again.resumed_at, again.iterations, again.budget_s) == (0, 2_048, 60.0)
    assert "measured again from the first one" in reason
    assert why in reason


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.SETTLING])
def test_what_was_left_undecided_gets_the_cycles_that_decide(verdict: Verdict):
    """It gets its cycles plus the needed ones, or enough for its n_min; no limit of time, and the same n_min."""
    for needed, cycles in ((9_900, 10_000), (9, 1024)):
        left = a_result("it", verdict=verdict, needed_iterations=needed)

        remainder = find_remainder(run_plan("it"), {"it": left}, {})

        again = remainder.plan.components[0]
        assert (again.iterations, again.budget_s, again.n_min) == (cycles, None, 256)
        assert remainder.reasons == {"it": f"100 cycles left it {verdict.value}; measured again with {cycles:,}."}


@pytest.mark.parametrize(("full_at", "n_min"), [(5_000, 8_500), (100, 256), (None, 256)])
def test_a_cache_that_was_filling_is_not_called_a_leak_before_it_is_full(full_at: int | None, n_min: int):
    """n_min is 1.7 times what the largest known cache takes to fill, and no less than it was."""
    holder = HoldingCache("lru_cache", "palette.lookup", 5_000, 300, full_at)
    left = a_result(
        "it",
        verdict=Verdict.SETTLING,
        needed_iterations=20_900,
        causes=(a_cause(holder), a_cause()),
    )

    again = find_remainder(run_plan("it"), {"it": left}, {}).plan.components[0]

    assert (again.iterations, again.n_min) == (21_000, n_min)


def test_a_component_that_had_not_started_starts_without_a_message():
    remainder = find_remainder(run_plan("it"), {}, {})

    assert (remainder.kept, remainder.reasons) == ({}, {})


def test_a_plan_comes_back_from_the_database_as_it_was(tmp_path: Path):
    """With settings, a planted leak and paths; through JSON, as it is stored."""
    (tmp_path / "drive_it.py").write_text("def setup(size): pass\ndef cycle(state): pass\n", encoding="utf-8")
    request = Request(
        targets=("drive_it.py",), driver_settings={"it": {"size": [1, "a", {"b": None}]}}, nice=3,
        injections={"it": Injection("native", 106, 10)}, max_temperature_c=90.0, on_verdict="mail me",
    )  # fmt: skip
    plan = make_plan(request, tmp_path)

    assert plan_from_document(json.loads(json.dumps(plan_to_document(plan)))) == plan


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    return tmp_path


def verdicts(answer: Answer) -> dict[str, tuple[str, list[str]]]:
    document = read_report(Path(answer.out.splitlines()[-1]))
    assert document["finished"] is not None
    return {entry["name"]: (entry["verdict"], entry["messages"]) for entry in document["components"]}


@pytest.mark.integration
def test_a_killed_run_is_resumed(place: Path):
    """A kill -9 in its second component: the first keeps its result, the second begins again, the third begins."""
    with begin(place, "case.py:leak", "case.py:slow", "case.py:clean", *SMALL) as running:
        wait_until(lambda: cycles_read(place, "slow") > 200)
        children = psutil.Process(running.pid).children(recursive=True)
        running.kill()
    psutil.wait_procs(children, timeout=LIMIT_S)
    with open_run(latest(place)) as store:
        leak_before = store.read_run().components[0]
    (hint,) = re.findall("To go on with it: soak (.*)", soak(place, "show").out)
    (place / "hurry").touch()

    answer = soak(place, *shlex.split(hint))

    assert answer.code == 1
    found = verdicts(answer)
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        "leak": "LEAK",
        "slow": "CLEAN",
        "clean": "CLEAN",
    }
    assert [name for name, (_, messages) in found.items() if messages and messages[0].startswith("Cut off after ")] == [
        "slow"
    ]
    with open_run(latest(place)) as store:
        assert store.read_run().components[0] == leak_before
        cycles = [reading.cycle for reading in store.read_readings("slow")]
        assert cycles == sorted(set(cycles))
        assert (cycles[0], cycles[-1]) == (0, store.read_run().components[1].iterations)


@pytest.mark.integration
@pytest.mark.long
def test_a_run_that_was_stopped_cleanly_is_resumed(place: Path):
    with begin(place, "case.py:slow", *SMALL) as running:
        wait_until(lambda: cycles_read(place, "slow") > 200)
        running.send_signal(signal.SIGTERM)
        assert running.wait(LIMIT_S) == 3

    answer = soak(place, "resume")

    assert answer.code == 0
    assert verdicts(answer)["slow"][1][0].startswith("Stopped after ")


PACED = """
INTERVAL = "1ms"
KEPT = []
def setup(): return {{"begun_at": 0, "leaks": False}}
def resume(cycle): return {{"begun_at": cycle, "leaks": {leaks}}}
def cycle(state):
    if state["leaks"]: KEPT.append(bytes(106))
def teardown(state): print("begun at", state["begun_at"])
"""


@pytest.mark.long
@pytest.mark.integration
@pytest.mark.parametrize(("leaks", "verdict"), [(True, "LEAK"), (False, "CLEAN")])
def test_the_second_piece_of_a_paced_run_is_judged_by_itself(tmp_path: Path, leaks: bool, verdict: str):
    """A leak that only the second process has is a LEAK; without it the run is CLEAN."""
    (tmp_path / "drive_paced.py").write_text(PACED.format(leaks=leaks), encoding="utf-8")
    with begin(tmp_path, "drive_paced.py", "--iterations", "5000", "--n-min", "512") as running:
        wait_until(lambda: cycles_read(tmp_path, "paced") > 100)
        running.send_signal(signal.SIGTERM)
        assert running.wait(LIMIT_S) == 3

    answer = soak(tmp_path, "resume")

    found, messages = verdicts(answer)["paced"]
    assert found == verdict, (messages, answer)
    assert "so another process continues at cycle" in messages[0]
    assert "the earlier cycles are INCONCLUSIVE" in messages[0]


@pytest.mark.integration
@pytest.mark.long
def test_resume_decides_what_was_left_undecided(place: Path):
    """300 cycles of n_min 512 decide nothing; as many as it says it needs do."""
    first = soak(place, "run", "case.py:slow", "--iterations", "300", "--n-min", "512", "--no-track")
    assert first.code == 3

    answer = soak(place, "resume")

    assert answer.code == 0
    assert "300 cycles left it INCONCLUSIVE; measured again with" in verdicts(answer)["slow"][1][0]


@pytest.mark.integration
def test_a_finished_run_has_nothing_left_to_do(place: Path):
    """Its reports are made again, and nothing is measured."""
    first = soak(place, "run", "case.py:clean", *SMALL)
    folder = Path(first.out.splitlines()[-1])
    (folder / "report.json").unlink()
    with open_run(folder) as store:
        before = store.read_run()

    answer = soak(place, "resume", str(folder))

    assert answer.code == 0
    assert verdicts(answer)["clean"][0] == "CLEAN"
    with open_run(folder) as store:
        assert store.read_run().components == before.components
        assert store.read_run().controls == before.controls


@pytest.mark.integration
def test_a_run_that_is_being_measured_is_left_alone(place: Path):
    """Two soaks would write into one series."""
    soak(place, "run", "case.py:clean", *SMALL)

    with claimed(latest(place)):
        answer = soak(place, "resume")

    assert answer.code == 2
    assert answer.err.strip().endswith("is being measured by another soak")


DAMAGES: list[tuple[dict[str, Any], str]] = [
    ({"plan": None}, "has no plan, because an earlier version of soak made it"),
    ({"plan": 5}, "the plan is damaged"),
    ({"plan": {"components": [{}]}}, "the plan is damaged"),
]


@pytest.mark.integration
def test_a_run_that_cannot_be_resumed_says_so(place: Path):
    """Its driver is gone, or its plan is."""
    soak(place, "run", "case.py:clean", *SMALL)
    (place / "case.py").unlink()

    answer = soak(place, "resume")

    assert (answer.code, answer.err) == (2, f"soak: there is no file {place}/case.py any more\n")
    for damage, message in DAMAGES:
        with open_run(latest(place)) as store:
            store.write_facts(**damage)
        answer = soak(place, "resume")
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err
        assert len(answer.err.splitlines()) == 1


@pytest.mark.integration
@pytest.mark.long
def test_a_detached_run_continues_by_itself(place: Path):
    """The command returns at once with process and folder; the run has its own session and writes every report."""
    answer = soak(place, "run", "case.py:slow", *SMALL, "--detach", "--json", "copy.json")
    said, folder = answer.out.splitlines()
    pid = int(said.split()[1])

    assert answer.code == 0
    assert os.getsid(pid) == pid
    wait_until(lambda: (Path(folder) / "report.html").exists() and (place / "copy.json").exists())
    wait_until(lambda: not psutil.pid_exists(pid))
    assert json.loads((place / "copy.json").read_text(encoding="utf-8"))["components"][0]["verdict"] == "CLEAN"
    assert (Path(folder) / "soak.log").read_text(encoding="utf-8").splitlines()[-1] == folder


def test_a_detached_run_has_no_stdout(place: Path):
    answer = soak(place, "run", "case.py:clean", *SMALL, "--detach", "--json", "-")

    assert (answer.code, answer.out) == (2, "")
    assert not (place / "reports").exists()
