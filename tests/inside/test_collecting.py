"""Collections at checkpoints: those of large programs leave out what is old, and never hide garbage as growth."""

from __future__ import annotations

import os
import subprocess

import pytest
from inside_builder import ROOT, VERSIONS, python_of

IN_A_LARGE_PROGRAM = """
import gc, sys
from soak.inside.counting import collecting
collecting._SLOW_NS = 0
class Node:
    def __init__(self): self.me = self
old = [Node() for _ in range(100)]
frozen_at_start = gc.get_freeze_count()
collector = collecting.Collector()
assert collector.may_collect()
collector.collect()
collector.collect()
collector.remember(10, 10)
"""


def ask(code: str, version: str = "3.11") -> str:
    """Run code after that of a large program, and return what it prints."""
    answer = subprocess.run(
        [python_of(version), "-c", IN_A_LARGE_PROGRAM + code],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_new_garbage_is_collected_and_old_objects_are_left_out(version: str):
    code = """
new = [Node() for _ in range(30)]
del old, new
print(collector.is_frozen, collector.may_collect(), collector.collect() >= 30, gc.get_freeze_count() > 100)
"""
    assert ask(code, version) == "True True True True"


@pytest.mark.parametrize("version", VERSIONS)
def test_before_a_reading_that_is_higher_than_all_before_everything_is_collected(version: str):
    """Old objects that have become garbage are then no growth."""
    code = """
del old
collector.collect()
print(*[collector.must_collect_all(5, *memory) for memory in ((10, 10), (11, 10), (10, 11))])
print(collector.collect_all(5) >= 100, collector.collect_all(6), collector.is_frozen)
"""
    assert ask(code, version).split() == ["False", "True", "True", "True", "0", "True"]


def test_where_pauses_have_a_budget_the_heap_alone_does_not_make_everything_be_collected():
    """Garbage always has some of Python's blocks. One slow collection is enough to leave old objects out."""
    code = """
collector.thaw()
collector = collecting.Collector(10_000_000)
collector.collect()
print(collector.is_frozen)
collector.remember(10, 10)
print(*[collector.must_collect_all(5, *memory) for memory in ((10, 11), (11, 10), (0, 11))])
"""
    assert ask(code).split() == ["True", "False", "True", "True"]


def test_a_program_that_grows_is_collected_as_a_whole_each_sixteenth_of_its_cycles():
    code = """
due = []
for cycle in range(64, 4096):
    if collector.must_collect_all(cycle, cycle, 0):
        collector.collect_all(cycle)
        due.append(cycle)
    collector.remember(cycle, 0)
print(due[:3], len(due), all(b - a >= max(64, a // 16) for a, b in zip(due, due[1:])))
"""
    assert ask(code) == "[64, 128, 192] 38 True"


def test_where_old_objects_become_garbage_again_and_again_none_are_left_out_any_more():
    code = """
for cycle in range(1, 4):
    for _ in range(9): old.pop()
    assert collector.collect_all(cycle)
print(collector.is_frozen, gc.get_freeze_count() <= frozen_at_start)
"""
    assert ask(code) == "False True"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("component", "may_collect"),
    [
        ("gc.disable()", False),
        ("gc.freeze()", False),
        ("gc.unfreeze()", True),
        ("gc.unfreeze(); gc.freeze()", False),
        ("gc.collect()", True),
    ],
)
def test_what_the_component_does_to_gc_is_respected(version: str, component: str, may_collect: bool):
    code = f"""
{component}
frozen = gc.get_freeze_count()
print(collector.may_collect(), collector.may_collect())
collector.thaw()
assert {may_collect} or gc.get_freeze_count() in (frozen - 1, frozen)  # what the component froze stays
"""
    assert ask(code, version) == f"{may_collect} {may_collect}"


@pytest.mark.parametrize("version", VERSIONS)
def test_after_the_last_checkpoint_nothing_is_left_out(version: str):
    code = """
collector.thaw()
print(len(gc.get_objects()) > 100, gc.get_freeze_count() <= frozen_at_start, collector.collect() >= 0)
"""
    assert ask(code, version) == "True True True"


def test_a_hundred_collections_leave_no_allocation_behind():
    code = """
def checkpoint(cycle):
    if collector.may_collect():
        collector.collect()
        if collector.must_collect_all(cycle, cycle, 0):
            collector.collect_all(cycle)
        collector.remember(cycle, 0)
for cycle in range(1000, 1300): checkpoint(cycle)
before = sys.getallocatedblocks()
for cycle in range(1300, 1600): checkpoint(cycle)
print(sys.getallocatedblocks() - before)
"""
    assert abs(int(ask(code))) <= 1


def test_a_program_that_froze_objects_itself_is_left_alone():
    code = """
collector.thaw()
gc.freeze()
other = collecting.Collector()
print(other.may_collect(), other.is_frozen)
"""
    assert ask(code) == "False False"
