"""Words that stay in Python's heap where objects were freed hold nothing; what stands in its live blocks does."""

from __future__ import annotations

from pathlib import Path

from tracking_builder import soak_text

from soak.verdict import Verdict

FREED_ADDRESSES = """
    import ctypes, struct, time
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    kept = []
    def setup():
        # As imports do, which fill arenas with addresses of blocks that are free later: the next ones get them again.
        addresses = [libc.malloc(106) for _ in range(3000)]
        noted = []
        for address in addresses:
            noted.append(struct.pack("6Q", *[address + 8] * 6))
            kept.append(struct.pack("6Q", *range(6)))  # so that the arena stays
        for address in reversed(addresses):
            libc.free(address)
        {keeps}
    def cycle(state):
        libc.malloc(106)
        time.sleep(0.001)
"""
HELD_BY_OLD_BLOCK = """
    import sys, time
    def cycle(state):
        # The table of this dict was allocated before the tracker began, and its entry is there already.
        sys.implementation._multiarch = bytes(100), sys.implementation._multiarch
        time.sleep(0.001)
"""


def test_what_freed_objects_leave_behind_holds_nothing(tmp_path: Path):
    program = FREED_ADDRESSES.format(keeps="pass")

    result = soak_text(tmp_path, program, iterations=60_000)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "lost-scan")


def test_what_live_objects_contain_holds(tmp_path: Path):
    program = FREED_ADDRESSES.format(keeps="kept.append(noted)")

    result = soak_text(tmp_path, program, iterations=1500)

    assert result.decided_by != "lost-scan"
    assert {cause.state for cause in result.causes} <= {"held", "unknown"}


def test_a_block_from_before_the_tracker_began_holds(tmp_path: Path):
    result = soak_text(tmp_path, HELD_BY_OLD_BLOCK, iterations=1000)

    assert result.decided_by != "lost-scan"
    assert {cause.state for cause in result.causes} == {"held"}
