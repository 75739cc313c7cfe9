"""Read the ledger that the tracker writes at checkpoints; the layout is that of ``layout.h``.

For the parent: it maps the child's file and copies a checkpoint out of it, at any moment. Two checkpoints alternate in
the file, and the one that is being written is never the one that is read.
"""

from __future__ import annotations

import mmap
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = b"soakledg"
VERSION = 3
REQUESTS = 64
RANGES = 256

DOMAINS = ("native", "python mem", "python obj", "mapping", "pymalloc arena")
NATIVE, PYTHON_MEM, PYTHON_OBJ, MAPPING, PYMALLOC_ARENA = range(5)
KINDS = ("none", "unknown", "native", "python", "stack", "opening")
UNKNOWN, NATIVE_SITE, PYTHON_SITE, STACK_SITE, OPENING_SITE = 1, 2, 3, 4, 5

STATE_NATIVE, STATE_PYTHON_DOMAINS, STATE_PYTHON_LINES, STATE_NATIVE_STACKS = 1, 2, 4, 8

FRAME_PYTHON = 1 << 63
FRAME_PYTHON_ENTRY = 1 << 62
SITE_MASK = (1 << 17) - 1

_BUCKETS_EXACT = 8
_BUCKETS_PER_OCTAVE = 4
_BUCKETS = _BUCKETS_EXACT + _BUCKETS_PER_OCTAVE * 21
"""Epochs have 24 bits; the first eight, 3 bits, are exact."""

DESCRIPTORS_LIMIT = 65536
TASKS_LIMIT = 4096

_PARENT_FORMAT = "<8s6I8Q"
_REQUESTS_FORMAT = f"<2I{REQUESTS}I"
_CHILD_FORMAT = "<4I"
_REQUESTS_AT = struct.calcsize(_PARENT_FORMAT)
_CHILD_AT = _REQUESTS_AT + struct.calcsize(_REQUESTS_FORMAT)
_CHECKPOINT_FORMAT = "<2Q6I9Q3Q"

ROW = np.dtype(
    [
        ("site", "<u4"),
        ("domain", "u1"),
        ("reserved", "u1"),
        ("bucket", "<u2"),
        ("live_blocks", "<u8"),
        ("live_bytes", "<u8"),
        ("next", "<u4"),
        ("reserved2", "<u4"),
    ]
)
SITE = np.dtype(
    [
        ("key", "<u8"),
        ("address", "<u8"),
        ("kind", "<u4"),
        ("parent", "<u4"),
        ("file", "<u4"),
        ("function", "<u4"),
        ("line", "<u4"),
        ("instruction", "<u4"),
        ("flags", "<u4"),
        ("stacks", "<u4"),
    ]
)
RANGE = np.dtype([("start", "<u8"), ("end", "<u8")])
OPENING = np.dtype([("site", "<u4"), ("number", "<u4"), ("cycle", "<u8")])


@dataclass(frozen=True)
class Frame:
    """One frame of a stack: native with its return address, or Python with its place."""

    address: int | None = None
    file: str | None = None
    function: str | None = None
    line: int | None = None
    is_entry: bool = False
    """A Python frame that C called: the frames up to it share one ``_PyEval_EvalFrameDefault``."""


@dataclass(frozen=True)
class Checkpoint:
    """What was alive at one moment. Arrays are copies."""

    sequence: int
    cycle: int
    shift: int
    """An epoch is 2**shift cycles; buckets count epochs."""
    rows: NDArray[np.void]
    """``ROW``: site, domain, bucket, live_blocks, live_bytes. A (site, domain, bucket) stands once."""
    births: NDArray[np.uint64]
    """By site: blocks allocated since the start."""
    sites: NDArray[np.void]
    """``SITE``, indexed by number. Row 0 is unused, row 1 stands for everything without a site."""
    ranges: NDArray[np.void]
    """``RANGE``: the tracker's own memory, to be taken out of what is measured."""
    live_blocks: int
    live_bytes: int
    unlisted_blocks: int
    unlisted_bytes: int
    lost_blocks: int
    lost_sites: int
    lost_mappings: int
    scan_ns: int
    reinstalled: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost for want of room: only then does the ledger prove the absence of growth."""
        return not (self.unlisted_blocks or self.lost_blocks or self.lost_sites or self.lost_mappings)

    @property
    def at_entry(self) -> NDArray[np.bool_]:
        """By site: whether it stands in a Python function that is entered, before its first instruction.

        A stack stands where its parent does.
        """
        parents = np.where(self.sites["kind"] == STACK_SITE, self.sites["parent"], np.arange(len(self.sites)))
        found = (self.sites["kind"] == PYTHON_SITE) & (self.sites["instruction"].view("<i4") < 0)
        at_entry: NDArray[np.bool_] = found[parents]
        return at_entry

    @property
    def births_end(self) -> NDArray[np.int64]:
        """The last birth cycle that each bucket stands for, ``(buckets,)`` ascending."""
        return (_EPOCHS_END << self.shift) - 1

    def cycles_of_bucket(self, bucket: int) -> range:
        """Return the birth cycles that a row's bucket stands for."""
        first, stop = _epochs_of_bucket(bucket), _epochs_of_bucket(bucket + 1)
        return range(first << self.shift, stop << self.shift)


@dataclass(frozen=True)
class Opening:
    """Who opened a descriptor, or started a thread or a process."""

    site: int
    cycle: int


class LedgerError(Exception):
    """The file is no ledger, or of another version."""


class Ledger(ABC):
    """What a tracker records of one process, wherever that stands; it names the places of its sites."""

    @property
    @abstractmethod
    def state(self) -> int:
        """Bits of what is recorded: ``STATE_NATIVE`` and so on."""

    @abstractmethod
    def read(self) -> Checkpoint | None:
        """Return the latest checkpoint; None where there is none."""

    @abstractmethod
    def request_flags(self, sites: list[int]) -> None:
        """Have stacks captured at ``sites``, 64 at most."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the process and its files."""

    @abstractmethod
    def _string(self, offset: int) -> str:
        """Return the string at a byte of the strings."""

    def openings(self) -> tuple[dict[int, Opening], dict[int, Opening]]:
        """Return who opened what; nothing where that is not noted."""
        return {}, {}

    @abstractmethod
    def _stack_words(self, at: int) -> tuple[int, ...]:
        """Return the frames of the stack at a word of the stacks."""

    def place(self, checkpoint: Checkpoint, site: int) -> Frame | None:
        """Return where a site is, without symbols; None when nothing is known. A stack stands where its parent does."""
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
        """Return the frames of a stack's site, innermost first: the native ones, then the Python ones."""
        if site >= len(checkpoint.sites) or checkpoint.sites[site]["kind"] not in (STACK_SITE, OPENING_SITE):
            return []
        row = checkpoint.sites[site]
        return [self._frame(checkpoint, word) for word in self._stack_words(int(row["address"]))]

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
    """The ledger of one process. Open it when the child has made it, close it when the child is gone."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        fields = struct.unpack_from(_PARENT_FORMAT, self._memory)
        if fields[0] != MAGIC or fields[1] != VERSION:
            self._memory.close()
            raise LedgerError(f"{path} is no ledger of version {VERSION}")
        self._row_capacity, self._site_capacity = fields[2], fields[3]
        self._sites_at, self._strings_at, self._stacks_at = fields[8:11]
        self._checkpoint_at: tuple[int, int] = fields[11:13]
        self._descriptors_at, self._tasks_at = fields[13:15]

    def close(self) -> None:
        """Unmap the file."""
        self._memory.close()

    @property
    def state(self) -> int:
        """Bits of what is recorded: ``STATE_NATIVE`` and so on."""
        return self._child()[3]

    def read(self) -> Checkpoint | None:
        """Return the latest complete checkpoint; None before the first."""
        for _ in range(8):
            latest = self._child()[1]
            if latest == 0:
                return None
            checkpoint = self._read(self._checkpoint_at[latest - 1])
            # Two checkpoints later the child writes over what was just copied.
            if self._sequence(latest - 1) == checkpoint.sequence:
                return checkpoint
        raise LedgerError("the child writes checkpoints faster than they can be read")

    def openings(self) -> tuple[dict[int, Opening], dict[int, Opening]]:
        """Return who opened each descriptor and who started each thread and process, by the kernel's numbers.

        Openings before the first cycle are not there, and those of what is closed by now still are.
        """
        return (
            self._openings(DESCRIPTORS_LIMIT, self._descriptors_at),
            self._openings(TASKS_LIMIT, self._tasks_at),
        )

    def _openings(self, limit: int, at: int) -> dict[int, Opening]:
        rows = self._array(OPENING, limit, at)
        return {int(row["number"]): Opening(int(row["site"]), int(row["cycle"])) for row in rows[rows["site"] > 0]}

    def request_flags(self, sites: list[int]) -> None:
        """Ask the child to capture stacks at ``sites``, 64 at most, from its next checkpoint on."""
        if len(sites) > REQUESTS:
            raise ValueError(f"{len(sites)} sites to flag, {REQUESTS} at most")
        sequence = struct.unpack_from("<I", self._memory, _REQUESTS_AT)[0]
        struct.pack_into(f"<{len(sites)}I", self._memory, _REQUESTS_AT + 8, *sites)
        struct.pack_into("<I", self._memory, _REQUESTS_AT + 4, len(sites))
        # Last: the child looks at the sequence first.
        struct.pack_into("<I", self._memory, _REQUESTS_AT, (sequence + 1) & 0xFFFFFFFF)

    def _string(self, offset: int) -> str:
        start = self._strings_at + offset
        return self._memory[start : self._memory.find(b"\0", start)].decode("utf-8", "replace")

    def _stack_words(self, at: int) -> tuple[int, ...]:
        start = self._stacks_at + 8 * at
        (counts,) = struct.unpack_from("<Q", self._memory, start)
        return struct.unpack_from(f"<{(counts & 0xFFFFFFFF) + (counts >> 32)}Q", self._memory, start + 8)

    def _child(self) -> tuple[int, ...]:
        return struct.unpack_from(_CHILD_FORMAT, self._memory, _CHILD_AT)

    def _sequence(self, index: int) -> int:
        return int(struct.unpack_from("<Q", self._memory, self._checkpoint_at[index])[0])

    def _array(self, dtype: np.dtype[np.void], count: int, at: int) -> NDArray[np.void]:
        return np.frombuffer(self._memory, dtype, count, at).copy()

    def _read(self, at: int) -> Checkpoint:
        fields = struct.unpack_from(_CHECKPOINT_FORMAT, self._memory, at)
        sequence, cycle, shift, rows, sites, _strings, _stacks, ranges = fields[:8]
        ranges_at = at + struct.calcsize(_CHECKPOINT_FORMAT)
        births_at = ranges_at + RANGES * RANGE.itemsize
        rows_at = births_at + 8 * self._site_capacity
        return Checkpoint(
            sequence=sequence,
            cycle=cycle,
            shift=shift,
            rows=self._array(ROW, rows, rows_at),
            births=np.frombuffer(self._memory, np.uint64, sites, births_at).copy(),
            sites=self._array(SITE, sites, self._sites_at),
            ranges=self._array(RANGE, ranges, ranges_at),
            live_blocks=fields[8],
            live_bytes=fields[9],
            unlisted_blocks=fields[10],
            unlisted_bytes=fields[11],
            lost_blocks=fields[12],
            lost_sites=fields[13],
            lost_mappings=fields[14],
            scan_ns=fields[15],
            reinstalled=fields[16],
        )


def _epochs_of_bucket(bucket: int) -> int:
    """Return the first epoch of a bucket: exact below 8, then four buckets to each octave."""
    if bucket < _BUCKETS_EXACT:
        return bucket
    octave, quarter = divmod(bucket - _BUCKETS_EXACT, _BUCKETS_PER_OCTAVE)
    return (_BUCKETS_PER_OCTAVE + quarter) << (octave + 1)


_EPOCHS_END = np.array([_epochs_of_bucket(bucket + 1) for bucket in range(_BUCKETS)], np.int64)
