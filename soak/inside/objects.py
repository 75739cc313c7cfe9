"""Say who holds objects that stay, after measuring is over: the way to each from a module, a variable or a frame.

The parent has found blocks that stay, and the addresses of the objects in them. No address is ever followed here: all
objects that can be reached are walked through, by the traversal that gc itself uses, and those at the addresses asked
for are recognised when they come along. So an object that has died meanwhile is not found, and nothing can crash. gc's
own list of objects is not used, for tuples and dicts of plain values are not in it.
"""

from __future__ import annotations

import gc
import marshal
import sys
import time
from array import array

from soak.inside import ring

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

LONGEST_S = 1.5
MOST_OBJECTS = 3_000_000
_LONGEST_REPR = 60
_LONGEST_STEPS = 8
_PLAIN = (bytes, bytearray, str, int, float, complex, bool, type(None))
_SIZED = (list, tuple, dict, set, frozenset, bytes, bytearray, str)
_FUNCTION = type(lambda: None)
_MODULE = type(sys)
_CELL = type((lambda cell: lambda: cell)(0).__closure__[0])  # type: ignore[index]


def answer(area: ring.Ring, roots: list[tuple[str, Any]]) -> None:
    """Answer the question in the ring's text area there: ``[(address, [step, ...]), ...]``, from a root to the object.

    The question is ``[(address, address of its type), ...]``. ``roots``: names and objects to begin with.
    """
    wanted = dict(marshal.loads(area.read_text()))
    found = [(address, steps) for address, steps in find_chains(wanted, roots) if steps]
    content = marshal.dumps(found, 2)
    while len(content) > ring.TEXT_BYTES:
        found.pop()
        content = marshal.dumps(found, 2)
    area.write_text(content)
    area.words[ring.WORD_ANSWERED] = 1


def find_chains(wanted: dict[int, int], roots: list[tuple[str, Any]]) -> list[tuple[int, list[str]]]:
    """Return for each address of ``wanted`` that is reached the steps that lead there, the shortest way.

    ``wanted``: the address of an object and that of its type. Ends after a time and a number of objects.
    """
    walk = _Walk(wanted)
    for name, root in [*roots, *_modules(), *_variables(sys._getframe(1))]:
        walk.begin(name, root)
    walk.go_on()
    return [(id(target), walk.describe(position)) for target, position in walk.arrived]


class _Walk:
    """Breadth first through all that can be reached; holds every object it has met."""

    def __init__(self, wanted: dict[int, int]) -> None:
        self._wanted = wanted
        self._met: list[Any] = []
        self._before = array("q")  # position of the holder, or -1 - number of the root
        self._names: list[str] = []
        self._seen = {id(wanted), id(self._met), id(self._before), id(self._names), id(self)}
        self._seen.update((id(self.__dict__), id(sys._getframe()), id(sys._getframe(1))))
        self.arrived: list[tuple[Any, int]] = []
        self._seen.update((id(self._seen), id(self.arrived)))

    def begin(self, name: str, root: Any) -> None:
        """Add a root."""
        self._names.append(name)
        self._meet(root, -len(self._names))

    def go_on(self) -> None:
        """Follow all references until every wanted object was met, or it takes too long."""
        deadline_s = time.monotonic() + LONGEST_S
        position = 0
        met, seen, meet, referents_of = self._met, self._seen, self._meet, gc.get_referents
        while position < len(met) < MOST_OBJECTS and len(self.arrived) < len(self._wanted):
            if position % 4096 == 0 and time.monotonic() > deadline_s:
                return
            for referent in referents_of(met[position]):
                if id(referent) not in seen:
                    meet(referent, position)
            position += 1

    def describe(self, position: int) -> list[str]:
        """Return the steps from the root to an object, without those that nobody writes down."""
        way = [position]
        while self._before[way[-1]] >= 0:
            way.append(self._before[way[-1]])
        way.reverse()
        expression = self._names[-1 - self._before[way[0]]]
        steps = [expression + _what(self._met[way[0]])] if not expression.startswith("module ") else []
        expression = expression.replace("module ", "")
        for number in range(1, len(way)):
            holder, held = self._met[way[number - 1]], self._met[way[number]]
            owner = self._met[way[number - 2]] if number > 1 else None
            name = _name_of(owner, holder, held)
            expression += name or ""
            # A closure's variable is the function's name for what its cell holds.
            if type(held) is not _CELL and (name is not None or type(holder) is _CELL):
                steps.append(expression + _what(held))
        if len(steps) > _LONGEST_STEPS:
            steps[_LONGEST_STEPS // 2 : -_LONGEST_STEPS // 2] = ["..."]
        return steps

    def _meet(self, referent: Any, before: int) -> None:
        address = id(referent)
        is_wanted = address in self._wanted
        if (type(referent) in _PLAIN and not is_wanted) or address in self._seen:
            return
        self._seen.add(address)
        self._met.append(referent)
        self._before.append(before)
        if is_wanted and self._wanted[address] == id(type(referent)):
            self.arrived.append((referent, len(self._met) - 1))


def _modules() -> list[tuple[str, Any]]:
    return [("module " + name, module) for name, module in list(sys.modules.items()) if type(module) is _MODULE]


def _variables(frame: FrameType | None) -> list[tuple[str, Any]]:
    """Return the variables of all frames but this module's own: running frames are not traversed."""
    frames = [frame] + [other for thread, other in sys._current_frames().items()]
    found = []
    for first in frames:
        frame = first
        while frame is not None:
            if frame.f_code.co_filename != __file__:
                where = " of " + frame.f_code.co_name
                found += [(name + where, value) for name, value in dict(frame.f_locals).items()]
            frame = frame.f_back
    return found


def _name_of(owner: Any, holder: Any, held: Any) -> str | None:
    """Return how ``held`` is reached from ``holder``, in which ``owner`` holds that; None for what is not written."""
    kind = type(holder)
    if kind is dict:
        name = _key_of(holder, held)
        named = issubclass(type(owner), (type, _MODULE)) or (owner is not None and _attributes(owner) is holder)
        return "." + name[2:-2] if named and name[:2] == "['" else name
    if kind is tuple:
        index = next((number for number, item in enumerate(holder) if item is held), 0)
        if type(owner) is _FUNCTION and owner.__closure__ is holder:
            return "." + owner.__code__.co_freevars[index]
        return "[%d]" % index
    if kind is _CELL or (kind is _FUNCTION and held is holder.__closure__) or held is _attributes(holder):
        return None
    if kind is list:
        return "[...]"
    if kind in (set, frozenset):
        return "{...}"
    attributes = _attributes(holder)
    if type(attributes) is dict:
        name = _key_of(attributes, held)
        if name[:2] == "['":
            return "." + name[2:-2]
    return "->"


def _attributes(holder: Any) -> Any:
    try:
        return object.__getattribute__(holder, "__dict__")
    except Exception:
        return None


def _key_of(holder: dict[Any, Any], held: Any) -> str:
    for key, value in holder.items():
        if value is held:
            return "[%s]" % _short(key) if type(key) in _PLAIN else "[...]"
    return ", its key"


def _what(held: Any) -> str:
    """Return the type of an object, its length and the beginning of its value where asking runs no foreign code."""
    kind = type(held)
    name = kind.__name__
    text = ", %s %s" % ("an" if name[0] in "aeiouAEIOU" else "a", name)
    if kind in _SIZED:
        text += " of %d" % len(held)
    if kind in _PLAIN:
        text += ": " + _short(held)
    if kind.__module__ == "numpy" and name == "ndarray":
        text += " %s %s" % (held.shape, held.dtype)
    return text


def _short(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, str)):
        value = value[:_LONGEST_REPR]
    elif type(value) is int and value.bit_length() > 200:
        return "a large int"
    text = repr(value)
    return text if len(text) <= _LONGEST_REPR else text[: _LONGEST_REPR - 3] + "..."
