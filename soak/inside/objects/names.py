"""Name the way from one object to another as source code writes it: ``registry.entries['a'][0]``.

This asks only the interpreter and C code of types. No code of the component runs.
"""

from __future__ import annotations

import collections
import sys
import weakref

from soak.inside.counting.real_gc import RealGc
from soak.inside.objects.caches import LRU_CACHE

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Namer = Callable[[Any, Any, Any], str | None]

UNNAMED = "->"
"""Between two objects where source code has no name for the step, because C code holds the second."""
PLAIN = (bytes, bytearray, str, int, float, complex, bool, type(None))
LONGEST_VALUE = 60
FUNCTION = type(lambda: None)
CELL = type((lambda cell: lambda: cell)(0).__closure__[0])  # type: ignore[index]
MODULE = type(sys)
_MEMBER = type(FUNCTION.__globals__)  # type: ignore[attr-defined]
_METHODS: tuple[Any, ...] = (type([].append), type(collections.OrderedDict().__str__))
_FRAME = type(sys._getframe())
_RUNNING = ("gi_frame", "cr_frame", "ag_frame")
_OF_EXCEPTION = ("args", "__traceback__", "__cause__", "__context__")
_OF_FUNCTION = ("__defaults__", "__kwdefaults__", "__code__", "__annotations__")
_LISTS = (list, collections.deque)
_LOCAL_OF_THREAD = "_localdummy"
"""The type of what stands for a thread in the dict that a `threading.local` has of the dicts of all threads."""
_SETS = (set, frozenset)


def name_of(owner: Any, holder: Any, held: Any) -> str | None:
    """Return how source code reaches ``held`` from ``holder``, which ``owner`` holds.

    None for a step that source code does not write, such as the dict of an instance. UNNAMED where it cannot.
    """
    if type(holder) is CELL or held is attributes_of(holder) or (type(held) is dict and _is_of_local(held)):
        return None
    kinds = type.__getattribute__(type(holder), "__mro__")
    for kind in kinds:
        namer = _NAMERS.get(kind)
        name = namer(owner, holder, held) if namer is not None else None
        if name is not None:
            return name or None
    if held is type(holder):
        return ".__class__"
    return _attribute(holder, held) or _member(kinds, holder, held) or _variable(type(holder), holder, held) or UNNAMED


def attributes_of(holder: Any) -> Any:
    """Return the dict of the attributes of an object or a class; None if it has none."""
    if issubclass(type(holder), type):
        return next(iter(RealGc.get_referents(type.__dict__["__dict__"].__get__(holder))), None)
    try:
        return object.__getattribute__(holder, "__dict__")
    except Exception:
        return None


def short_value(value: Any) -> str:
    """Return the beginning of the value of a plain object."""
    if isinstance(value, (bytes, bytearray, str)):
        value = value[:LONGEST_VALUE]
    elif type(value) is int and value.bit_length() > 200:
        return "a large int"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _in_dict(owner: Any, holder: Any, held: Any) -> str:
    if _is_of_local(holder):
        return ""  # the attributes that one thread sees
    name = _key_of(dict.items(holder), held)
    is_namespace = issubclass(type(owner), (type, MODULE)) or (owner is not None and attributes_of(owner) is holder)
    is_namespace |= type(owner) is dict and _is_of_local(owner)
    return "." + name[2:-2] if is_namespace and name[:2] == "['" else name


def _is_of_local(holder: dict[Any, Any]) -> bool:
    """Whether a dict is that of a `threading.local`, which has the attributes of each thread in a dict of its own."""
    first = next(iter(dict.keys(holder)), None)
    # Before CPython 3.13 the keys are weak references.
    of_thread = type(first()) if type(first) is weakref.ref else type(first)
    return of_thread.__name__ == _LOCAL_OF_THREAD and of_thread.__module__ == "_thread"


def _in_tuple(owner: Any, holder: Any, held: Any) -> str:
    index = _index_of(tuple.__iter__(holder), held)
    if type(owner) is FUNCTION and owner.__closure__ is holder and index is not None:
        return "." + owner.__code__.co_freevars[index]
    return "[%d]" % (index or 0)


def _in_list(_owner: Any, holder: Any, held: Any) -> str | None:
    # Only attributes of a subclass are not among its items.
    kind = next(kind for kind in _LISTS if issubclass(type(holder), kind))
    index = _index_of(kind.__iter__(holder), held)
    return "[...]" if index is None and type(holder) is kind else None if index is None else "[%d]" % index


def _in_set(_owner: Any, holder: Any, held: Any) -> str | None:
    kind = next(kind for kind in _SETS if issubclass(type(holder), kind))
    return "{...}" if any(item is held for item in kind.__iter__(holder)) else None


def _in_lru_cache(_owner: Any, _holder: Any, _held: Any) -> str:
    return "(...)"  # its results are reached by a call


def _in_function(_owner: Any, holder: Any, held: Any) -> str | None:
    if held is holder.__closure__:
        return ""
    return next(("." + name for name in _OF_FUNCTION if getattr(holder, name) is held), None)


def _in_exception(_owner: Any, holder: Any, held: Any) -> str | None:
    names = BaseException.__dict__
    return next(("." + name for name in _OF_EXCEPTION if names[name].__get__(holder) is held), None)


def _in_method_of_c(_owner: Any, holder: Any, held: Any) -> str | None:
    is_self = holder.__self__ is held
    return ".__self__" if is_self else None


_NAMERS: dict[type, Namer] = {
    dict: _in_dict,
    tuple: _in_tuple,
    **dict.fromkeys(_LISTS, _in_list),
    **dict.fromkeys(_SETS, _in_set),
    LRU_CACHE: _in_lru_cache,
    FUNCTION: _in_function,
    BaseException: _in_exception,
    **dict.fromkeys(_METHODS, _in_method_of_c),
}
"""By type: the name of what an object holds; None to ask the others, empty for a step that is not written."""


def _attribute(holder: Any, held: Any) -> str | None:
    """Name an attribute in the dict of an instance, which gc may pass over."""
    attributes = attributes_of(holder)
    name = _key_of(attributes.items(), held) if type(attributes) is dict else ""
    return "." + name[2:-2] if name[:2] == "['" else None


def _member(kinds: tuple[type, ...], holder: Any, held: Any) -> str | None:
    """Name an attribute that a type's C code or its __slots__ define: reading one runs no code."""
    name: str
    for kind in kinds:
        for name, descriptor in type.__dict__["__dict__"].__get__(kind).items():
            if type(descriptor) is _MEMBER:
                try:
                    if descriptor.__get__(holder, type(holder)) is held:
                        return "." + name
                except AttributeError:
                    continue
    return None


def _variable(kind: type, holder: Any, held: Any) -> str | None:
    """Name a variable of a frame, or of a generator or coroutine that waits."""
    way, frame = "", holder
    if kind is not _FRAME:
        name = next((name for name in _RUNNING if name in type.__dict__["__dict__"].__get__(kind)), None)
        if name is None or kind.__module__ != "builtins":
            return None
        way, frame = "." + name, getattr(holder, name)
    variables = {} if frame is None else dict(frame.f_locals)
    found = next((variable for variable, value in variables.items() if value is held), None)
    return None if found is None else "%s.f_locals[%r]" % (way, found)


def _index_of(items: Any, held: Any) -> int | None:
    return next((number for number, item in enumerate(items) if item is held), None)


def _key_of(items: Any, held: Any) -> str:
    for key, value in items:
        if value is held:
            return "[%s]" % short_value(key) if type(key) in PLAIN else "[...]"
    return ", its key"
