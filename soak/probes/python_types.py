"""Read the types of Python objects in the memory of a process that is stopped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from soak.probes.memory import ProcessMemory

_NAME_WORD, _BASIC_SIZE_WORD, _FLAGS_WORD, _BASE_WORD, _DICT_WORD, _DICT_OFFSET_WORD = 3, 4, 21, 32, 33, 36
"""Of PyTypeObject: tp_name, tp_basicsize, tp_flags, tp_base, tp_dict and tp_dictoffset, alike from CPython 3.8 to 3.15
(Include/cpython/object.h)."""
_LONGEST_NAME_WORDS = 12
_IS_METATYPE, _IS_HEAP_TYPE = 1 << 31, 1 << 9
_DEEPEST_METATYPE, _DEEPEST_BASE = 3, 16
_WEAK_REFERENCES = ("weakref", "weakproxy", "weakcallableproxy")
_MODULE_OF_WEAK_REFERENCES = "weakref."
_FIRST_ADDRESS = 1 << 16


class PythonTypes:
    """Tells which addresses are types, and what they are called; each is read once."""

    DICT_AT = 8 * _DICT_WORD
    """Where in a type the pointer to its dict stands."""

    def __init__(self, memory: ProcessMemory, type_at: int) -> None:
        """Read types of a process. ``type_at``: the address of ``type`` in it, 0 if that is not known."""
        self._memory = memory
        self._type_at = type_at
        self._known = {type_at: True, 0: False}
        self._weak: dict[int, bool] = {0: False}

    def find(self, candidates: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which of some addresses ``(n,)`` are types."""
        return np.array([self.is_type(int(candidate)) for candidate in candidates], np.bool_)

    def find_weak_references(self, candidates: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which of some addresses ``(n,)`` are types of weak references or weak proxies."""
        return np.array([self._is_weak_reference(int(candidate)) for candidate in candidates], np.bool_)

    def is_type(self, address: int, depth: int = _DEEPEST_METATYPE) -> bool:
        """Tell whether an address is a type: its own type is ``type``, or a metaclass and so a type itself."""
        known = self._known.get(address)
        if known is not None:
            return known
        if address % 8 or not self._type_at or not depth or address < _FIRST_ADDRESS:
            return False
        words = self._memory.read(address + 8, 1)
        found = len(words) == 1 and self._is_metatype(int(words[0]), depth - 1)
        self._known[address] = found
        return found

    def is_heap_type(self, address: int) -> bool:
        """Tell whether the type at an address is a class, and no static type of C."""
        return self.is_type(address) and bool(self._word(address, _FLAGS_WORD) & _IS_HEAP_TYPE)

    def derives_from_python_only(self, address: int) -> bool:
        """Tell whether a type and all its bases but ``object`` are classes of Python; those of C are named by module.

        Instances of such a type have no fields but slots and attributes.
        """
        for _ in range(_DEEPEST_BASE):
            name, is_heap_type = self.name(address), bool(self._word(address, _FLAGS_WORD) & _IS_HEAP_TYPE)
            if not is_heap_type or not name or "." in name:
                return name == "object" and not is_heap_type
            address = self._word(address, _BASE_WORD)
        return False

    def dict_at(self, address: int) -> int:
        """Return the tp_dictoffset of the type at an address; below 0 if it says nothing, 0 if there is none."""
        offset = self._word(address, _DICT_OFFSET_WORD)
        return offset - (1 << 64) if offset >> 63 else offset

    def basic_size(self, address: int) -> int:
        """Return the tp_basicsize of the type at an address."""
        return self._word(address, _BASIC_SIZE_WORD)

    def name(self, address: int) -> str:
        """Return the tp_name of the type at an address; empty if it cannot be read."""
        name_at = self._word(address, _NAME_WORD)
        text = self._memory.read(name_at, _LONGEST_NAME_WORDS).tobytes() if name_at else b""
        return text.split(b"\0")[0].decode("utf-8", "replace")

    def _is_metatype(self, address: int, depth: int) -> bool:
        if address == self._type_at:
            return True
        return self.is_type(address, depth) and bool(self._word(address, _FLAGS_WORD) & _IS_METATYPE)

    def _is_weak_reference(self, address: int) -> bool:
        known = self._weak.get(address)
        if known is None:
            known = self._weak[address] = self.is_type(address) and self._derives_from_weak_reference(address)
        return known

    def _derives_from_weak_reference(self, address: int) -> bool:
        for _ in range(_DEEPEST_BASE):
            if not self._word(address, _FLAGS_WORD) & _IS_HEAP_TYPE:
                name = self.name(address)
                return name in _WEAK_REFERENCES or name.startswith(_MODULE_OF_WEAK_REFERENCES)
            address = self._word(address, _BASE_WORD)
            if not self.is_type(address):
                break
        return False

    def _word(self, address: int, number: int) -> int:
        words = self._memory.read(address + 8 * number, 1)
        return int(words[0]) if len(words) else 0
