"""Reference cycles: named with their types and drawn, as a peak where collections remove them, else as the leak."""

from __future__ import annotations

from pathlib import Path

import pytest
from attribution_builder import interpreter_of, soak_text

from soak.attribution.pointers.reference_cycles import describe_ring
from soak.reporting.words import advise, held_by
from soak.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.native]

VERSIONS = ("3.8", "3.11", "3.13")
SOME = (pytest.param("3.8", marks=pytest.mark.long), "3.11", "3.13")
SOON = 128

RINGS = """
    import gc
    {before}
    class Frame:
        pass
    class Node:
        pass
    def cycle(state):
        frame, node = Frame(), Node()
        frame.parent = node
        node.children = [frame]
        {after}
"""
IN_A_LINE = {
    "Frame → .parent → Node → .children[0] → Frame",
    "Node → .children[0] → Frame → .parent → Node",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_peak_that_collections_remove_is_said_with_its_types(tmp_path: Path, version: str):
    result = soak_text(
        tmp_path,
        RINGS.format(before="", after=""),
        interpreter_of(version),
        cycles=2000,
        n_min=SOON,
        checkpoint_every=25,
    )

    assert (result.verdict, result.failure, result.iterations) == (Verdict.CLEAN, None, 2000)
    assert result.garbage is not None
    assert result.garbage.cycles == 64
    assert {name: n for name, n in result.garbage.types.items() if name != "dict"} == {
        "Frame": 64,
        "Node": 64,
        "list": 64,
    }
    assert describe_ring(result.garbage.ring) in IN_A_LINE
    assert any("a peak, not a leak" in message and "64 Frame" in message for message in result.messages)


def test_without_reference_cycles_nothing_is_said_of_garbage(tmp_path: Path):
    """The twin: each reference cycle is broken at the end, and no further cycles are run."""
    text = RINGS.format(before="runs = []", after="del frame.parent; open('runs', 'a').write('x')")

    result = soak_text(tmp_path, text, cycles=2000, n_min=SOON, checkpoint_every=25)

    assert (result.verdict, result.garbage) == (Verdict.CLEAN, None)
    assert not [message for message in result.messages if "garbage" in message]
    assert (tmp_path / "runs").stat().st_size == 2000


@pytest.mark.parametrize("version", SOME)
def test_with_collections_off_the_cycle_itself_is_the_holder(tmp_path: Path, version: str):
    result = soak_text(tmp_path, RINGS.format(before="gc.disable()", after=""), interpreter_of(version), n_min=SOON)

    cause = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert result.verdict is Verdict.LEAK
    assert (cause.kind, cause.state) == ("reference-cycle", "held")
    assert held_by(cause)[0].removeprefix("each other: ") in IN_A_LINE or "dict" in held_by(cause)[0]
    assert {node.type for node in cause.ring} >= {"Frame", "Node", "list"}
    assert cause.ring[0].type == cause.ring[-1].type
    assert any("drive_it.py:" in str(node.allocated_at) for node in cause.ring)
    assert f"The cycle: {describe_ring(cause.ring)}." in advise(cause)


def test_what_a_root_holds_is_not_called_a_reference_cycle_because_collections_are_off(tmp_path: Path):
    """The twin: the same objects in a list."""
    text = RINGS.format(before="gc.disable(); kept = []", after="kept.append(frame)")

    result = soak_text(tmp_path, text, n_min=SOON)

    causes = [cause for cause in result.causes if held_by(cause)]
    assert result.verdict is Verdict.LEAK
    assert "python-object" in {cause.kind for cause in causes}
    assert any(held_by(cause)[0].startswith("drive_it.kept, a list of ") for cause in causes)


@pytest.mark.parametrize("version", SOME)
def test_what_gc_found_and_keeps_is_uncollectable(tmp_path: Path, version: str):
    text = RINGS.format(before="gc.set_debug(gc.DEBUG_SAVEALL)", after="")

    result = soak_text(tmp_path, text, interpreter_of(version), n_min=SOON)

    cause = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert result.verdict is Verdict.LEAK
    assert (cause.kind, held_by(cause)[0].split(",")[0]) == ("reference-cycle", "gc.garbage")
    assert "gc.garbage, where they stay" in advise(cause)
    assert describe_ring(cause.ring) in advise(cause)


@pytest.mark.parametrize(
    "end",
    [
        "import sys; sys.exit(3)",
        *(pytest.param(end, marks=pytest.mark.long) for end in ("raise ValueError(1)", "raise SystemExit(3)")),
    ],
)
def test_a_cycle_that_fails_afterwards_is_no_failure(tmp_path: Path, end: str):
    """The unmeasured cycles end there; the result of the run does not change."""
    after = f"Node.calls = getattr(Node, 'calls', 0) + 1\n        if Node.calls > 2000: {end}"

    result = soak_text(tmp_path, RINGS.format(before="", after=after), cycles=2000, n_min=SOON, checkpoint_every=25)

    assert (result.verdict, result.failure, result.iterations) == (Verdict.CLEAN, None, 2000)


def test_collections_are_as_they_were_when_teardown_runs(tmp_path: Path):
    text = RINGS.format(before="", after="") + (
        "    def teardown(state):\n"
        "        assert (gc.isenabled(), gc.get_debug(), gc.garbage) == (True, 0, [])\n"
        "        open('torn down', 'w').close()\n"
    )

    result = soak_text(tmp_path, text, cycles=2000, n_min=SOON, checkpoint_every=25)

    assert (result.failure, (tmp_path / "torn down").exists()) == (None, True)
    assert result.garbage is not None
