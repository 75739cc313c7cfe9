"""The controls of a run: every kind that a run judges is planted and found again, or what rests on it is not proven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from running_builder import context

from soak.results import Controls, Failure
from soak.running.context import find_library
from soak.running.run import controls_of_run
from soak.running.run.control_process import Stretch, measure_stretches
from soak.running.run.controls import judge_stretches, run_controls
from soak.running.run.controls_of_run import ControlsOfRun
from soak.running.run.kept_controls import find_kept, keep

pytestmark = pytest.mark.integration

VERSIONS = Path.home() / ".pyenv" / "versions"
OTHERS = [python for version in ("3.9", "3.12", "3.13") for python in sorted(VERSIONS.glob(f"{version}.*/bin/python"))]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Controls:
    library, _ = find_library()
    here = replace(context(tmp_path_factory.mktemp("controls")), tracker_library=library)
    return run_controls(here)


@pytest.fixture(scope="module")
def measured_stretches(tmp_path_factory: pytest.TempPathFactory) -> list[Stretch]:
    library, _ = find_library()
    return measure_stretches(replace(context(tmp_path_factory.mktemp("stretches")), tracker_library=library))


def test_every_kind_is_found_again_within_two_percent(measured: Controls):
    assert measured.ok
    assert measured.failed_signals == frozenset()
    assert {spike.signal for spike in measured.spike.of_kinds} == {
        "python_blocks",
        "fds",
        "threads",
        "children",
        "mapped",
    }
    for spike in measured.spike.of_kinds:
        assert spike.recovered == pytest.approx(spike.planted, rel=0.02)
    assert measured.spike.recovered_allocated == pytest.approx(128, rel=0.02)


@pytest.mark.parametrize(
    "python",
    [pytest.param(one, marks=[] if one is OTHERS[-1] else pytest.mark.long) for one in OTHERS],
    ids=lambda python: python.parts[-3],
)
def test_the_controls_pass_under_other_interpreters(tmp_path: Path, python: Path):
    """They map arenas of other sizes, and some have frozen objects of their own."""
    library, _ = find_library()

    found = run_controls(replace(context(tmp_path, str(python)), tracker_library=library))

    assert found.failed_signals == frozenset(), found


def test_a_leak_that_is_not_found_as_planted_fails_its_signal_alone(measured_stretches: list[Stretch]):
    """Twice as many descriptors are expected as are leaked, so they are not found again."""
    wrong = [
        replace(
            one, planted=tuple((kind, size, every // 2 if kind == "fd" else every) for kind, size, every in one.planted)
        )
        for one in measured_stretches
    ]

    found = judge_stretches(wrong)

    assert not found.ok
    assert found.failed_signals == {"fds"}
    assert {spike.signal: spike.ok for spike in found.spike.of_kinds} == {
        **dict.fromkeys(("python_blocks", "children", "mapped", "threads"), True),
        "fds": False,
    }


def test_an_empty_cycle_that_grows_fails_the_blank(measured_stretches: list[Stretch]):
    """The readings of the stretch in which memory is planted stand in for those of the empty cycle."""
    _, native, *others = measured_stretches

    found = judge_stretches([native, native, *others])

    assert not found.blank.ok
    assert {"heap", "tracked"} <= set(found.blank.failed_signals)
    assert found.spike.ok


def test_planted_memory_that_is_not_seen_fails_the_spike(measured_stretches: list[Stretch]):
    """The readings of the empty cycle stand in for those of the stretch in which memory is planted."""
    blank, _, *others = measured_stretches

    found = judge_stretches([blank, blank, *others])

    assert found.blank.ok
    assert found.spike.failed_signals == ("tracked", "heap")


def test_a_process_that_fails_fails_every_control(measured_stretches: list[Stretch]):
    """What was read until then says nothing."""
    failure = Failure("cycle", 5, "signal", "SIGKILL")

    found = judge_stretches([replace(one, failure=failure) for one in measured_stretches])

    assert not found.blank.ok
    assert not found.spike.ok
    assert not any(spike.ok for spike in found.spike.of_kinds)


def test_controls_that_passed_hold_for_the_next_run_that_measures_in_the_same_way(
    measured: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = context(tmp_path)
    assert find_kept(here) is None

    keep(here, measured)

    assert find_kept(here) == replace(measured, is_kept=True)
    assert find_kept(replace(here, tracker_library=Path("another"))) is None
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert find_kept(here) is None


def test_controls_that_failed_are_not_kept(measured: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    keep(context(tmp_path), replace(measured, blank=replace(measured.blank, ok=False)))

    assert find_kept(context(tmp_path)) is None


def test_kept_controls_that_are_damaged_are_measured_again(
    measured: Controls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep(context(tmp_path), measured)
    (kept,) = (tmp_path / "cache" / "soak").iterdir()
    kept.write_text('{"blank": 1}', encoding="utf-8")

    assert find_kept(context(tmp_path)) is None


@pytest.fixture
def counted(measured: Controls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Controls]:
    """Where a run would measure controls, count how often."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    times: list[Controls] = []

    def count(_: object) -> Controls:
        times.append(measured)
        return measured

    monkeypatch.setattr(controls_of_run, "run_controls", count)
    return times


def test_a_run_that_is_clean_measures_controls_once_and_the_next_one_takes_them(
    counted: list[Controls], tmp_path: Path
):
    told: list[Controls] = []
    for _ in range(2):
        controls = ControlsOfRun(context(tmp_path), told.append, may_be_kept=True)
        assert controls.failed_signals() == frozenset()
        controls.close()

    assert len(counted) == 1
    assert [found.is_kept for found in told] == [False, True]


def test_a_run_that_finds_growth_measures_its_own_controls(counted: list[Controls], tmp_path: Path, measured: Controls):
    keep(context(tmp_path), measured)
    told: list[Controls] = []
    controls = ControlsOfRun(context(tmp_path), told.append, may_be_kept=True)
    assert counted == []

    controls.measure_own()
    controls.measure_own()
    controls.close()

    assert len(counted) == 1
    assert [found.is_kept for found in told] == [True, False]


def test_a_run_to_the_end_of_its_budget_measures_its_own_controls(
    counted: list[Controls], tmp_path: Path, measured: Controls
):
    keep(context(tmp_path), measured)

    controls = ControlsOfRun(context(tmp_path), lambda _: None, may_be_kept=False)
    controls.close()

    assert len(counted) == 1
