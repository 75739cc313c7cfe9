"""Who holds what stays, in words: a way from a root, a cache, a reference cycle."""

from __future__ import annotations

from collections.abc import Sequence

from soak.attribution.grouping import INSIDE, CauseGroup, chain_steps
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.grounds import WEAK_KINDS, HoldingCache
from soak.reporting.words.vocabulary import with_article
from soak.results import Cause, ChainNode, MemoryKind, MemoryStep, Place
from soak.units import format_count, format_size

_STATE_OF_CPYTHON = "_PyRuntime"
"""What the interpreter itself keeps lies in it: functions to run at exit, types, interned strings, ..."""
_LEFT_OUT = "..."
"""The name of a node that stands for several."""
_OF_MEMORY: dict[str, str] = {
    MemoryKind.MAIN_STACK: "the main thread's stack",
    MemoryKind.THREAD_STACK: "a thread's stack",
    MemoryKind.UNMAPPED: "memory that is gone",
    MemoryKind.UNKNOWN: "memory that the tracker does not know: from before it began, or of an allocator of its own",
}
_WEAK = {"WeakValueDictionary": "values", "WeakKeyDictionary": "keys", "WeakSet": "objects"}
_CACHES = {
    "lru_cache": "an lru_cache",
    "re": "the cache of re",
    "linecache": "the cache of linecache",
    "deque": "a deque",
    **{kind: f"a {kind}" for kind in WEAK_KINDS},
    "cachetools": "a cachetools cache",
    "sqlite3": "a list of sqlite3 cursors",
}


def held_by(cause: Cause) -> tuple[str, ...]:
    """Give the way from a root to what stays, a step a line; nothing where it is not known."""
    if cause.chain:
        return tuple(_node_words(name, node) for name, node in chain_steps(cause.chain))
    if cause.ring:
        return (f"each other: {describe_ring(cause.ring)}",)
    if cause.memory_path:
        return tuple(map(step_words, cause.memory_path))
    if cause.kind == "reference-cycle" and cause.state == "held":
        return ("each other: a reference cycle that is not collected",)
    return ()


def group_held_by(group: CauseGroup) -> tuple[str, ...]:
    """Give the way to what a group keeps; nothing of an object that is lost: its sentence says all that holds it."""
    owner = group.owner
    return () if owner is not None and owner.is_lost else held_by(group.head)


def named_step(path: Sequence[MemoryStep]) -> MemoryStep | None:
    """Return the first step of a way that has a name, a variable or an attribute; None where there is none."""
    return next((step for step in path if step.kind == MemoryKind.BLOCK and step.name), None)


def gobject_step(path: Sequence[MemoryStep]) -> MemoryStep | None:
    """Return the object of GLib on a way that is nearest to the blocks; None where there is none."""
    return next((step for step in reversed(path) if step.kind == MemoryKind.GOBJECT), None)


def step_words(step: MemoryStep) -> str:
    """Name memory that holds something: ``kept, a static variable of keeper.so``."""
    if step.kind == MemoryKind.TEXT:
        return step.name or ""
    if step.kind == MemoryKind.STATIC:
        module = (step.module or "").rpartition("/")[2]
        if step.name == _STATE_OF_CPYTHON:
            return f"CPython itself ({_STATE_OF_CPYTHON} of {module})"
        return f"{step.name}, a static variable of {module}" if step.name else f"static data of {module}"
    if step.kind == MemoryKind.LOST_BLOCK:
        return f"the block allocated at {allocation_words(step.allocated_at)}, which is lost itself"
    if step.kind == MemoryKind.BLOCK and step.name:
        return f"{step.name}, the {step.type or 'block'} allocated at {allocation_words(step.allocated_at)}"
    if step.kind in (MemoryKind.BLOCK, MemoryKind.GOBJECT):
        return f"the {step.type or 'block'} allocated at {allocation_words(step.allocated_at)}"
    return _OF_MEMORY.get(step.kind, step.kind)


def allocation_words(place: Place | None) -> str:
    """Name the call that allocated a holder: ``/app/job.py:3 in work``."""
    if place is None:
        return "an unknown place"
    return f"{place.file}:{place.line} in {place.function}" if place.is_python else str(place)


def cache_words(cache: HoldingCache, noun: str) -> str:
    """Name a cache, its bound and how full it is: ``an lru_cache of 512, palette.lookup, with 300 entries``."""
    bound = "without a bound" if cache.capacity is None else f"of {format_count(cache.capacity)}"
    if cache.is_bounded_by_code:
        bound = "that its code bounds" if cache.capacity is None else f"that its code bounds at {cache.capacity:,}"
    title = f"{_CACHES.get(cache.kind) or with_article(cache.kind)} {bound}, {cache.name}"
    if cache.capacity is not None and cache.filled >= cache.capacity:
        return f"{title}, which is full"
    full = f" and full at about {noun} {format_count(cache.full_at_cycle)}" if cache.full_at_cycle else ""
    return f"{title}, with {format_count(cache.filled)} entries{full}"


def cache_advice(cache: HoldingCache) -> str:
    """Say what to do about a cache that holds what grows; empty where it needs nothing."""
    if cache.has_hidden_bound:
        return "Some code takes entries out of it again: see that it takes out these too, or give it a bound."
    if cache.is_bounded_by_code:
        return ""
    if cache.kind in WEAK_KINDS:
        return f"Its entries go with their {_WEAK[cache.kind]}: look for what holds those."
    if cache.capacity is None:
        return "Give it a maxsize." if cache.kind == "lru_cache" else "Give it a bound, or empty it now and then."
    return ""


def container_words(expression: str, node: ChainNode) -> str:
    """Name a container in a sentence: ``my_script.seen, a list of 600 (5.305 KiB)``."""
    what, _, _ = node.what.partition(": ")  # without the beginning of its value
    named = f"{what} {expression}" if expression.startswith(INSIDE) else f"{expression}, {what}"
    return f"{named}{f' ({format_size(node.size_bytes)})' if node.size_bytes else ''}"


def _node_words(expression: str, node: ChainNode) -> str:
    if node.name == _LEFT_OUT:
        return _LEFT_OUT
    size = f", {format_size(node.size_bytes)}" if node.size_bytes else ""
    # "held by a list inside app.view": what has no expression begins with what it is.
    named = f"{node.what} {expression}" if expression.startswith(INSIDE) else f"{expression}, {node.what}"
    return named + size
