"""Find Python objects that nothing holds, among some blocks of a program while it runs: garbage, and free objects.

CPython keeps tuples, lists, dicts and tables of dicts free for the next ones; their reference count is 0. Garbage
waits for a collection. It is found as CPython's collector finds it: of a set of objects each is garbage if all
references to it come from the set. The set also has the tuples, lists and dicts that its objects refer to: one that
was free before may be older than what it is part of. Its reference count says how many there are. From outside, only
those are counted that are known to be references: of tuples, lists, dicts, cells, functions, methods, and instances
of classes that are written in Python. What refers to an object in any other way makes it no garbage here, also if
that is garbage itself. Weak references are never part of the set, since what they know of an object does not count.

The program goes on meanwhile, but garbage does not change. So what is found is read again, and counts if it is found
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soak.probes.ledgers.shadow import Blocks
from soak.probes.memory import ProcessMemory
from soak.probes.python_types import PythonTypes

_MOST_BLOCKS, _LARGEST_BYTES = 4096, 1 << 16
"""More blocks are not looked at, for each takes some ten microseconds; nor are larger ones."""
_HEADS = (0, 2, 4)
"""Words before an object in its block: none, those of the collector, and from 3.11 on two more for an instance."""
_BEHIND_HEAD, _SIZE, _FIRST_ITEM = 2, 2, 3
_REFERENCES_AT = {"method": (2, 3), "cell": (2,), "builtin_function_or_method": (3,)}
_PARTS_AT = {"list": (3,), "dict": (4, 5), "bytearray": (4,)}
"""At which words of an object its references stand, and the pointers to blocks that are its own."""
_KEPT_FREE = ("tuple", "list", "dict")
_MOST_FREE_TABLES = 80
_TABLE_BYTES, _TABLE_BYTES_BEFORE_3_11 = 120, 168
"""Of a dict of at most five keys, all of them strings in 3.11 to 3.13: larger ones are not kept."""
_PLACES_OF_TABLE, _MOST_KEYS = 8, 5
_TABLE_KIND, _SMALLEST_TABLE = 0xFFFFFF, 0x010303
"""The bytes dk_log2_size, dk_log2_index_bytes and dk_kind (3.11 to 3.13), and what they are in such a table."""
_MOST_REFERENCES = 4
"""Of an object that is looked at because others refer to it: the dict of a module has many, and leads to all others."""
_WEAK = ("weakref", "weakproxy", "weakcallableproxy")
_WORD_BYTES, _PAGE_BYTES = 8, 4096
_LEAST_ADDRESS = 1 << 16


class _Object(NamedTuple):
    """An object in a block."""

    position: int
    """Of its block."""
    references: int
    """Its reference count."""
    refers_to: tuple[int, ...]
    """Addresses, one for each reference that it is known to hold itself."""
    parts: dict[int, int | None]
    """The other blocks that are its own, tables and buffers: how many words of each are in use, None for all."""


class Unheld(NamedTuple):
    """Which of all blocks of a program nothing holds; both are ``(n,)``."""

    garbage: NDArray[np.bool_]
    """Objects that wait for a collection, and their parts."""
    free: NDArray[np.bool_]
    """Objects and tables of dicts that are kept for the next ones."""


def find_unheld(memory: ProcessMemory, blocks: Blocks, asked: NDArray[np.bool_]) -> Unheld:
    """Tell which of all blocks of a program ``(n,)``, sorted by address, nothing holds.

    ``asked``: the blocks whose objects are looked at; none is where these are too many. References from others are not
    seen.
    """
    garbage, free = np.zeros(len(blocks), np.bool_), np.zeros(len(blocks), np.bool_)
    if not 0 < np.count_nonzero(asked) <= _MOST_BLOCKS:
        return Unheld(garbage, free)
    before = _Snapshot(memory, blocks, np.flatnonzero(asked).tolist())
    again = _Snapshot(memory, blocks, sorted(before.garbage() | before.free()))
    garbage[list(before.garbage() & again.garbage())] = True
    free[list(before.free() & again.free())] = True
    return Unheld(garbage, free)


class _Snapshot:
    """What some blocks hold at a moment."""

    def __init__(self, memory: ProcessMemory, blocks: Blocks, positions: Sequence[int]) -> None:
        """Prepare. ``positions``: of the blocks whose objects may be garbage."""
        self._memory, self._blocks, self._positions = memory, blocks, positions
        self._read: dict[int, list[int]] = {}
        self._pages: dict[int, list[int]] = {}
        self._names: dict[int, str] = {}
        self._in_python: dict[int, bool] = {}
        self._types = PythonTypes(memory, 0)
        self._types = PythonTypes(memory, self._find_type())
        self._objects = dict(self._find_objects(positions))
        self._follow()

    def free(self) -> set[int]:
        """Return the positions of the blocks that are free objects, or free tables of dicts."""
        tables = {position for position in self._positions if self._is_free_table(position)}
        objects = {each.position for each in self._objects.values() if not each.references}
        return objects | (tables if len(tables) <= _MOST_FREE_TABLES else set())

    def _is_free_table(self, position: int) -> bool:
        """Tell whether a block is a table that no dict has: with no reference, and places for the fewest keys."""
        _, size = self._place(position)
        words = self._words(position)
        if size == _TABLE_BYTES:
            return words[0] == 0 and words[1] & _TABLE_KIND == _SMALLEST_TABLE and max(words[2:4]) <= _MOST_KEYS
        is_older = size == _TABLE_BYTES_BEFORE_3_11 and words[0] == 0 and words[1] == _PLACES_OF_TABLE
        return is_older and max(words[3:5]) <= _MOST_KEYS

    def garbage(self) -> set[int]:
        """Return the positions of the blocks that are garbage at this moment."""
        found = {address: each for address, each in self._objects.items() if each.references}
        owners = Counter(part for each in found.values() for part in each.parts)
        shared = {part for part, count in owners.items() if count > 1}
        while True:
            held = Counter(target for each in found.values() for target in self._held_by(each, shared))
            left = {address: each for address, each in found.items() if held[address] == each.references}
            if len(left) == len(found):
                break
            found = left
        return {position for each in found.values() for position in (each.position, *(each.parts.keys() - shared))}

    def _held_by(self, of: _Object, shared: Collection[int]) -> Iterator[int]:
        yield from of.refers_to
        for part, most in of.parts.items():
            if part not in shared:
                yield from self._words(part)[:most]

    def _words(self, position: int) -> list[int]:
        """Return the words of a block; none of a large one."""
        if position not in self._read:
            address, size = self._place(position)
            words = 0 if size > _LARGEST_BYTES else -(-size // _WORD_BYTES)
            first = address % _PAGE_BYTES // _WORD_BYTES
            if first + words > _PAGE_BYTES // _WORD_BYTES:
                self._read[position] = self._memory.read(address, words).tolist()
            else:
                self._read[position] = self._page(address - address % _PAGE_BYTES)[first : first + words]
        return self._read[position]

    def _page(self, start: int) -> list[int]:
        """Return the words of a page, of which most blocks are asked for: they are neighbours."""
        if start not in self._pages:
            self._pages[start] = self._memory.read(start, _PAGE_BYTES // _WORD_BYTES).tolist()
        return self._pages[start]

    def _follow(self) -> None:
        """Take in the tuples, lists and dicts that objects of the set refer to, and those that these refer to."""
        newest, known = list(self._objects.values()), {each.position for each in self._objects.values()}
        while newest and len(known) <= _MOST_BLOCKS:
            targets = {target for each in newest for target in self._held_by(each, ()) if target}
            found = {self._covering(target) for target in targets} - known - {-1}
            objects = {
                address: each
                for address, each in self._find_objects(sorted(found))
                if 0 < each.references <= _MOST_REFERENCES and self._is_kept_free(each)
            }
            self._objects.update(objects)
            newest = list(objects.values())
            known |= found

    def _is_kept_free(self, found: _Object) -> bool:
        words = self._words(found.position)
        return any(self._is_object(words, head) and self._name(words[head + 1]) in _KEPT_FREE for head in _HEADS)

    def _find_objects(self, positions: Sequence[int]) -> Iterator[tuple[int, _Object]]:
        """Yield each object in some blocks that may be unheld, with its address."""
        for position in positions:
            (start, _), words = self._place(position), self._words(position)
            head = next((head for head in _HEADS if self._is_object(words, head)), None)
            if head is None:
                continue
            references, name = words[head], self._name(words[head + 1])
            if references and name not in _WEAK:
                yield start + head * _WORD_BYTES, _Object(position, references, *self._known(position, words, head))
            elif not references and name in _KEPT_FREE:
                yield start + head * _WORD_BYTES, _Object(position, 0, (), {})

    def _is_object(self, words: list[int], head: int) -> bool:
        return len(words) > head + 1 and self._types.is_type(words[head + 1])

    def _known(self, position: int, words: list[int], head: int) -> tuple[tuple[int, ...], dict[int, int | None]]:
        """Return the references that an object is known to hold itself, and its parts."""
        kind, own = words[head + 1], words[head:]
        name = self._name(kind)
        if name == "tuple":
            return tuple(own[_FIRST_ITEM : _FIRST_ITEM + own[_SIZE]]), {}
        if name in _REFERENCES_AT:
            return tuple(own[at] for at in _REFERENCES_AT[name] if at < len(own)), {}
        if name == "function":
            return tuple(own[_BEHIND_HEAD:]), {}
        if name in _PARTS_AT:
            pointers = [own[at] for at in _PARTS_AT[name] if at < len(own)]
            return (), self._parts(pointers, position, own[_SIZE] if name == "list" else None)
        if self._is_in_python(kind):
            before = words[: max(head - _HEADS[1], 0)]
            return (*before, *own[_BEHIND_HEAD:]), self._parts([*before, *own[_BEHIND_HEAD:]], position)
        return (), {}

    def _parts(self, pointers: list[int], position: int, most: int | None = None) -> dict[int, int | None]:
        """Return the blocks at some pointers that are no objects. ``most``: the words of each that are in use."""
        found = (self._covering(pointer) for pointer in pointers if pointer)
        return {part: most for part in found if part not in (-1, position) and not self._holds_object(part)}

    def _covering(self, pointer: int) -> int:
        """Return the position of the block that a pointer points into; -1 where there is none."""
        position = int(np.searchsorted(self._blocks.addresses, np.uint64(pointer), side="right")) - 1
        if position < 0:
            return -1
        start, size = self._place(position)
        return position if pointer - start < size else -1

    def _place(self, position: int) -> tuple[int, int]:
        """Return the address of a block and its size in bytes."""
        return int(self._blocks.addresses[position]), int(self._blocks.sizes[position])

    def _holds_object(self, position: int) -> bool:
        return any(self._is_object(self._words(position), head) for head in _HEADS)

    def _name(self, kind: int) -> str:
        if kind not in self._names:
            self._names[kind] = self._types.name(kind)
        return self._names[kind]

    def _find_type(self) -> int:
        """Return the address of ``type``, the one type that is its own; 0 where no block tells."""
        for words in map(self._words, self._positions):
            for head in _HEADS:
                kind = words[head + 1] if len(words) > head + 1 else 0
                of_kind = self._type_of(kind)
                if of_kind and of_kind == self._type_of(of_kind) and self._types.name(of_kind) == "type":
                    return of_kind
        return 0

    def _type_of(self, address: int) -> int:
        if address % _WORD_BYTES or address < _LEAST_ADDRESS:
            return 0
        words = self._memory.read(address + _WORD_BYTES, 1)
        return int(words[0]) if len(words) else 0

    def _is_in_python(self, kind: int) -> bool:
        """Tell whether all classes that an instance has are written in Python: their names have no module."""
        known = self._in_python.get(kind)
        if known is None:
            known = self._in_python[kind] = self._types.derives_from_python_only(kind)
        return known
