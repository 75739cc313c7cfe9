"""Blocks that are read where they are asked for are those that reading the whole tables gives."""

from __future__ import annotations

import numpy as np
import pytest
from tracked_children import Track

from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks, read_blocks

pytestmark = [pytest.mark.native, pytest.mark.integration]

CYCLES = 100
SCRIPT = """
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
held = []
def hold(size, count):
    held.extend(libc.malloc(ctypes.c_size_t(size)) for _ in range(count))
old = [bytes(number % 600) for number in range(100_000)]
hold(300, 30_000)
for size in (0, 8, 24, 40, 300_000, 5_000_000, 9_000_000):
    hold(size, 20)
import time
for _ in range({checkpoints}):
    tracker.checkpoint()
    time.sleep(0.1)  # what was touched a moment ago is not remembered
def cycle():
    kept.append((bytes(3), [1.5], {{"a": 1}}))
    hold(106, 1)
run(cycle, {cycles})
answer()
"""


def of_counted(blocks: Blocks) -> list[int]:
    found: list[int] = blocks.addresses[blocks.cycles <= CYCLES].tolist()
    return found


@pytest.mark.parametrize("checkpoints", [0, 5])
def test_what_is_read_of_some_leaves_is_what_is_read_of_all(track: Track, checkpoints: int):
    child = track(SCRIPT.format(checkpoints=checkpoints, cycles=CYCLES))
    memory, checkpoint = child.memory(), child.checkpoint()
    every = read_blocks(memory, checkpoint)
    some = LiveBlocks(memory, checkpoint)
    random = np.random.default_rng(1)

    ends = every.addresses + every.sizes
    big = every.sizes > 1 << 18
    asked = np.concatenate(
        [
            every.addresses[::50],
            ends[::50],
            ends[big] - np.uint64(1),
            every.addresses[big] + np.uint64(4_000_000),
            random.integers(every.addresses[0] - 100, ends[-1] + 100, 20_000, np.uint64),
            np.array([0, 8, 1 << 63], np.uint64),
        ]
    )
    expected, found = every.covering(asked), some.covering(asked)

    assert ((found >= 0) == (expected >= 0)).all()
    is_in = found >= 0
    assert is_in.sum() > 3000
    for column in ("addresses", "sizes", "sites", "domains"):
        assert (getattr(some, column)[found[is_in]] == getattr(every, column)[expected[is_in]]).all()
    # After its last checkpoint the child allocates in order to answer.
    counted = every.take(every.cycles <= CYCLES)
    for sizes in (106, 300, 5_000_000, 24):
        wanted = np.unique(counted.sites[counted.sizes == sizes])
        found_of = some.of_sites(np.isin(np.arange(every.sites.max() + 2), wanted))
        assert len(wanted)
        is_wanted = np.isin(counted.sites, wanted)
        assert of_counted(found_of) == counted.addresses[is_wanted].tolist()
        of_cycles = some.of_sites(np.isin(np.arange(every.sites.max() + 2), wanted), of_cycles=True)
        assert of_counted(of_cycles) == counted.addresses[is_wanted & (counted.cycles > 0)].tolist()
    assert of_counted(some.born_in_cycles()) == counted.addresses[counted.cycles > 0].tolist()
    assert len(some.born_in_cycles()) >= 4 * CYCLES
    memory.close()


def test_leaves_that_hold_nothing_of_interest_are_not_read(track: Track):
    child = track(SCRIPT.format(checkpoints=5, cycles=CYCLES))
    memory, checkpoint = child.memory(), child.checkpoint()
    read = []
    original = memory.read
    memory.read = lambda start, words: (read.append(words), original(start, words))[1]  # type: ignore[method-assign]

    LiveBlocks(memory, checkpoint).born_in_cycles()
    few = sum(read)
    read.clear()
    read_blocks(memory, checkpoint)

    assert few < sum(read) / 2
    memory.close()
