"""Find what holds objects that stay, after measuring: the way to each from a module, a variable or a frame.

The parent has found blocks that stay, and the addresses of the objects in them. An address is never dereferenced here.
The walk visits all reachable objects, by the traversal that gc itself uses, and recognises those at the wanted
addresses. So an object that was freed meanwhile is not found, and nothing can crash. The walk does not use the list of
gc, which has no tuples and dicts of plain values.
"""

from __future__ import annotations

import sys
from array import array

from soak.inside.clock import TimeLimit
from soak.inside.counting.real_gc import RealGc
from soak.inside.objects import caches
from soak.inside.objects.names import CELL, FUNCTION, LONGEST_VALUE, MODULE, PLAIN, name_of, short_value

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from soak.inside.objects.imports import Imports

    Node = tuple[str, str, str, int, int]
    """Its name in its holder, what it is, its type, its size in bytes, its address (0: nodes that are left out)."""

LONGEST_S, LONGEST_IN_CACHES_S = 3.0, 0.5
MOST_OBJECTS = 3_000_000
_LOOK_AT_CLOCK_EVERY = 4096
_LONGEST_NAME = 80
_MOST_NODES = 10
_STRANGERS_AT_LEVEL = 6
"""A module's own classes and their tables are within this many steps."""
_IS_HEAP_TYPE = 1 << 9
_AS_FAR_AS_A_VARIABLE = 3
"""A module, its dict, and what a name in it stands for."""
_BEYOND = "at a place that is not known"
_OF_SQLITE = "a connection of sqlite3"
_ERROR_HANDLERS, _SEARCH_FUNCTIONS = "codecs' table of error handlers", "codecs' list of search functions"
_AT_EXIT, _REGISTERED = "atexit", "atexit's list of functions"
_SIZED = (list, tuple, dict, set, frozenset, bytes, bytearray, str, *caches.TABLES)
_METHOD_OF_C = type(object.__sizeof__)


class Walk:
    """Visits all reachable objects, breadth first, and holds every object that it has visited.

    It follows the contents of bounded caches last. An object that it visits only then is held by bounded caches alone.
    A module that the cycles imported counts as one. It follows the instances of other packages' classes that a module
    has names for (``log = logging.getLogger()``) some levels later: what they share is found at its own package first.
    """

    def __init__(self, wanted: dict[int, int], imported: Imports | None = None) -> None:
        """Prepare to look for objects. ``wanted``: the address of each and that of its type."""
        self._wanted = wanted
        self._wants_texts = id(str) in wanted.values()
        self._met: list[Any] = []
        self._before = array("q")  # the position of the holder, or -1 - the number of the root
        self._names: list[str] = []
        self._caches = caches.Recogniser(imported)
        self._imported = imported
        self._closed: set[int] = set()
        self._may_close = True
        self._next = 0
        self._own_roots = 0
        self._level, self._level_ends_at = 0, 0
        self._strangers: list[tuple[Any, int]] = []
        self.arrived: list[tuple[Any, int]] = []
        self.direct = 0
        """How many of those in ``arrived``, the first ones, are reached without a bounded cache."""
        self.is_complete = False
        """Whether everything outside of bounded caches was visited, or all wanted objects were found."""
        self._seen: set[int] = {id(wanted), id(self), id(self.__dict__), id(sys._getframe()), id(sys._getframe(1))}
        self._seen.update(map(id, self.__dict__.values()))
        self._seen.add(id(self._seen))

    def go(self, roots: list[tuple[str, Any]]) -> None:
        """Follow all references until every wanted object was found, or it takes too much time or memory.

        ``roots``: names and objects at which to begin; modules, what the interpreter itself keeps, and the variables
        of all frames follow.
        """
        self._own_roots = len(roots)
        made = self._imported.made if self._imported is not None else set()
        for name, root in [*roots, *_modules(made), *_of_interpreter(), *_variables(sys._getframe(1))]:
            self._names.append(name)
            self._meet(root, -len(self._names))
        self.is_complete = self._follow(LONGEST_S)
        self.direct = len(self.arrived)
        if not self.is_complete:
            self._meet_caches_beyond()
        self._names.append(_OF_SQLITE)
        for held in self._caches.hidden_lists():
            self._meet(held, -len(self._names))
        self._may_close = False
        # A cache may hold for a while what a module holds for ever.
        for position in sorted(self._closed, key=lambda place: (self.module_of(place) is None, place)):
            for referent in self._referents(position):
                if id(referent) not in self._seen:
                    self._meet(referent, position)
        self._follow(LONGEST_IN_CACHES_S)

    def _meet_caches_beyond(self) -> None:
        """Meet the bounded caches that a walk which was cut did not come to, and go on in caches alone.

        What a cache holds must not be taken for what nobody is known to hold.
        """
        self._names.append(_BEYOND)
        for held in RealGc.get_objects():
            if type(held) in self._caches.types or id(held) in self._caches.dicts:
                self._meet(held, -len(self._names))
        self._strangers.clear()
        self._next = len(self._met)

    def describe(self, position: int) -> list[Node]:
        """Return the nodes from the root to an object, without those that source code does not name."""
        return describe_way(self._names[-1 - self._before[self._way(position)[0]]], self._objects(position))

    def most_alike(self, positions: list[int]) -> int:
        """Return which is the first of some objects whose ways lead through the variable that most of them share.

        One of many items may also be reached by a shorter way, from an object that is no part of the growth.
        """
        begins = [tuple(self._way(position)[:_AS_FAR_AS_A_VARIABLE]) for position in positions]
        return begins.index(max(begins, key=begins.count))

    def is_bounded_cache(self, position: int) -> bool:
        """Whether an object that was visited is itself a bounded cache."""
        return position in self._closed

    def cache_of(self, position: int) -> tuple[Any, caches.Cache] | None:
        """Return the last cache on the way to an object, or the object itself, and what it is; None without a cache."""
        for place in reversed(self._way(position)):
            found = self._caches.describe(self._met[place])
            if found is not None:
                kind, name, capacity, entries = found
                before = self._before[place]
                counted = self._caches.counted(self._met[place], self._met[before] if before >= 0 else None)
                named = place if counted is self._met[place] else before
                name = name or "".join(node[0] for node in self.describe(named)).replace("module ", "")
                return counted, (kind, name[:_LONGEST_NAME], capacity, entries)
        return None

    def has_room(self, position: int) -> bool:
        """Whether the last cache on the way to an object has a bound and is not full."""
        found = self.cache_of(position)
        return found is not None and found[1][2] != caches.NO_BOUND and not self._caches.is_full(found[0])

    def module_of(self, position: int) -> Any:
        """Return the module that the cycles imported and that holds an object, or is it; None when there is none."""
        modules = (self._met[place] for place in self._way(position)) if self._imported is not None else ()
        return next((module for module in modules if self._imported.has(module)), None)  # type: ignore[union-attr]

    def object_at(self, position: int) -> Any:
        """Return the object itself."""
        return self._met[position]

    def _way(self, position: int) -> list[int]:
        way = [position]
        while self._before[way[-1]] >= 0:
            way.append(self._before[way[-1]])
        return way[::-1]

    def _objects(self, position: int) -> list[Any]:
        return [self._met[place] for place in self._way(position)]

    def _follow(self, longest_s: float) -> bool:
        limit = TimeLimit(longest_s)
        met, seen, meet, closed, looked_at = self._met, self._seen, self._meet, self._closed, 0
        while self._has_next() and len(self.arrived) < len(self._wanted):
            position = self._next
            self._next += 1
            if position in closed:
                continue
            referents = self._without_strangers(position, self._referents(position))
            for first in range(0, len(referents), _LOOK_AT_CLOCK_EVERY):
                for referent in referents[first : first + _LOOK_AT_CLOCK_EVERY]:
                    if id(referent) not in seen:
                        meet(referent, position)
                looked_at += min(len(referents) - first, _LOOK_AT_CLOCK_EVERY)
                if looked_at >= _LOOK_AT_CLOCK_EVERY:
                    looked_at = 0
                    if limit.is_over() or len(met) > MOST_OBJECTS:
                        return False
            looked_at += 1
        return True

    def _referents(self, position: int) -> list[Any]:
        """Return what an object holds. gc passes over the keys of a dict that has only texts for keys."""
        held = self._met[position]
        referents = RealGc.get_referents(held)
        if self._wants_texts and issubclass(type(held), dict):
            try:
                if not self._wanted.keys().isdisjoint(map(id, dict.keys(held))):
                    referents += [key for key in dict.keys(held) if id(key) in self._wanted]
            except RuntimeError:  # another thread has changed it
                pass
        return referents

    def _has_next(self) -> bool:
        """Whether there are objects left to follow; after some levels, and when there are none, meet the strangers."""
        if self._next >= self._level_ends_at:
            self._level += 1
            self._level_ends_at = len(self._met)
            if self._level >= _STRANGERS_AT_LEVEL or self._next >= self._level_ends_at:
                strangers, self._strangers = self._strangers, []
                for stranger, position in strangers:
                    if id(stranger) not in self._seen:
                        self._meet(stranger, position)
        return self._next < len(self._met)

    def _without_strangers(self, position: int, referents: list[Any]) -> list[Any]:
        """Return what the names of a module lead to, without instances of classes of other packages: these come later.

        All of other holders, and of the component's own modules.
        """
        before = self._before[position]
        if before < self._own_roots or type(self._met[before]) is not MODULE or type(self._met[position]) is not dict:
            return referents
        package = _package_of(object.__getattribute__(self._met[before], "__dict__").get("__name__"))
        kept = []
        for referent in referents:
            kind = type(referent)
            if (
                kind.__flags__ & _IS_HEAP_TYPE
                and not issubclass(kind, type)
                and _package_of(kind.__module__) != package
            ):
                self._strangers.append((referent, position))
            else:
                kept.append(referent)
        return kept

    def _meet(self, referent: Any, before: int) -> None:
        address, kind = id(referent), type(referent)
        is_wanted = address in self._wanted
        if (kind in PLAIN and not is_wanted) or address in self._seen:
            return
        self._seen.add(address)
        self._met.append(referent)
        self._before.append(before)
        if kind in self._caches.connections:
            self._caches.note_lists(referent)
        may_be_cache = kind in self._caches.types or address in self._caches.dicts
        if may_be_cache and self._may_close and self._caches.is_bounded(referent):
            self._closed.add(len(self._met) - 1)
        if is_wanted and self._wanted[address] == id(kind):
            self.arrived.append((referent, len(self._met) - 1))


def _package_of(module_name: Any) -> str:
    return module_name.partition(".")[0] if type(module_name) is str else ""


def describe_way(root: str, way: list[Any]) -> list[Node]:
    """Return the nodes of a way from one object to another, each held by the one before. ``root``: the first name.

    The dict of a module or an instance and the cells of a closure are not nodes, because source code does not name
    them. The middle of a long way is left out.
    """
    nodes = [_node(root, way[0])]
    name = ""
    for number in range(1, len(way)):
        holder, held = way[number - 1], way[number]
        written = name_of(way[number - 2] if number > 1 else None, holder, held)
        name += written or ""
        # The contents of a cell have the name of the closure's variable.
        if type(held) is not CELL and (written is not None or type(holder) is CELL):
            nodes.append(_node(name, held))
            name = ""
    if len(nodes) > _MOST_NODES:
        half = _MOST_NODES // 2
        left_out = "%d steps left out" % (len(nodes) - 2 * half)
        nodes[half:-half] = [("...", left_out, "", 0, 0)]
    return nodes


def _node(name: str, held: Any) -> Node:
    kind = type(held)
    # A metaclass says nothing to a reader: of a class the type is "type".
    type_name = "type" if issubclass(kind, type) else kind.__name__
    return name[:_LONGEST_NAME], _what(held), type_name, _size_of(held), id(held)


def _modules(made: set[str]) -> list[tuple[str, Any]]:
    """Return all modules but those that the cycles ``made``: these belong to the table of modules.

    Nor atexit, whose functions `_of_interpreter` returns.
    """
    modules = [(name, module) for name, module in list(sys.modules.items()) if name not in made and name != _AT_EXIT]
    return [("module " + name, module) for name, module in modules if module is not None]


def _of_interpreter() -> list[tuple[str, Any]]:
    """Return what C code of the interpreter keeps: handlers of signals, context variables, functions to run at exit.

    The context is that of the thread that asks; of modules that were never imported there is nothing.
    """
    signals, contexts = sys.modules.get("_signal"), sys.modules.get("_contextvars")
    found = []
    for name, number in list(vars(signals).items()) if signals is not None else []:
        if name[:3] == "SIG" and name[3:4] != "_" and type(number) is int:
            handler = signals.getsignal(number)  # type: ignore[union-attr]
            if handler is not None and type(handler) is not int:
                found.append(("the handler of " + name, handler))
    if contexts is not None:
        in_context = contexts.copy_context().items()
        found += [("the context variable " + variable.name, value) for variable, value in in_context]
    at_exit = sys.modules.get(_AT_EXIT)
    if at_exit is not None:
        # Before CPython 3.10 the module itself holds the functions, and their arguments.
        found += [(_REGISTERED, _registered(at_exit)), ("module " + _AT_EXIT, at_exit)]
    return found + _of_codecs()


def _of_codecs() -> list[tuple[str, Any]]:
    """Return what codecs were registered with: only what refers to those that are always there leads to it."""
    codecs, encodings = sys.modules.get("_codecs"), sys.modules.get("encodings")
    strict = None if codecs is None else codecs.lookup_error("strict")
    search = getattr(encodings, "search_function", None)
    found: list[tuple[str, Any]] = []
    for holder in RealGc.get_referrers(*(each for each in (strict, search) if each is not None)):
        if type(holder) is dict and dict.get(holder, "strict") is strict is not None:
            found.append((_ERROR_HANDLERS, holder))
        elif type(holder) is list and search is not None and any(each is search for each in holder):
            found.append((_SEARCH_FUNCTIONS, holder))
    return found


class _Listener:
    """Is equal to nothing, and notes what it is compared with."""

    def __init__(self) -> None:
        self.met: list[Any] = []

    def __eq__(self, other: object) -> bool:
        self.met.append(other)
        return False

    __hash__ = object.__hash__


def _registered(at_exit: Any) -> list[Any]:
    """Return the functions that are registered to run at exit: to unregister one, atexit compares it with each.

    It tells nothing of their arguments. A function with an ``__eq__`` of its own is asked before the listener.
    """
    listener = _Listener()
    try:
        at_exit.unregister(listener)
    except Exception:
        return []
    return listener.met


def _variables(frame: FrameType | None) -> list[tuple[str, Any]]:
    """Return the variables of all frames but those of this walk, because gc does not traverse running frames."""
    frames = [frame] + [other for thread, other in sys._current_frames().items()]
    found = []
    for first in frames:
        frame = first
        while frame is not None:
            if frame.f_code.co_filename not in _OWN_FILES:
                where = " of " + frame.f_code.co_name
                found += [(name + where, value) for name, value in dict(frame.f_locals).items()]
            frame = frame.f_back
    return found


_OWN_FILES = {__file__.replace("holders.py", name) for name in ("holders.py", "answers.py", "names.py")}


def _what(held: Any) -> str:
    """Return the type of an object, its length and the beginning of its value, if no foreign code runs for that."""
    kind = type(held)
    if issubclass(kind, type):
        return "a class"
    if kind is caches.LRU_CACHE:
        info = held.cache_info()
        bound = "without a bound" if info.maxsize is None else "of %d" % info.maxsize
        return "an lru_cache %s, %d filled" % (bound, info.currsize)
    name = kind.__name__
    text = "%s %s" % ("an" if name[0] in "aeiouAEIOU" else "a", name)
    if kind in _SIZED:
        text += " of " + format(len(held), ",")
    if kind in PLAIN:
        text += ": " + short_value(held)
    if kind is FUNCTION:
        text += " %s" % held.__qualname__[:LONGEST_VALUE]
    if kind.__module__ == "numpy" and name == "ndarray":
        text += " %s %s" % (held.shape, held.dtype)
    return text


def _size_of(held: Any) -> int:
    """Return the bytes of an object itself; 0 when code of the component would have to compute them."""
    asked = type.__getattribute__(type(held), "__sizeof__")
    try:
        return sys.getsizeof(held) if type(asked) is _METHOD_OF_C else 0
    except Exception:
        return 0
