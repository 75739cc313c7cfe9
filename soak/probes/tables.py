"""Read the tracker's tables in a program while it runs: what is alive by call site. Nothing is done in the program.

The library writes once where its tables are (``struct tables`` in ``layout.h``). From then on they are read through
/proc/PID/mem. The program is not stopped, so a block that moves meanwhile may be counted twice, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import (
    BIG_BIT,
    DOMAIN_MASK,
    DOMAIN_SHIFT,
    DOMAINS,
    LEAF_LIMIT,
    LEAF_SLOTS,
    LEDGER_VERSION,
    MAPPING,
    MAPPING_ROW,
    MAPPINGS_LIMIT,
    RANGE,
    RANGES,
    ROW,
    SITE,
    SITE_FLAGGED,
    SITE_LIMIT,
    SITE_MASK,
    SIZE_LIMIT,
    SIZE_SHIFT,
    TABLES,
    TABLES_MAGIC,
    TablePlaces,
)
from soak.native.ledger import Checkpoint, Ledger
from soak.probes.memory import ProcessMemory

_LEAF_BYTES = 8 * LEAF_SLOTS
_SITE_WORD = np.uint64(SITE_MASK)
_KEY_WORD = np.uint64(DOMAIN_MASK << DOMAIN_SHIFT | SITE_MASK)
"""Site and domain of a slot."""
_SIZE_SHIFT, _SIZE_WORD, _BIG_BIT = np.uint64(SIZE_SHIFT), np.uint64(SIZE_LIMIT - 1), np.uint64(BIG_BIT)
_BEING_WRITTEN = 1024
"""How many words of the newest stacks are copied again: the program takes the place for a stack before it writes it."""
_FLAGS_AT = SITE.fields["flags"][1]  # type: ignore[index]


def read_places(path: Path) -> TablePlaces | None:
    """Return what the library has written to ``path``; None when it has written nothing, or has another version."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) != TABLES.itemsize:
        return None
    magic, version, *places = np.frombuffer(content, TABLES)[0].tolist()
    return TablePlaces(*places) if magic == TABLES_MAGIC and version == LEDGER_VERSION else None


class LiveTables(Ledger):
    """The ledger of a running program: each `read` counts its live blocks again, from outside."""

    def __init__(self, places: TablePlaces) -> None:
        """Open the process's memory. Raises OSError when it cannot be read, or the process has ended."""
        self._places = places
        # Both files belong to the program that runs now. After an exec, reads and writes fail.
        self._memory = ProcessMemory(places.pid)
        self._writable = os.open(f"/proc/{places.pid}/mem", os.O_WRONLY)
        self._sequence = 0
        self._state = 0
        self._strings = b""
        self._stacks = np.zeros(0, np.uint64)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._places.pid

    @property
    def state(self) -> int:
        """See Ledger."""
        return self._state

    def is_there(self) -> bool:
        """Tell whether the process still runs the program that has these tables."""
        return self._half_word(self._places.site_count_at) > 0

    def marks(self) -> int:
        """Return how often the program has called ``soak.mark()`` or ``soak_mark()``."""
        return self._word(self._places.cycle_at)

    def own_mapped(self) -> int:
        """Return the bytes that the tracker itself has mapped."""
        ranges = self._ranges()
        return int((ranges["end"] - ranges["start"]).sum())

    def read(self) -> Checkpoint | None:
        """Count what is alive now; None when the process has ended or runs another program."""
        places = self._places
        cycle = self.marks()
        slots, asked = self._live()
        # After the slots, so that the site of every slot is counted.
        sites = min(self._half_word(places.site_count_at), SITE_LIMIT)
        if not sites:
            return None
        blocks, sizes = self._sums(slots, asked, sites)
        self._state = self._half_word(places.state_at) or self._state
        self._take_names()
        domains, numbers = np.nonzero(blocks)
        rows = np.zeros(len(numbers), ROW)
        rows["domain"], rows["site"] = domains, numbers
        rows["live_blocks"], rows["live_bytes"] = blocks[domains, numbers], sizes[domains, numbers]
        self._sequence += 1
        table = self._records(SITE, places.sites, sites)
        if len(table) < sites:
            return None
        return Checkpoint(
            sequence=self._sequence,
            cycle=cycle,
            shift=0,
            rows=rows,
            births=np.zeros(0, np.uint64),
            sites=table,
            ranges=self._ranges(),
            live_blocks=int(blocks[:MAPPING].sum()),
            live_bytes=int(sizes[:MAPPING].sum()),
            unlisted_blocks=0,
            unlisted_bytes=0,
            lost_blocks=self._word(places.lost_blocks_at),
            lost_sites=self._word(places.lost_sites_at),
            lost_mappings=self._word(places.lost_mappings_at),
            scan_ns=0,
            reinstalled=0,
        )

    def request_flags(self, sites: list[int]) -> None:
        """See Ledger. Set the flag, then take the sites out of the caches: the program looks up only uncached sites."""
        places = self._places
        with contextlib.suppress(OSError):
            for site in sites:
                at = places.sites + site * SITE.itemsize + _FLAGS_AT
                os.pwrite(self._writable, struct.pack("<I", self._half_word(at) | SITE_FLAGGED), at)
            caches = ((places.site_cache, places.site_cache_words), (places.frame_cache, places.frame_cache_words))
            for cache, count in caches:
                cached = self._memory.read(cache, count) & _SITE_WORD
                for entry in np.flatnonzero(np.isin(cached, sites)).tolist():
                    os.pwrite(self._writable, bytes(8), cache + 8 * entry)

    def close(self) -> None:
        """See Ledger. What was read stays usable, with its names."""
        self._memory.close()
        os.close(self._writable)

    def _slot_ranges(self) -> list[tuple[int, int]]:
        """Return where slots are, with adjacent leaves joined."""
        count = min(self._half_word(self._places.leaf_count_at), LEAF_LIMIT)
        starts = sorted(start for start in self._memory.read(self._places.leaves, 2 * count)[::2].tolist() if start)
        ranges: list[tuple[int, int]] = []
        for start in starts:
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], start + _LEAF_BYTES)
            else:
                ranges.append((start, start + _LEAF_BYTES))
        return ranges

    def _live(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the slot and the size of each live block. A few slots belong to no block; they have site 0."""
        parts = [self._blocks_in(address, words) for address, words in self._memory.pieces(self._slot_ranges())]
        slots, sizes = (np.concatenate([part[n] for part in parts] or [np.zeros(0, np.uint64)]) for n in range(2))
        return slots, sizes

    def _blocks_in(self, address: int, words: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        used = np.flatnonzero(words)
        slots = words[used]
        sizes = slots >> _SIZE_SHIFT & _SIZE_WORD
        for big in np.flatnonzero(slots & _BIG_BIT).tolist():
            # A block of 512 KiB or more has its size in the next slot, which may be in another leaf.
            behind = int(used[big]) + 1
            word = int(words[behind]) if behind < len(words) else self._word(address + 8 * behind)
            sizes[big] = max(word >> SIZE_SHIFT, SIZE_LIMIT)
        return slots, sizes

    def _sums(
        self, slots: NDArray[np.uint64], asked: NDArray[np.uint64], sites: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return live blocks and bytes by domain and site, ``(domains, sites)``; mappings have domains of their own."""
        keys = (slots & _KEY_WORD).view(np.intp)
        blocks, sizes = np.zeros((len(DOMAINS), sites), np.intp), np.zeros((len(DOMAINS), sites))
        for sums, counted in ((blocks, np.bincount(keys)), (sizes, np.bincount(keys, asked))):
            for domain in range(MAPPING):
                part = counted[domain * SITE_LIMIT : (domain + 1) * SITE_LIMIT][:sites]
                sums[domain, : len(part)] = part
        blocks[:, 0], sizes[:, 0] = 0, 0
        count = min(self._half_word(self._places.mapping_count_at), MAPPINGS_LIMIT)
        mapped = self._records(MAPPING_ROW, self._places.mappings, count)
        mapped = mapped[
            (mapped["site"] < sites) & (mapped["domain"] < len(DOMAINS)) & (mapped["end"] > mapped["start"])
        ]
        np.add.at(blocks, (mapped["domain"], mapped["site"]), 1)
        np.add.at(sizes, (mapped["domain"], mapped["site"]), mapped["end"] - mapped["start"])
        return blocks, sizes

    def _take_names(self) -> None:
        """Copy what was added to strings and stacks. They are needed even after the process has ended."""
        places = self._places
        if places.strings:
            used, known = self._half_word(places.strings_used_at), len(self._strings)
            if used > known:
                start = known & ~7
                added = self._memory.read(places.strings + start, (used - start + 7) // 8).tobytes()
                if start + len(added) >= used:  # otherwise the process has just ended
                    self._strings = (self._strings[:start] + added)[:used]
        if places.stacks:
            used, known = self._half_word(places.stacks_used_at), max(0, len(self._stacks) - _BEING_WRITTEN)
            words = self._memory.read(places.stacks + 8 * known, max(0, used - known))
            if known + len(words) >= len(self._stacks):
                self._stacks = np.append(self._stacks[:known], words)

    def _string(self, offset: int) -> str:
        end = self._strings.find(b"\0", offset)
        return self._strings[offset : end if end >= 0 else None].decode("utf-8", "replace")

    def _stack_words(self, at: int) -> tuple[int, ...]:
        if at >= len(self._stacks):
            return ()
        counts = int(self._stacks[at])
        return tuple(self._stacks[at + 1 : at + 1 + (counts & 0xFFFFFFFF) + (counts >> 32)].tolist())

    def _ranges(self) -> NDArray[np.void]:
        count = min(self._half_word(self._places.range_count_at), RANGES)
        return self._records(RANGE, self._places.ranges, count)

    def _records(self, dtype: np.dtype[np.void], at: int, count: int) -> NDArray[np.void]:
        words = self._memory.read(at, count * dtype.itemsize // 8)
        return words[: len(words) * 8 // dtype.itemsize * (dtype.itemsize // 8)].view(dtype)

    def _word(self, at: int) -> int:
        """Return a 64-bit word; 0 when the memory cannot be read."""
        words = self._memory.read(at, 1)
        return int(words[0]) if len(words) else 0

    def _half_word(self, at: int) -> int:
        words = self._memory.read(at & ~7, 1)
        return int(words[0]) >> 8 * (at & 7) & 0xFFFFFFFF if len(words) else 0
