"""Read the tracker's tables in a program while it runs: what is alive by call site. Nothing is done in the program.

The library tells once where its tables are (``struct tables`` in ``layout.h``). From then on they are read through
/proc/PID/mem. A forked child has them where its parent has them. The program is not stopped, so a block that moves
meanwhile may be counted twice, or not at all. Where a site lacks most of what it had, all is counted again.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.labels import LabelledBlocks
from soak.native.layout import (
    COPYING,
    DOMAINS,
    EPOCH_SHIFT,
    LABEL_TABLE,
    LEAF,
    LEAF_LIMIT,
    LEAF_SLOTS,
    LEDGER_VERSION,
    MAPPING,
    MAPPING_ROW,
    MAPPINGS_LIMIT,
    PYTHON_SITE,
    RANGE,
    RANGES,
    SITE,
    SITE_FLAGGED,
    SITE_LIMIT,
    SITE_MASK,
    STACK_SITE,
    TABLES,
    TABLES_MAGIC,
    TablePlaces,
)
from soak.native.ledger import Checkpoint, Ledger, SiteTable
from soak.probes.interpreter.look_ups import are_cached_names
from soak.probes.interpreter.unheld_objects import find_unheld
from soak.probes.ledgers.free_objects import OBJECTS, count_free
from soak.probes.ledgers.packed import read_counted, read_slots, saved_of, unpacked
from soak.probes.ledgers.shadow import NO_BLOCKS, Blocks, blocks_at, concatenated
from soak.probes.ledgers.slot_sums import Births, SlotSums, blocks_in, summed
from soak.probes.ledgers.torn import TornCounts
from soak.probes.mappings import maps_reader
from soak.probes.memory import CLOSED, ProcessMemory
from soak.probes.outside import living_thread

_LEAF_BYTES = 8 * LEAF_SLOTS
_SITE_WORD = np.uint64(SITE_MASK)
_EPOCH_SHIFT = np.uint64(EPOCH_SHIFT)
_SHIFT_BEHIND_CYCLE = 16
"""``struct recorder_control``: the cycle, a factor, and how many cycles, as a power of two, an epoch stands for."""
_MOST_TUPLES = 2048
"""At most this many blocks of a site are looked at."""
_MOST_OBJECTS = 512
"""A site of more blocks is not looked at, for each takes some ten microseconds."""
_BEING_WRITTEN = 1024
"""How many words of the newest stacks are copied again: the program takes the place for a stack before it writes it."""
_FEWEST_COLLECTED, _PART_COLLECTED = 8, 1 / 16
"""So many blocks of what was garbage have gone after a collection. The table of a dict may be replaced without one."""
_READER_AT = COPYING.fields["reader"][1]  # type: ignore[index]
_FLAGS_AT = SITE.fields["flags"][1]  # type: ignore[index]


def places_in(pid: int, own_at: int) -> TablePlaces | None:
    """Return where the tables of process ``pid`` are, as it says at address ``own_at``; None where it says nothing."""
    try:
        with Path(f"/proc/{living_thread(pid)}/mem").open("rb", buffering=0) as memory:
            memory.seek(own_at)
            places = parse_places(memory.read(TABLES.itemsize))
    except (OSError, OverflowError):
        return None
    # A child of vfork runs in its parent's memory until it runs another program.
    if places is None or (places.pid != pid and places.pid != own_number(pid)):
        return None
    return replace(places, pid=pid)


def own_number(pid: int) -> int | None:
    """Return the number that a process has for itself: another one in a namespace of processes, as of a container."""
    with contextlib.suppress(OSError):
        numbers = re.search(rb"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_bytes(), re.MULTILINE)
        return None if numbers is None else int(numbers[1].split()[-1])
    return None


def parse_places(content: bytes) -> TablePlaces | None:
    """Return the places of a ``struct tables``; None where the content is another, or of another version."""
    if len(content) != TABLES.itemsize:
        return None
    magic, version, *places = np.frombuffer(content, TABLES)[0].tolist()
    return TablePlaces(*places) if magic == TABLES_MAGIC and version == LEDGER_VERSION else None


class CopyMade(NamedTuple):
    """A copy that a process has made of itself."""

    pid: int | None
    """None where the system did not let it."""
    took_s: float
    """So long the thread that made it waited."""
    busy_s: float
    """So long the kernel worked on it; the rest was waiting for a processor."""


class OneProcess(NamedTuple):
    """One of the processes of a ledger."""

    tables: LiveTables
    numbers: dict[int, int]
    """By its own number of a site: the ledger's; of the sites that were asked for."""
    number_of: Callable[[int], int]
    """Returns the ledger's number of a site of its own; 0 where there is none."""


class CountedProcess(NamedTuple):
    """One of the processes of a ledger, as it was counted last."""

    pid: int
    checkpoint: Checkpoint
    number_of: Callable[[int], int]
    """Returns the ledger's number of a site of its own; 0 where there is none."""


class WatchedTables(Ledger):
    """The ledger of programs that mark their cycles themselves, or not at all."""

    saved_bytes = 0
    """By how much the resident memory is less because a forked process has packed tables of its parent."""

    @abstractmethod
    def marks(self) -> int:
        """Return how often the program has called ``soak.mark()`` or ``soak_mark()``."""

    @property
    def processes(self) -> int:
        """How many processes are counted."""
        return 1

    @abstractmethod
    def counted(self, checkpoint: Checkpoint) -> list[CountedProcess]:
        """Return the processes that a checkpoint, the latest one, counts."""

    @property
    def removed(self) -> int:
        """How many processes are counted no longer: what they held went with them."""
        return 0

    def kept_per_mark(self, sites: Collection[int]) -> float | None:  # noqa: ARG002
        """Return by how many bytes a mark some sites grew where processes have ended, whose memory went with them.

        None where that is not known, or none has ended.
        """
        return None

    @abstractmethod
    def process_of(self, sites: Collection[int], before: int | None = None) -> OneProcess | None:
        """Return the process that has most live blocks at some sites; None where none has any.

        ``before``: the process that was returned before, which is returned again while it has some.
        """

    @abstractmethod
    def count_births_from(self, mark: int) -> None:
        """Tell the birth of each block in marks after this one; what was born by then is born in cycle 0."""

    @abstractmethod
    def set_cycle(self, cycle: int) -> None:
        """Have all blocks from now on born in this cycle; for programs that have not marked any of their own."""

    @abstractmethod
    def own_mapped(self) -> int:
        """Return the bytes that the tracker itself has mapped."""

    @abstractmethod
    def maps(self) -> str:
        """Return where the modules are, as /proc/PID/maps lists them."""

    @abstractmethod
    def labelled(self, sites: Collection[int], first: int) -> list[LabelledBlocks]:
        """Return the live blocks of some sites with the labels of the marks, by process.

        ``first``: marks up to this one are not looked at. Nothing of a process whose marks have no labels.
        """

    @abstractmethod
    def in_use(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """Return how many blocks of each group of sites are no objects that CPython keeps free, where that is known."""

    @abstractmethod
    def unheld(self, sites: Collection[int]) -> NDArray[np.void]:
        """Return the live blocks of some sites that no program holds, as rows of ``ROW``.

        These are objects that CPython keeps free for the next, names in its cache of look-ups, and garbage, if it has
        been seen to be collected since it was asked for first.
        """

    @abstractmethod
    def free_tuples(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """Return how many live blocks of each group of sites are free tuples of CPython; an estimate if there are many.

        All groups are counted in one call, because it reads all tables of the process. A group without blocks, such as
        that of a process that has ended, is left out.
        """


class LiveTables(WatchedTables):
    """The ledger of a running program: each `read` counts its live blocks again, from outside."""

    def __init__(self, places: TablePlaces) -> None:
        """Open the process's memory. Raises OSError when it cannot be read, or the process has ended."""
        self.places = places
        self.cycles_from = 0
        """Cycles of birth are counted from this one."""
        self.born_with_it = 0
        """What was born up to this cycle is told as born in cycle 0: it is what the process began with."""
        # Both files belong to the program that runs now. After an exec, reads and writes fail.
        thread = living_thread(places.pid) or places.pid
        self._memory = ProcessMemory(thread)
        try:
            self._writable = os.open(f"/proc/{thread}/mem", os.O_WRONLY)
        except OSError:
            self._memory.close()
            raise
        self._sums, self._torn = SlotSums(self._word), TornCounts()
        self._site_of_stack = np.zeros(0, np.int64)
        self._sequence = self._told_cycle = 0
        self._garbage, self._collects = NO_BLOCKS, False
        self._state = self._own_mapped = 0
        self._strings = b""
        self._stacks = np.zeros(0, np.uint64)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.places.pid

    @property
    def state(self) -> int:
        """See Ledger."""
        return self._state

    def is_there(self) -> bool:
        """Tell whether the process still runs the program that has these tables."""
        return self._half_word(self.places.site_count_at) > 0

    def marks(self) -> int:
        """See WatchedTables. In a program that marks after `set_cycle`, marks go on from there."""
        cycle = self._word(self.places.cycle_at)
        return 0 if cycle == self._told_cycle else cycle

    def count_births_from(self, mark: int) -> None:
        """See WatchedTables."""
        self.cycles_from = self.born_with_it = mark

    def labelled(self, sites: Collection[int], first: int) -> list[LabelledBlocks]:
        """See WatchedTables."""
        newest = self.marks()
        names, of_mark = self._labels()
        if not names:
            return []
        births, sizes = self._births(sites)
        return [LabelledBlocks(names, of_mark, births, sizes, newest, first)]

    def _labels(self) -> tuple[tuple[str, ...], NDArray[np.uint16]]:
        """Return the names of labels by number, and the label of each of the latest marks by its place in the ring.

        Number 0 is no label. Nothing where no mark has one.
        """
        words = self._memory.read(self.places.labels, LABEL_TABLE.itemsize // 8)
        if len(words) * 8 < LABEL_TABLE.itemsize:
            return (), np.zeros(0, np.uint16)
        table = words.view(LABEL_TABLE)[0]
        count = int(table["count"])
        names = tuple(name.decode("utf-8", "replace") for name in table["names"][: count + 1].tolist())
        return names if count else (), table["of_mark"].copy()

    def _births(self, sites: Collection[int]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Return the mark at which each live block of some sites was born, modulo 2^24, and its bytes."""
        births, bytes_of = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
        wanted = np.array(sorted(sites), np.uint64)
        for address, words in self._slots():
            chosen = np.flatnonzero(np.isin(words & _SITE_WORD, wanted))
            slots, sizes = blocks_in(address, words, chosen, self._word)
            births.append((slots >> _EPOCH_SHIFT).astype(np.int64))
            bytes_of.append(sizes)
        return np.concatenate(births), np.concatenate(bytes_of)

    def free_tuples(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """See WatchedTables."""
        addresses, sites = self._located({site for group in groups.values() for site in group})
        found = {}
        for number, group in groups.items():
            of_group = addresses[np.isin(sites, list(group))]
            if len(of_group):
                looked_at = of_group[:: -(-len(of_group) // _MOST_TUPLES)]
                free = count_free(self._memory, looked_at)
                found[number] = round(free * len(of_group) / len(looked_at))
        return found

    def in_use(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """See WatchedTables."""
        addresses, sites = self._located({site for group in groups.values() for site in group})
        found = {number: addresses[np.isin(sites, list(group))] for number, group in groups.items()}
        counts = {
            number: len(of_group) - count_free(self._memory, of_group, OBJECTS)
            for number, of_group in found.items()
            if 0 < len(of_group) <= _MOST_OBJECTS
        }
        return counts if self.is_there() else {}

    def addresses(self, sites: Collection[int]) -> NDArray[np.uint64]:
        """Return where the live blocks of some sites begin, ``(n,)``, in no order."""
        return self._located(sites)[0]

    def unheld(self, sites: Collection[int]) -> NDArray[np.void]:
        """See WatchedTables."""
        blocks = self._blocks()
        asked = np.isin(blocks.sites, list(sites))
        garbage, are_gone = find_unheld(self._memory, blocks, asked)
        are_gone[asked] |= are_cached_names(self._memory, blocks.addresses[asked])
        if self._collects_garbage(blocks, garbage):
            are_gone |= garbage
        gone = blocks.take(are_gone)
        buckets = self._birth_of_cycles().buckets(gone.cycles.view(np.int64))
        rows = summed(gone.sites.astype(np.int64), gone.domains.astype(np.int64), buckets, gone.sizes)
        return rows if self.is_there() else rows[:0]

    def _collects_garbage(self, blocks: Blocks, garbage: NDArray[np.bool_]) -> bool:
        """Tell whether garbage that was found before has gone: in a program that never collects it is a leak."""
        if not len(blocks):
            return self._collects  # the process has ended
        before, self._garbage = self._garbage, blocks.take(garbage)
        same = np.minimum(np.searchsorted(blocks.addresses, before.addresses), len(blocks) - 1)
        stays = (blocks.addresses[same] == before.addresses) & (blocks.cycles[same] == before.cycles)
        gone = np.count_nonzero(~stays)
        self._collects |= bool(gone >= max(_FEWEST_COLLECTED, _PART_COLLECTED * len(before)))
        return self._collects

    def _located(self, sites: Collection[int]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """Return where the live blocks of some sites begin, and the site of each, ``(n,)``, by address."""
        blocks = self._blocks(sites)
        return blocks.addresses, blocks.sites

    def _blocks(self, sites: Collection[int] | None = None) -> Blocks:
        """Return the live blocks of some sites, or of all."""
        wanted, shift = np.array(sorted(sites or ()), np.uint64), self._birth_of_cycles().shift
        found = [NO_BLOCKS]
        leaves = self._leaves()
        packed = read_counted(self._memory, leaves)["packed"].tolist()
        for (slots_at, base, grain_bits, _), packed_at in zip(leaves.tolist(), packed, strict=True):
            words = read_slots(self._memory, slots_at, packed_at, may_be_gone=True)
            of_site = words & _SITE_WORD
            used = np.flatnonzero(of_site if sites is None else np.isin(of_site, wanted))
            found.append(blocks_at(used, words, base, grain_bits, shift))
        blocks = concatenated(found)
        return blocks.take(np.argsort(blocks.addresses, kind="stable"))

    def _birth_of_cycles(self) -> Births:
        shift = self._half_word(self.places.cycle_at + _SHIFT_BEHIND_CYCLE)
        return Births(shift, self.born_with_it, self.cycles_from)

    def set_cycle(self, cycle: int) -> None:
        """See WatchedTables."""
        self._told_cycle = cycle
        with contextlib.suppress(OSError):
            os.pwrite(self._writable, struct.pack("<Q", cycle), self.places.cycle_at)

    def want_collection(self) -> None:
        """Ask Python to collect its garbage: soon after the next allocation at a flagged site."""
        at = self.places.wanted_collections_at
        with contextlib.suppress(OSError):
            os.pwrite(self._writable, struct.pack("<Q", self._word(at) + 1), at)

    def process_of(self, sites: Collection[int], before: int | None = None) -> OneProcess | None:  # noqa: ARG002
        """See WatchedTables."""
        return OneProcess(self, {site: site for site in sites}, lambda site: site) if self.is_there() else None

    def want_copy(self, reader: int) -> int:
        """Have the process copied at its next allocation at a flagged site; return the number of this wish.

        ``reader``: the process that reads the copy, and has to end it. The copy ends with it.
        """
        at = self.places.copying
        wish = self._word(at) + 1
        with contextlib.suppress(OSError):
            os.pwrite(self._writable, struct.pack("<Q", reader), at + _READER_AT)
            os.pwrite(self._writable, struct.pack("<Q", wish), at)
        return wish

    def copy_made(self, wish: int) -> CopyMade | None:
        """Return the copy of a wish; None while there is none."""
        words = self._memory.read(self.places.copying, COPYING.itemsize // 8)
        made = words.view(COPYING)[0] if len(words) * 8 == COPYING.itemsize else None
        if made is None or made["done"] != wish:
            return None
        copy = int(made["copy"])
        return CopyMade(copy if copy > 0 else None, int(made["took_ns"]) / 1e9, int(made["busy_ns"]) / 1e9)

    def of_copy(self, copy: int) -> LiveTables:
        """Return the tables of a copy of the process, which has them at the same places. Raises OSError."""
        return LiveTables(replace(self.places, pid=copy))

    def counted(self, checkpoint: Checkpoint) -> list[CountedProcess]:
        """See WatchedTables."""
        return [CountedProcess(self.pid, checkpoint, lambda site: site)]

    def forked_at(self) -> tuple[str, str, int] | None:
        """Return file, function and line at which its parent forked the process; None where that is not known."""
        site = self.places.forked_at
        rows = self._records(SITE, self.places.sites + site * SITE.itemsize, 1)
        if not site or not len(rows) or rows[0]["kind"] != PYTHON_SITE:
            return None
        self._take_names()
        row = rows[0]
        return self._string(int(row["file"])), self._string(int(row["function"])), int(row["line"])

    def maps(self) -> str:
        """See WatchedTables; nothing of a process that has ended."""
        return maps_reader(living_thread(self.pid) or self.pid)()

    def own_mapped(self) -> int:
        """Return the bytes that the tracker itself has mapped; of a process that has just ended what it had."""
        ranges = self._ranges()
        self._own_mapped = int((ranges["end"] - ranges["start"]).sum()) or self._own_mapped
        return self._own_mapped

    def read(self) -> Checkpoint | None:
        """Count what is alive now; None when the process has ended or runs another program."""
        places = self.places
        cycle = self._word(places.cycle_at)
        self._torn.settle(self._sum_up)
        # After the slots, so that the site of every slot is counted.
        sites = min(self._half_word(places.site_count_at), SITE_LIMIT)
        if not sites:
            return None
        rows = self._rows(sites)
        self._state = self._half_word(places.state_at) or self._state
        self._take_names()
        in_blocks = rows[rows["domain"] < MAPPING]
        self._sequence += 1
        table = self._records(SITE, places.sites, sites)
        checkpoint = Checkpoint(
            sequence=self._sequence,
            cycle=cycle,
            shift=0,
            rows=rows,
            births=np.zeros(0, np.uint64),
            site_table=SiteTable(table),
            ranges=self._ranges(),
            live_blocks=int(in_blocks["live_blocks"].sum()),
            live_bytes=int(in_blocks["live_bytes"].sum()),
            unlisted_blocks=0,
            unlisted_bytes=0,
            lost_blocks=self._word(places.lost_blocks_at),
            lost_sites=self._word(places.lost_sites_at),
            lost_mappings=self._word(places.lost_mappings_at),
            scan_ns=0,
            reinstalled=0,
        )
        # What was read while the process let go of its memory is not all that there was.
        return checkpoint if self.is_there() else None

    def request_flags(self, sites: list[int]) -> None:
        """See Ledger."""
        self._set_flags(sites, SITE_FLAGGED)

    def release_flags(self, sites: list[int]) -> bool:
        """See Ledger."""
        self._set_flags(sites, 0)
        return True

    def _set_flags(self, sites: list[int], flag: int) -> None:
        """Set the flag, then take the sites out of the caches: the program looks up only uncached sites."""
        places = self.places
        with contextlib.suppress(OSError):
            for site in sites:
                at = places.sites + site * SITE.itemsize + _FLAGS_AT
                os.pwrite(self._writable, struct.pack("<I", self._half_word(at) & ~SITE_FLAGGED | flag), at)
            caches = ((places.site_cache, places.site_cache_words), (places.frame_cache, places.frame_cache_words))
            for cache, count in caches:
                cached = self._memory.read(cache, count) & _SITE_WORD
                for entry in np.flatnonzero(np.isin(cached, sites)).tolist():
                    os.pwrite(self._writable, bytes(8), cache + 8 * entry)

    def close(self) -> None:
        """See Ledger. What was read stays usable, with its names; there is no more to read."""
        self._memory.close()
        if self._writable != CLOSED:
            os.close(self._writable)
            self._writable = CLOSED

    def _leaves(self) -> NDArray[np.void]:
        """Return the leaves that have slots, in the order of these: records of LEAF."""
        count = min(self._half_word(self.places.leaf_count_at), LEAF_LIMIT)
        leaves = self._records(LEAF, self.places.leaves, count)
        leaves = leaves[leaves["slots"] > 0]
        return leaves[np.argsort(leaves["slots"], kind="stable")]

    def _slots(self) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield all slots in pieces: where they are, and the words. A leaf that was packed is a piece."""
        leaves = self._leaves()
        counted = read_counted(self._memory, leaves)
        was_packed = counted["emptied"].any(axis=1)
        ranges: list[tuple[int, int]] = []
        for start in leaves["slots"][~was_packed].tolist():
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], start + _LEAF_BYTES)
            else:
                ranges.append((start, start + _LEAF_BYTES))
        yield from self._memory.pieces(ranges)
        saved_bytes = 0
        for start, of_leaf in zip(leaves["slots"][was_packed].tolist(), counted[was_packed], strict=True):
            words = self._memory.read(start, LEAF_SLOTS)
            if len(words) < LEAF_SLOTS:
                return  # the process has ended
            saved_bytes += saved_of(words, of_leaf)
            yield start, unpacked(self._memory, words, int(of_leaf["packed"]), may_be_gone=True)
        self.saved_bytes = saved_bytes

    def _sum_up(self) -> NDArray[np.float64]:
        """Read the slots again, and bring the sums up to date where they have changed; return the bytes by site."""
        self._sums.update(self._slots(), self._birth_of_cycles())
        rows = self._sums.rows()
        return np.bincount(self._without_stacks(rows["site"]), rows["live_bytes"]).astype(np.float64)

    def _without_stacks(self, sites: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sites of stacks: a block that is replaced may be requested by another way."""
        known = len(self._site_of_stack)
        last = int(sites.max(initial=0))
        if last >= known:
            table = self._records(SITE, self.places.sites + known * SITE.itemsize, last + 1 - known)
            numbers = np.arange(known, known + len(table))
            of_each = np.where(table["kind"] == STACK_SITE, table["parent"], numbers)
            self._site_of_stack = np.append(self._site_of_stack, of_each)
        return self._site_of_stack[sites] if len(self._site_of_stack) > last else sites

    def _rows(self, sites: int) -> NDArray[np.void]:
        """Return live blocks and bytes by site, domain and bucket of birth; of mappings without their birth."""
        count = min(self._half_word(self.places.mapping_count_at), MAPPINGS_LIMIT)
        mapped = self._records(MAPPING_ROW, self.places.mappings, count)
        mapped = mapped[
            (mapped["site"] < sites) & (mapped["domain"] < len(DOMAINS)) & (mapped["end"] > mapped["start"])
        ]
        blocks = self._sums.rows()
        of_mappings = summed(
            mapped["site"].astype(np.int64),
            mapped["domain"].astype(np.int64),
            np.zeros(len(mapped), np.int64),
            mapped["end"] - mapped["start"],
        )
        return np.concatenate([blocks[blocks["site"] < sites], of_mappings])

    def _take_names(self) -> None:
        """Copy what was added to strings and stacks. They are needed even after the process has ended."""
        places = self.places
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
        count = min(self._half_word(self.places.range_count_at), RANGES)
        return self._records(RANGE, self.places.ranges, count)

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
