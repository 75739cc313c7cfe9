"""What setup has made is replaced: no leak while it goes on, CLEAN afterwards, and a leak beside it is a leak."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, context

from soak.grounds import GroundKind
from soak.results import ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

RING = """
RING = [bytes(100 + i % 7) for i in range(3000)]
N, SEEN = 0, {}
def cycle():
    global N
    RING[N % 3000] = bytes(100 + N % 7)
    N += 1
"""
# CPython enlarges the table of this dict once, after 3,922 cycles: all memory then has a step.
DICT = """
FIRST, SEEN = {}, {}
N = 0
for N in range(7000):
    FIRST[f"name{N}"] = None
def cycle():
    global N
    N += 1
    del FIRST[next(iter(FIRST))]
    FIRST[f"name{N}"] = None
"""
# Where code takes something, even nothing, the leak has to be told by counting.
LEAK = "    SEEN[str(N)] = bytes(60)\n    SEEN.pop(None, None)\n"


def soak_ring(folder: Path, text: str, cycles: int, n_min: int = 512) -> ComponentResult:
    (folder / "it.py").write_text(text, encoding="utf-8")
    plan = a_plan(find_targets(["it.py:cycle"], folder)[0], iterations=cycles, n_min=n_min, checkpoint_every=16)
    library, reason = find_library()
    bare = context(folder)
    tracked = RunContext(bare.interpreter, folder, bare.stopping, library, reason)
    return make_result(plan, soak_component(plan, tracked), None, bare.interpreter)


def test_a_ring_that_is_not_all_replaced_is_no_leak_yet_and_says_what_would_decide(tmp_path: Path):
    result = soak_ring(tmp_path, RING, 2000)

    assert (result.verdict, result.grounds[0].kind) == (Verdict.INCONCLUSIVE, GroundKind.REPLACING)
    assert result.grounds[0].proven_rate == pytest.approx(136, rel=0.1)  # with its header
    assert not any(cause.confirmed for cause in result.causes)
    assert result.needed_iterations == pytest.approx(2000 + 2 * 1000, rel=0.3)


@pytest.mark.parametrize("cycles", [5000, 6000])
def test_a_step_of_all_memory_does_not_hide_that_entries_are_replaced(tmp_path: Path, cycles: int):
    result = soak_ring(tmp_path, DICT, cycles, 450)

    assert (result.verdict, result.grounds[0].kind) == (Verdict.INCONCLUSIVE, GroundKind.REPLACING)


def test_a_leak_beside_the_dict_is_a_leak(tmp_path: Path):
    result = soak_ring(tmp_path, DICT + LEAK.replace("bytes(60)", "bytes(600)"), 6000, 450)

    assert result.verdict is Verdict.LEAK


@pytest.mark.long
def test_a_ring_that_was_all_replaced_long_ago_is_clean(tmp_path: Path):
    assert soak_ring(tmp_path, RING, 8000).verdict is Verdict.CLEAN


def test_a_leak_beside_the_ring_is_a_leak_at_once(tmp_path: Path):
    result = soak_ring(tmp_path, RING + LEAK, 2000)

    assert result.verdict is Verdict.LEAK
    assert result.causes[0].confirmed
