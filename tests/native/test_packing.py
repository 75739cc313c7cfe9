"""Leaves that do not change are packed: what is read of their blocks stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tracked_children import Track, Tracked

from soak.native.layout import LEAF_SLOTS
from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.packed import read_counted
from soak.probes.ledgers.shadow import Blocks, read_blocks, read_leaves
from soak.probes.resident import read_resident

pytestmark = [pytest.mark.native, pytest.mark.integration]

MOST_CHECKPOINTS = 300
FEW_PAGES = 131_072
"""What the child itself may add to the tables when it is asked something."""
LEAF_SPAN = LEAF_SLOTS * 32
SCRIPT = """
import time
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
SIZES = [200 + number % {kinds} for number in range(40_000)] + [300_000, 5_000_000]
held = [libc.malloc(size) for size in SIZES]
tracker.cycle[0] = 5

def count():
    tracker.checkpoint()
    time.sleep(0.05)
    return held
count()
print(json.dumps(held), flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


def ask(child: Tracked, expression: str) -> Any:
    """Have the child compute an expression."""
    process = child._process
    assert process.stdin is not None
    process.stdin.write(expression.replace("\n", " ") + "\n")
    process.stdin.flush()
    child.answer = child._read_answer()
    return child.answer


def packed_leaves(child: Tracked, held: list[int]) -> int:
    """Return how many leaves with some of these blocks are packed."""
    memory = child.memory()
    leaves = read_leaves(memory, child.checkpoint())
    packed = read_counted(memory, leaves)["packed"] > 0
    memory.close()
    numbers = {address // LEAF_SPAN for address in held}
    return sum(base // LEAF_SPAN in numbers for base in leaves["base"][packed].tolist())


def wait_until_packed(child: Tracked, held: list[int]) -> None:
    """Have the child count until the leaves that nobody touches are packed."""
    for _ in range(MOST_CHECKPOINTS):
        ask(child, "count() and 0")
        if packed_leaves(child, held) >= 3:
            return
    pytest.fail("nothing was packed")


def blocks_at(child: Tracked, addresses: list[int]) -> Blocks:
    """Return what begins at some addresses, by either reader."""
    memory, checkpoint = child.memory(), child.checkpoint()
    every, some = read_blocks(memory, checkpoint), LiveBlocks(memory, checkpoint)
    wanted = np.array(addresses, np.uint64)
    found, again = every.covering(wanted), some.covering(wanted)
    assert (every.addresses[found] == wanted).all()
    assert (some.addresses[again] == wanted).all()
    assert (some.sites[again] == every.sites[found]).all()
    assert (some.sizes[again] == every.sizes[found]).all()
    memory.close()
    return every.take(found)


@pytest.mark.parametrize("kinds", [7, 300, 3000], ids=["few sizes", "hundreds", "thousands"])
def test_blocks_are_the_same_before_and_after(track: Track, kinds: int):
    child = track(SCRIPT.format(kinds=kinds))
    held = child.answer
    sizes = [200 + number % kinds for number in range(40_000)] + [300_000, 5_000_000]
    assert packed_leaves(child, held) == 0
    before = blocks_at(child, held)

    wait_until_packed(child, held)
    after = blocks_at(child, held)

    assert before.sizes.tolist() == after.sizes.tolist() == sizes
    assert before.sites.tolist() == after.sites.tolist()
    assert set(after.cycles.tolist()) == {0}
    (site,) = set(after.sites.tolist())
    assert live(child, site) == (len(held), sum(sizes))


def test_packed_blocks_are_freed_and_keep_their_birth_when_resized(track: Track):
    child = track(SCRIPT.format(kinds=50))
    held = child.answer
    wait_until_packed(child, held)
    (site,) = set(blocks_at(child, held).sites.tolist())

    ask(child, "[libc.free(block) for block in held[0::3]] and 0")
    moved = ask(child, "[libc.realloc(block, 1000) for block in held[1::3]]")
    ask(child, "count() and 0")

    resized = blocks_at(child, moved)
    assert set(resized.sizes.tolist()) == {1000}
    assert set(resized.cycles.tolist()) == {0}
    left = [*held[2::3], *moved]
    assert set(blocks_at(child, left).cycles.tolist()) == {0}
    # ctypes calls malloc and realloc from one place.
    assert live(child, site) == (len(left), sum(blocks_at(child, left).sizes.tolist()))
    memory = child.memory()
    every = read_blocks(memory, child.checkpoint())
    memory.close()
    assert every.addresses[every.sites == site].tolist() == sorted(left)


def live(child: Tracked, site: int) -> tuple[int, int]:
    """Return blocks and bytes of a site, as the ledger has them."""
    rows = child.checkpoint().rows
    rows = rows[rows["site"] == site]
    return int(rows["live_blocks"].sum()), int(rows["live_bytes"].sum())


def table_bytes(child: Tracked) -> tuple[int, int]:
    """Return the resident memory of the tracker, and by how much packing lowers it."""
    memory = child.memory()
    own = [(int(area["start"]), int(area["end"])) for area in child.checkpoint().ranges]
    areas = read_resident(memory, memory.pid, own).areas
    memory.close()
    return sum(area.rss_bytes for area in areas if area.is_own), child.ledger.packing().saved_bytes


def test_what_packing_saves_is_known_to_the_page(track: Track):
    child = track(SCRIPT.format(kinds=300))
    held = child.answer
    ask(child, "count() and 0")
    before = sum(table_bytes(child))

    wait_until_packed(child, held)
    for turn in range(MOST_CHECKPOINTS):
        resident, saved = table_bytes(child)
        assert resident + saved == pytest.approx(before, abs=FEW_PAGES)
        ask(child, "[count() for _ in range(8)] and 0")
        if turn and table_bytes(child)[1] == saved:
            break
    assert saved > 2_000_000

    ask(child, "[libc.free(block) for block in held[: len(held) // 2 : 50]] and 0")
    ask(child, "count() and 0")
    again, saves = table_bytes(child)
    assert saves < saved - 500_000
    assert again + saves == pytest.approx(before, abs=FEW_PAGES)


def test_nothing_is_packed_where_that_is_switched_off(track: Track):
    child = track(SCRIPT.format(kinds=7), SOAK_PACK_TABLES="0")
    held = child.answer

    for _ in range(10):
        ask(child, "count() and 0")

    assert packed_leaves(child, held) == 0
