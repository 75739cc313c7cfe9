"""A cause of growth: its place, what was allocated there, and what holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from soak.grounds import HoldingCache
from soak.results.places import ChainNode, MemoryStep, Place


class Unseen(StrEnum):
    """Why it is not known who holds the blocks of a cause."""

    NOT_SCANNED = "not-scanned"
    NOT_READABLE = "not-readable"
    TOO_FEW_BLOCKS = "too-few-blocks"
    SOME_HELD = "some-held"
    """Nothing points to some of them, something to others."""
    MOST_LOST = "most-lost"
    """Nothing points to most of them, something to the others: they are probably lost."""
    SEEN_ONCE = "seen-once"
    """Nothing points to them, at the only scan that there was."""
    FREED_LATER = "freed-later"
    """Nothing pointed to blocks that were freed later."""
    NOT_MORE = "not-more"
    """Nothing points to them, but their number did not grow from one scan to the next."""
    TOO_MANY_OBJECTS = "too-many-objects"
    """They are held, but the process has too many objects to find how Python code reaches them."""


@dataclass(frozen=True)
class Opened:
    """Descriptors, threads or child processes that stay and are alike."""

    kind: str
    """What they are: ``file``, ``tcp socket``, ``pipe``, ``thread``, ``zombie process``, …"""
    name: str
    """Path, addresses, thread name or command, with ``*`` for where they differ; empty where they have none."""
    count: int


@dataclass(frozen=True)
class Owner:
    """The object that the blocks of a cause belong to: without it, nothing would hold them."""

    type: str
    """The Python type, or the name of a GType."""
    size_bytes: float
    """The size of one object, with everything that it owns."""
    per_iteration: float = 1.0
    """How many such objects a cycle leaves."""
    allocated_at: Place | None = None
    fingerprint: str | None = None
    """The fingerprint of the cause for the owner itself; None if its call site does not grow."""
    is_lost: bool = False
    """Nothing outside points to it: its objects hold each other, or a reference was never dropped."""
    ref_count: int | None = None
    """The usual reference count, for objects of GLib; None for others."""
    function: Place | None = None
    """The line that made the Python function that holds the owner and that the owner holds."""
    memory: Place | None = None
    """The line that allocated the native memory that alone holds the owner."""


@dataclass(frozen=True)
class Cause:
    """A place and a holder of growth."""

    kind: str
    confirmed: bool
    state: str
    """``lost``, ``held`` or ``unknown``."""
    fingerprint: str
    bytes_per_iteration: float | None = None
    blocks_per_iteration: float | None = None
    requested_size: int | None = None
    every: float | None = None
    since: int | None = None
    where: Place | None = None
    python_where: Place | None = None
    frames: tuple[Place, ...] = ()
    """The stack of the allocation, or of the call that opened what stays open; innermost first."""
    type: str | None = None
    holder: HoldingCache | None = None
    chain: tuple[ChainNode, ...] = ()
    """The path from a root to one of the objects, as the measured process itself reports it."""
    ring: tuple[ChainNode, ...] = ()
    """The reference cycle that the objects are in, from one back to itself."""
    memory_path: tuple[MemoryStep, ...] = ()
    """The path from a root to the blocks, as a scan of the memory saw it; the root first."""
    unseen: str | None = None
    """An `Unseen`."""
    unseen_detail: str | None = None
    """The error that kept the memory from being read."""
    is_free_memory: bool = False
    """For fragmentation: an audit found that the growth is memory that the allocators keep free."""
    count_per_iteration: float | None = None
    """For descriptors, threads, child processes and things left behind: how many stay per cycle."""
    opened: tuple[Opened, ...] = ()
    """What they are, the most frequent first."""
    newest: str | None = None
    """For things left behind: the path or name of the newest."""
    owner: Owner | None = None
    """The object that its blocks are part of, or that they are themselves."""
    allocated_bytes_per_iteration: float | None = None
    """What the allocators make of ``bytes_per_iteration``; None where that does not follow from the blocks' size."""
    processes: str | None = None
    """The processes that the program started and that have the cause, in short; None: the program itself."""
    waits_at: Place | None = None
    """For threads that only Python's own library started: the line that they run; ``python_where`` has it too."""
