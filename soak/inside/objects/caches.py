"""Recognise caches, whose growth is usually no leak: what each may hold, and how much it holds now.

This asks only the interpreter and C code of libraries. No code of the component runs.
"""

from __future__ import annotations

import collections
import functools
import sys
import weakref

from soak.inside.counting.real_gc import RealGc
from soak.inside.objects import imports

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from typing import Any

    Cache = tuple[str, str, int, int]
    """Kind, name (empty when only the way to the cache names it), capacity or NO_BOUND, entries."""

NO_BOUND = -1
LRU_CACHE: Any = type(functools.lru_cache(1)(len))
_DEQUE = collections.deque
TABLES: tuple[type, ...] = (collections.OrderedDict, collections.defaultdict, collections.deque)
_CONTAINERS = (dict, list, _DEQUE)
_WEAK: Any = (weakref.WeakValueDictionary, weakref.WeakKeyDictionary, weakref.WeakSet)
_SQLITE, _MOST_CURSORS = "sqlite3", 201
"""A connection has a weak reference to each of its cursors; it drops the dead ones when it has made 200 more."""
_FIRST_WITH_REFERENTS, _FIRST_WITHOUT_STATEMENTS = (3, 10), (3, 11)
"""Since when gc sees what a connection holds, and since when that is a list of cursors and one of blobs, which it does
not empty. Before it was one of statements and one of cursors."""


class Recogniser:
    """Recognises the caches that the process has now."""

    def __init__(self, imported: imports.Imports | None = None) -> None:
        """Collect the types of caches, and the dicts that are known to be caches.

        ``imported``: the modules that the cycles imported.
        """
        self._imported = imported
        self.types = {LRU_CACHE, _DEQUE, *_WEAK}
        self._cachetools = _subclasses(getattr(sys.modules.get("cachetools"), "Cache", None))
        self._queues = _subclasses(getattr(sys.modules.get("queue"), "Queue", None))
        self._queues |= _subclasses(getattr(sys.modules.get("asyncio.queues"), "Queue", None))
        self.types |= self._cachetools | self._queues
        self.connections = _subclasses(getattr(sys.modules.get("_sqlite3"), "Connection", None))
        self.dicts: dict[int, tuple[str, str, int]] = {}
        """Dicts and lists by their address."""
        for module, name, most in (("re", "_cache", "_MAXCACHE"), ("re", "_cache2", "_MAXCACHE2")):
            self._note(module, name, getattr(sys.modules.get(module), most, None))
        self._note("linecache", "cache", NO_BOUND)
        if imported is not None and imported.latest:
            self.types.add(type(sys))
            self.dicts[id(sys.modules)] = imports.KIND, imported.latest, NO_BOUND

    def describe(self, held: Any) -> Cache | None:
        """Describe an object as a cache; return None when it is not one."""
        kind = type(held)
        if self._imported is not None and self._imported.holds(held):
            return imports.KIND, self._imported.latest, NO_BOUND, len(self._imported)
        if kind is LRU_CACHE:
            info = held.cache_info()
            return (
                "lru_cache",
                _name_of_wrapped(held),
                NO_BOUND if info.maxsize is None else info.maxsize,
                info.currsize,
            )
        if kind is _DEQUE:
            return None if held.maxlen is None else ("deque", "", held.maxlen, len(held))
        if kind is dict or kind is list:
            known = self.dicts.get(id(held))
            return None if known is None else (known[0], known[1], known[2], len(held))
        if kind in _WEAK:
            return kind.__name__, "", NO_BOUND, len(held.data)
        if kind in self._cachetools:
            state = object.__getattribute__(held, "__dict__")
            most, now = state.get("_Cache__maxsize"), state.get("_Cache__currsize")
            if type(most) in (int, float) and type(now) in (int, float) and most < sys.maxsize:
                return "cachetools", "", int(most), int(now)
        return _bounded_queue(held) if kind in self._queues else None

    def note_lists(self, connection: Any) -> None:
        """Know the lists of a connection of sqlite3 as bounded caches. It makes new ones now and then."""
        for held in _lists_of(connection):
            self.dicts[id(held)] = _SQLITE, "", _MOST_CURSORS

    def hidden_lists(self) -> list[Any]:
        """Return the lists of connections of sqlite3, where gc does not see that these hold them, and know them."""
        if not self.connections or sys.version_info >= _FIRST_WITH_REFERENTS:
            return []
        objects = RealGc.get_objects()
        found = [held for held in objects if type(held) is list and held is not objects and _is_of_connection(held)]
        for held in found:
            self.dicts[id(held)] = _SQLITE, "", _MOST_CURSORS
        return found

    def counted(self, cache: Any, holder: Any) -> Any:
        """Return in what the entries of a cache are counted. ``holder``: what holds it."""
        return holder if type(cache) is list and type(holder) in self.connections else cache

    def entries_of(self, counted: Any) -> int:
        """Return how many entries a cache has now."""
        found = self._described(counted)
        return 0 if found is None else found[3]

    def is_full(self, counted: Any) -> bool:
        """Whether a cache must drop entries before it can take more."""
        found = self._described(counted)
        return found is not None and found[2] != NO_BOUND and found[3] >= found[2]

    def is_bounded(self, held: Any) -> bool:
        """Whether an object is a cache with a bound, or a module that the cycles imported."""
        if self._imported is not None and self._imported.holds(held):
            return True
        cache = self.describe(held)
        return cache is not None and cache[2] != NO_BOUND

    def _described(self, counted: Any) -> Cache | None:
        if type(counted) not in self.connections:
            return self.describe(counted)
        entries = max(map(len, _lists_of(counted)), default=0)
        return _SQLITE, "", _MOST_CURSORS, entries

    def _note(self, module: str, name: str, most: Any) -> None:
        found = getattr(sys.modules.get(module), name, None)
        if type(found) is dict and type(most) is int:
            self.dicts[id(found)] = (module, "%s.%s" % (module, name), most)


def _bounded_queue(held: Any) -> Cache | None:
    """Describe a queue of the standard library that has a bound."""
    state = object.__getattribute__(held, "__dict__")
    most, waiting = state.get("maxsize", state.get("_maxsize")), state.get("queue", state.get("_queue"))
    return ("Queue", "", most, length_of(waiting)) if type(most) is int and most > 0 else None


def length_of(held: Any) -> int:
    """Return how many entries a container has, without code of the component; 0 of other objects."""
    base: Any = next((base for base in _CONTAINERS if issubclass(type(held), base)), None)
    return 0 if base is None else base.__len__(held)


def _name_of_wrapped(cache: Any) -> str:
    wrapped = object.__getattribute__(cache, "__dict__").get("__wrapped__")
    if type(wrapped) is not type(_name_of_wrapped):
        return ""
    return "%s.%s" % (wrapped.__module__, wrapped.__qualname__)


def _lists_of(connection: Any) -> list[Any]:
    """Return the lists of a connection of sqlite3 that it keeps short."""
    lists = [held for held in RealGc.get_referents(connection) if type(held) is list]
    return lists[:1] if sys.version_info >= _FIRST_WITHOUT_STATEMENTS else lists[:2]


def _is_of_connection(held: list[Any]) -> bool:
    """Whether a list has nothing but weak references to cursors and statements of sqlite3, or to what is no more."""
    return 0 < len(held) <= _MOST_CURSORS and all(
        type(entry) is weakref.ref
        and type(entry()).__module__ in ("sqlite3", "_sqlite3", "builtins")
        and type(entry()).__name__ in ("Cursor", "Statement", "NoneType")
        for entry in held
    )


def _subclasses(base: Any) -> set[type]:
    """Return a class and all classes derived from it; nothing when ``base`` is not a class."""
    found: set[type] = set()
    waiting = [base] if isinstance(base, type) else []
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.add(kind)
            waiting += type.__subclasses__(kind)
    return found
