"""The controls of a run: every kind that a run judges is planted and found again, or what rests on it is not proven."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from running_builder import context

from soak.results import Controls
from soak.running.component.ledger_reader import find_library
from soak.running.run import controls as controls_module
from soak.running.run.controls import run_controls

pytestmark = pytest.mark.integration

VERSIONS = Path.home() / ".pyenv" / "versions"
OTHERS = [python for version in ("3.9", "3.12", "3.13") for python in sorted(VERSIONS.glob(f"{version}.*/bin/python"))]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Controls:
    library, _ = find_library()
    here = dataclasses.replace(context(tmp_path_factory.mktemp("controls")), tracker_library=library)
    return run_controls(here)


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


@pytest.mark.parametrize("python", OTHERS, ids=lambda python: python.parts[-3])
def test_the_controls_pass_under_other_interpreters(tmp_path: Path, python: Path):
    """They map arenas of other sizes, and some have frozen objects of their own."""
    library, _ = find_library()

    found = run_controls(dataclasses.replace(context(tmp_path, str(python)), tracker_library=library))

    assert found.failed_signals == frozenset(), found


def test_a_leak_that_is_not_found_as_planted_fails_its_signal_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Twice as many descriptors are expected as are leaked, so they are not found again."""
    monkeypatch.setattr(
        controls_module,
        "CONTROL",
        [(kind, size, every // 2 if kind == "fd" else every) for kind, size, every in controls_module.CONTROL],
    )

    found = run_controls(context(tmp_path))

    assert not found.ok
    assert found.failed_signals == {"fds"}
    assert {spike.signal: spike.ok for spike in found.spike.of_kinds} == {
        **dict.fromkeys(("python_blocks", "children", "mapped", "threads"), True),
        "fds": False,
    }
