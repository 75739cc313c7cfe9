"""The controls of a run begin when memory grows at first, or a scan finds lost blocks: a LEAK then waits less."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, context

from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

LOSES = "import ctypes\nC = ctypes.CDLL(None)\nC.malloc.restype = ctypes.c_void_p\ndef cycle():\n    C.malloc(106)\n"
GIVES_BACK = (
    LOSES.replace("C.malloc(106)", "C.free(C.malloc(106))")
    + "C.free.argtypes = (ctypes.c_void_p,)\nC.free.restype = None\n"
)


def soak(folder: Path, text: str) -> tuple[list[ComponentProgress], Observations]:
    (folder / "it.py").write_text(text, encoding="utf-8")
    plan = a_plan(find_targets(["it.py:cycle"], folder)[0], iterations=600, checkpoint_every=4)
    library, reason = find_library()
    bare = context(folder)
    told: list[ComponentProgress] = []
    observed = soak_component(
        plan, RunContext(bare.interpreter, folder, bare.stopping, library, reason), on_progress=told.append
    )
    return told, observed


def test_what_may_be_lost_is_told_no_later_than_a_second_look_proves_it(tmp_path: Path):
    told, observed = soak(tmp_path, LOSES)

    lost = observed.evidence.lost
    assert lost is not None
    assert observed.decision.verdict is Verdict.LEAK
    # Progress is told now and then: on a busy machine perhaps not between the two looks.
    assert min(each.cycles for each in told if each.may_leak) <= lost.at_cycle


def test_of_what_is_given_back_nothing_is_told(tmp_path: Path):
    told, observed = soak(tmp_path, GIVES_BACK)

    assert observed.evidence.lost is None
    assert not any(each.may_leak for each in told)
