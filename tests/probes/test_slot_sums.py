"""Sums over slots that follow what changes are those of all slots counted anew."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from soak.native.layout import BIG_BIT, DOMAIN_SHIFT, EPOCH_SHIFT, SIZE_SHIFT
from soak.probes.ledgers.slot_sums import Births, SlotSums

WORDS, COUNTS = 400, 30
BIRTHS = Births(0, 0, 0)
ADDRESSES = 0x10000, 0x20000, 0x30000
BEHIND_ALL = 300_000
"""The size of a large block whose slot is the last of its piece."""


def slot(site: int, size: int, birth: int = 1, domain: int = 0, *, is_large: bool = False) -> int:
    return site | size << SIZE_SHIFT | birth << EPOCH_SHIFT | domain << DOMAIN_SHIFT | (BIG_BIT if is_large else 0)


def some_slots(rng: np.random.Generator, words: NDArray[np.uint64], changes: int) -> NDArray[np.uint64]:
    """Free some blocks and allocate others, small and large ones."""
    words = words.copy()
    for at in rng.integers(0, WORDS, changes).tolist():
        site, birth = int(rng.integers(1, 9)), int(rng.integers(0, 99))
        kind = rng.random()
        if kind < 0.1:
            words[at] = slot(site, 0, birth, is_large=True)
            if at + 1 < WORDS:
                words[at + 1] = int(rng.integers(1 << 18, 1 << 20)) << SIZE_SHIFT
        else:
            words[at] = slot(site, int(rng.integers(1, 99)), birth) if kind < 0.7 else 0
    return words


def as_set(sums: SlotSums) -> set[tuple[int, ...]]:
    return set(map(tuple, sums.rows().tolist()))


def counted(pieces: dict[int, NDArray[np.uint64]], births: Births) -> set[tuple[int, ...]]:
    sums = SlotSums(lambda _: BEHIND_ALL << SIZE_SHIFT)
    sums.update(pieces.items(), births)
    return as_set(sums)


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_those_of_all_slots_counted_anew(seed: int):
    rng = np.random.default_rng(seed)
    sums = SlotSums(lambda _: BEHIND_ALL << SIZE_SHIFT)
    pieces: dict[int, NDArray[np.uint64]] = {}
    births = BIRTHS
    for count in range(COUNTS):
        for address in ADDRESSES:
            before = pieces.get(address, np.zeros(WORDS, np.uint64))
            pieces[address] = some_slots(rng, before, int(rng.integers(0, 40)))
        if rng.random() < 0.2:  # a leaf is given back
            del pieces[ADDRESSES[count % len(ADDRESSES)]]
        if rng.random() < 0.1:
            births = Births(0, int(rng.integers(0, 50)), 0)
        sums.update(pieces.items(), births)

        assert as_set(sums) == counted(pieces, births)


@pytest.mark.parametrize("at", [0, 7, WORDS - 2, WORDS - 1])
def test_a_large_block_that_is_made_larger_in_place_counts_with_its_new_size(at: int):
    words, behind = np.zeros(WORDS, np.uint64), [300_000]
    words[at] = slot(3, 0, is_large=True)
    sums = SlotSums(lambda _: behind[0] << SIZE_SHIFT)
    for size in (300_000, 400_000):
        behind[0] = size
        if at + 1 < WORDS:
            words[at + 1] = size << SIZE_SHIFT
        sums.update([(ADDRESSES[0], words.copy())], BIRTHS)

        assert sums.rows()["live_bytes"].tolist() == [size]
