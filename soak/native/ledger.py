"""Read the ledger that the tracker writes at checkpoints.

For the parent. It maps the child's file, and can copy a checkpoint at any moment: two checkpoints alternate in the
file, and the child never writes the one that is read.
"""

from __future__ import annotations

import mmap
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import (
    BUCKETS_EXACT,
    BUCKETS_PER_OCTAVE,
    CHECKPOINT,
    CREATION,
    CREATION_UNWRITTEN,
    CREATIONS,
    DESCRIPTORS_LIMIT,
    EPOCH_BITS,
    FRAME_PYTHON,
    FRAME_PYTHON_ENTRY,
    HEADER,
    LEDGER_MAGIC,
    LEDGER_VERSION,
    NATIVE_SITE,
    OPENING,
    OPENING_SITE,
    PYTHON_SITE,
    RANGE,
    RANGES,
    REQUESTS,
    ROW,
    SITE,
    SITE_MASK,
    STACK_SITE,
    TASKS_LIMIT,
)

_WORD = np.dtype("<u8")
_NO_FILE = "__init__"
"""What CPython 3.12 and 3.13 call the file of a frame of their own, between a class and its ``__init__``."""
_BUCKETS = BUCKETS_EXACT + BUCKETS_PER_OCTAVE * (EPOCH_BITS - 3)
"""The first eight epochs, 3 bits, are exact."""
_TOTALS = (
    "live_blocks",
    "live_bytes",
    "unlisted_blocks",
    "unlisted_bytes",
    "lost_blocks",
    "lost_sites",
    "lost_mappings",
    "scan_ns",
    "reinstalled",
)


@dataclass(frozen=True)
class Frame:
    """One frame of a stack. A native frame has its return address; a Python frame has file, function and line."""

    address: int | None = None
    file: str | None = None
    function: str | None = None
    line: int | None = None
    is_entry: bool = False
    """A Python frame that C called: the frames up to it share one ``_PyEval_EvalFrameDefault``."""


class SiteTable:
    """The sites of a process, in the order of their numbers, and what follows from them; new ones only follow."""

    def __init__(self, rows: NDArray[np.void]) -> None:
        """Take in ``rows``: ``SITE``, indexed by number. Row 0 is unused; row 1 is for everything without a site."""
        self.rows = rows

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """By site: itself, or the site whose stack it is."""
        numbers = np.arange(len(self.rows))
        return np.where(self.rows["kind"] == STACK_SITE, self.rows["parent"], numbers).astype(np.int64)

    @cached_property
    def at_entry(self) -> NDArray[np.bool_]:
        """By site: whether it is at the entry of a Python function, before its first instruction.

        The place of a stack is that of its parent.
        """
        found = (self.rows["kind"] == PYTHON_SITE) & (self.rows["instruction"].view("<i4") < 0)
        at_entry: NDArray[np.bool_] = found[self.owners]
        return at_entry


@dataclass(frozen=True)
class Checkpoint:
    """What was alive at one moment. Arrays are copies."""

    sequence: int
    cycle: int
    shift: int
    """An epoch is 2**shift cycles; buckets count epochs."""
    rows: NDArray[np.void]
    """``ROW``: site, domain, bucket, live_blocks, live_bytes. There is one row for a (site, domain, bucket)."""
    births: NDArray[np.uint64]
    """By site: blocks allocated since the start."""
    site_table: SiteTable
    ranges: NDArray[np.void]
    """``RANGE``: the tracker's own memory, which is not part of what is measured."""
    live_blocks: int
    live_bytes: int
    unlisted_blocks: int
    unlisted_bytes: int
    lost_blocks: int
    lost_sites: int
    lost_mappings: int
    scan_ns: int
    reinstalled: int
    spans: NDArray[np.int64] | None = None
    """The first and the last cycle of each bucket, ``(buckets, 2)`` in the order of the last; None if buckets are
    the tracker's own."""

    @property
    def is_complete(self) -> bool:
        """Whether there was room for everything. Only then can the ledger prove that nothing grows."""
        return not (self.unlisted_blocks or self.lost_blocks or self.lost_sites or self.lost_mappings)

    @property
    def sites(self) -> NDArray[np.void]:
        """The rows of the table of sites."""
        return self.site_table.rows

    @property
    def births_end(self) -> NDArray[np.int64]:
        """The last cycle of birth in each bucket, ``(buckets,)`` ascending."""
        return (_EPOCHS_END << self.shift) - 1 if self.spans is None else self.spans[:, 1]

    @property
    def births_from(self) -> NDArray[np.int64]:
        """The first cycle of birth in each bucket, ``(buckets,)``."""
        return np.append(0, self.births_end[:-1] + 1) if self.spans is None else self.spans[:, 0]

    def cycles_of_bucket(self, bucket: int) -> range:
        """Return the cycles of birth that belong to a bucket."""
        first, stop = _epochs_of_bucket(bucket), _epochs_of_bucket(bucket + 1)
        return range(first << self.shift, stop << self.shift)


class Packing(NamedTuple):
    """By how much the resident memory is less because the tracker has packed tables, as of the latest checkpoint."""

    saved_bytes: int = 0
    turn: int = 0
    """Changes when tables are packed, and is odd meanwhile."""


@dataclass(frozen=True)
class Opening:
    """The call site that opened a descriptor, or started a thread or a process, and the cycle in which it did."""

    site: int
    cycle: int


@dataclass(frozen=True)
class Creation:
    """Something with a name or a number that the process created outside itself, and has not removed again so far."""

    kind: int
    """``CREATED_PATH`` and so on."""
    name: str
    """The absolute path, or the name of a message queue; empty for System V, which has numbers."""
    number: int
    """The inode, or the number of System V."""
    device: int
    site: int
    """The call site that created it; 0 if that is not known."""
    cycle: int
    is_forked: bool
    """A forked child created it."""


@dataclass(frozen=True)
class Creations:
    """What was created since the last time, oldest first."""

    new: tuple[Creation, ...]
    lost: int
    """How many were not recorded so far, because there was no room or their name is too long."""


class LedgerError(Exception):
    """The file is not a ledger, or has another version."""


class Ledger(ABC):
    """What the tracker records of one process, in a file or in the memory of that process."""

    @property
    @abstractmethod
    def state(self) -> int:
        """Bits of what is recorded: ``STATE_NATIVE`` and so on."""

    @abstractmethod
    def read(self) -> Checkpoint | None:
        """Return the latest checkpoint; None when there is none."""

    @abstractmethod
    def request_flags(self, sites: list[int]) -> None:
        """Ask for stacks to be captured at ``sites``, 64 at most."""

    def release_flags(self, sites: list[int]) -> bool:  # noqa: ARG002
        """Ask for no more stacks at ``sites``; return whether that can be asked for."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    @abstractmethod
    def _string(self, offset: int) -> str:
        """Return the string at an offset of the strings."""

    def packing(self) -> Packing:
        """Return what packed tables save now."""
        return Packing()

    def openings(self) -> tuple[dict[int, Opening], dict[int, Opening]]:
        """Return who opened what; nothing if that is not recorded."""
        return {}, {}

    def take_creations(self) -> Creations | None:
        """Take over what was created since the last time; None if that is not recorded."""
        return None

    @abstractmethod
    def _stack_words(self, at: int) -> tuple[int, ...]:
        """Return the frames of the stack that begins at a word of the stacks."""

    def place(self, checkpoint: Checkpoint, site: int) -> Frame | None:
        """Return where a site is, without symbols; None when that is not known. For a stack: its parent's place."""
        if site >= len(checkpoint.sites):
            return None
        row = checkpoint.sites[site]
        if row["kind"] == NATIVE_SITE:
            return Frame(address=int(row["address"]))
        if row["kind"] == PYTHON_SITE:
            return self._python_frame(row, is_entry=False)
        if row["kind"] in (STACK_SITE, OPENING_SITE):
            return self.place(checkpoint, int(row["parent"]))
        return None

    def stack(self, checkpoint: Checkpoint, site: int) -> list[Frame]:
        """Return the frames of the site of a stack, innermost first: native frames, then those of Python."""
        if site >= len(checkpoint.sites) or checkpoint.sites[site]["kind"] not in (STACK_SITE, OPENING_SITE):
            return []
        row = checkpoint.sites[site]
        frames = (self._frame(checkpoint, word) for word in self._stack_words(int(row["address"])))
        return [frame for frame in frames if frame.file != _NO_FILE]

    def python_files(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Return the files of all Python sites."""
        offsets = checkpoint.sites["file"][checkpoint.sites["kind"] == PYTHON_SITE]
        files = map(self._string, sorted(set(offsets.tolist())))
        return tuple(file for file in files if file != _NO_FILE)

    def _frame(self, checkpoint: Checkpoint, word: int) -> Frame:
        if not word & FRAME_PYTHON:
            return Frame(address=word)
        return self._python_frame(checkpoint.sites[word & SITE_MASK], is_entry=bool(word & FRAME_PYTHON_ENTRY))

    def _python_frame(self, row: np.void, *, is_entry: bool) -> Frame:
        return Frame(
            file=self._string(int(row["file"])),
            function=self._string(int(row["function"])),
            line=int(row["line"]),
            is_entry=is_entry,
        )


class LedgerFile(Ledger):
    """The ledger file of one process. Open it when the child has created it; close it when the child has ended."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        header = self._header()
        if header["magic"] != LEDGER_MAGIC or header["version"] != LEDGER_VERSION:
            self._memory.close()
            raise LedgerError(f"{path} is not a ledger of version {LEDGER_VERSION}")
        self._site_capacity = int(header["site_capacity"])
        self._strings_at, self._stacks_at = int(header["strings_at"]), int(header["stacks_at"])
        self._sites_at = int(header["sites_at"])
        self._checkpoint_at: list[int] = header["checkpoint_at"].tolist()
        self._descriptors_at, self._tasks_at = int(header["descriptors_at"]), int(header["tasks_at"])
        self._creations_at, self._pid = int(header["creations_at"]), int(header["pid"])
        self._site_table = SiteTable(np.zeros(0, SITE))

    def close(self) -> None:
        """Unmap the file."""
        self._memory.close()

    @property
    def state(self) -> int:
        """Bits of what is recorded: ``STATE_NATIVE`` and so on."""
        return int(self._header()["state"])

    def packing(self) -> Packing:
        """See Ledger."""
        header = self._header()
        return Packing(int(header["saved_bytes"]), int(header["packing_turn"]))

    def read(self) -> Checkpoint | None:
        """Return the latest complete checkpoint; None before the first."""
        for _ in range(8):
            latest = int(self._header()["latest"])
            if latest == 0:
                return None
            checkpoint = self._read(self._checkpoint_at[latest - 1])
            # Two checkpoints later, the child overwrites the one that was just copied.
            if self._one(CHECKPOINT, self._checkpoint_at[latest - 1])["sequence"] == checkpoint.sequence:
                return checkpoint
        raise LedgerError("the child writes checkpoints faster than they can be read")

    def openings(self) -> tuple[dict[int, Opening], dict[int, Opening]]:
        """Return who opened each descriptor, and who started each thread and process, by the kernel's numbers.

        Openings before the first cycle are not recorded. An opening stays when what it opened is closed.
        """
        return (
            self._openings(DESCRIPTORS_LIMIT, self._descriptors_at),
            self._openings(TASKS_LIMIT, self._tasks_at),
        )

    def _openings(self, limit: int, at: int) -> dict[int, Opening]:
        rows = self._array(OPENING, limit, at)
        recorded = rows[rows["number_and_site"] > 0].tolist()
        return {word >> 32: Opening(word & 0xFFFFFFFF, cycle) for word, cycle in recorded}

    def take_creations(self) -> Creations:
        """Take over what was created since the last time; its places in the table are free from then on."""
        head = self._one(CREATIONS, self._creations_at)
        places = np.frombuffer(self._memory, CREATION, int(head["used"]), self._creations_at + CREATIONS.itemsize)
        serials = places["serial"].copy()
        found: dict[int, Creation] = {}
        for number in np.flatnonzero((serials > CREATION_UNWRITTEN) & (serials != places["taken"])).tolist():
            creation, serial = self._creation(places[number].copy()), int(serials[number])
            # Meanwhile it may have been removed, and the place used again.
            if int(places["serial"][number]) == serial:
                places["taken"][number] = serial
                found[serial] = creation
        return Creations(tuple(found[serial] for serial in sorted(found)), int(head["lost"]))

    def _creation(self, place: np.void) -> Creation:
        return Creation(
            int(place["kind"]),
            os.fsdecode(bytes(place["name"])),
            int(place["number"]),
            int(place["device"]),
            int(place["site"]),
            int(place["cycle"]),
            int(place["process"]) != self._pid,
        )

    def request_flags(self, sites: list[int]) -> None:
        """Ask the child to capture stacks at ``sites``, 64 at most, from its next checkpoint on."""
        if len(sites) > REQUESTS:
            raise ValueError(f"{len(sites)} sites to flag, {REQUESTS} at most")
        header = np.frombuffer(self._memory, HEADER, 1)
        header["request_sites"][0, : len(sites)] = sites
        header["request_count"] = len(sites)
        # Last, because the child reads the sequence first.
        header["request_sequence"] += 1

    def _string(self, offset: int) -> str:
        start = self._strings_at + offset
        return self._memory[start : self._memory.find(b"\0", start)].decode("utf-8", "replace")

    def _stack_words(self, at: int) -> tuple[int, ...]:
        start = self._stacks_at + 8 * at
        counts = int(self._one(_WORD, start))
        words: tuple[int, ...] = tuple(self._array(_WORD, (counts & 0xFFFFFFFF) + (counts >> 32), start + 8).tolist())
        return words

    def _header(self) -> Any:
        return self._one(HEADER, 0)

    def _one(self, dtype: np.dtype[Any], at: int) -> Any:
        return self._array(dtype, 1, at)[0]

    def _array(self, dtype: np.dtype[Any], count: int, at: int) -> NDArray[Any]:
        return np.frombuffer(self._memory, dtype, count, at).copy()

    def _site_table_of(self, sites: int) -> SiteTable:
        """Return the table of so many sites; mostly there are no new ones, and then it is the one of before."""
        if len(self._site_table.rows) != sites:
            self._site_table = SiteTable(self._array(SITE, sites, self._sites_at))
        return self._site_table

    def _read(self, at: int) -> Checkpoint:
        head = self._one(CHECKPOINT, at)
        ranges_at = at + CHECKPOINT.itemsize
        births_at = ranges_at + RANGES * RANGE.itemsize
        rows_at = births_at + self._site_capacity * _WORD.itemsize
        sites = int(head["sites"])
        totals: dict[str, Any] = {name: int(head[name]) for name in _TOTALS}
        return Checkpoint(
            sequence=int(head["sequence"]),
            cycle=int(head["cycle"]),
            shift=int(head["shift"]),
            rows=self._array(ROW, int(head["rows"]), rows_at),
            births=self._array(_WORD, sites, births_at),
            site_table=self._site_table_of(sites),
            ranges=self._array(RANGE, int(head["ranges"]), ranges_at),
            **totals,
        )


def buckets_of(epochs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bucket of each epoch, as the tracker counts it."""
    large = np.maximum(epochs, BUCKETS_EXACT)
    octaves = np.frexp(large.astype(np.float64))[1].astype(np.int64) - 1
    in_octave = (large >> (octaves - 2)) & (BUCKETS_PER_OCTAVE - 1)
    found = BUCKETS_EXACT + (octaves - 3) * BUCKETS_PER_OCTAVE + in_octave
    return np.where(epochs < BUCKETS_EXACT, epochs, found)


def _epochs_of_bucket(bucket: int) -> int:
    """Return the first epoch of a bucket: exact below 8, then four buckets to each octave."""
    if bucket < BUCKETS_EXACT:
        return bucket
    octave, quarter = divmod(bucket - BUCKETS_EXACT, BUCKETS_PER_OCTAVE)
    return (BUCKETS_PER_OCTAVE + quarter) << (octave + 1)


_EPOCHS_END = np.array([_epochs_of_bucket(bucket + 1) for bucket in range(_BUCKETS)], np.int64)
