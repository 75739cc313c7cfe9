"""Find the way from a module, a class or a function to objects that stay, in a process that stands still.

From the objects upward: what points to them, what points to that, and so on. Each step reads all memory once, for all
objects in question together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from soak.attribution.holders import MOST, SiteScan
from soak.attribution.object_answers import Link, SiteAnswer
from soak.native.layout import PYTHON_OBJ
from soak.running.scanning.naming.objects import ObjectReader
from soak.running.scanning.scan.memory_scan import MemoryScan
from soak.units import format_count

_MOST_SITES, _SAMPLES = 12, 3
_MOST_STEPS, _WIDEST, _MOST_ROOTS = 9, 96, 8
_MOST_USERS = 32
"""What more places point to is no container of a program's own, and leads nowhere."""
_LONGEST_S = 3.0
_HEAD_BYTES = 16
_ITEMS_OF_TUPLE = 24
_FIRST_FIELD = 16
_MODULE, _FUNCTION, _CELL, _DICT, _LIST, _TUPLE = "module", "function", "cell", "dict", "list", "tuple"
_DICTS = (_DICT, "collections.OrderedDict", "collections.defaultdict", "OrderedDict", "defaultdict", "Counter")
_TABLES = {_LIST: (3, 4), **dict.fromkeys(_DICTS, (4, 6)), **dict.fromkeys(("set", "frozenset"), (5, 6))}
"""The words of a container, from and up to, that point to its tables."""
_HOLD_NOTHING = ("str", "bytes", "bytearray", "int", "float", "complex", "bool", "range", "code")
"""Words in these may look like pointers; in code there are some that hold nothing."""
_DEQUE = "deque"
_UNNAMED = "->"
_VALUES_HEADER = 8
"""Of a table of values since CPython 3.13."""


class _Step(NamedTuple):
    """A block that points to another one."""

    block: int
    word: int
    """Where the pointer stands."""


@dataclass(frozen=True)
class _Object:
    """A block as a Python object; ``kind`` is empty for what is none, such as a table."""

    address: int
    type_at: int
    kind: str


_NOTHING = _Object(0, 0, "")


def name_holders(scan: MemoryScan, found: Mapping[int, SiteScan]) -> dict[int, SiteAnswer]:
    """Return by site the way from a root of Python to one of its objects that are held, where one was found."""
    targets: dict[int, list[int]] = {}
    for site, seen in found.items():
        if seen.survivors and seen.held >= MOST * seen.survivors and len(targets) < _MOST_SITES:
            here = [address for address, _ in seen.samples[-_SAMPLES:]]
            here = here or [holder.sample[0] for holder in seen.holders[:1] if holder.sample is not None]
            places = scan.blocks.covering(np.array(here, np.uint64))
            targets[site] = [place for place in places.tolist() if place >= 0]
    ways = _Ways(scan)
    ways.climb({block for blocks in targets.values() for block in blocks})
    answers = {}
    for site, blocks in targets.items():
        chain = next(filter(None, (ways.chain_to(block) for block in blocks)), None)
        if chain is not None:
            answers[site] = SiteAnswer(chain)
    return answers


class _Ways:
    """What points to what, above some blocks."""

    def __init__(self, scan: MemoryScan) -> None:
        self._scan = scan
        self._reader = ObjectReader(scan.memory)
        self._up: dict[int, list[_Step]] = {}
        self._objects: dict[int, _Object] = {}

    def climb(self, blocks: set[int]) -> None:
        """Find what leads to these blocks, as far as it takes to come to roots."""
        ends_at_s = time.thread_time() + _LONGEST_S
        level = blocks
        for _ in range(_MOST_STEPS):
            level = {block for block in level if block not in self._up and not self._root(block)}
            if not level or time.thread_time() > ends_at_s:
                return
            chosen = sorted(level)[:_WIDEST]
            pointers = self._scan.pointers_to(np.array(chosen))
            level = set()
            for block in chosen:
                words = pointers.get(block, np.zeros(0, np.uint64))
                self._up[block] = self._steps(block, words.tolist(), self._scan.blocks.covering(words).tolist())
                level.update(step.block for step in self._up[block])

    def _steps(self, block: int, words: list[int], holders: list[int]) -> list[_Step]:
        """Return the blocks that lead to one: of the dict of a module that module alone."""
        steps = [_Step(holder, word) for word, holder in zip(words, holders, strict=True) if holder >= 0]
        steps = [step for step in steps if self._object(step.block).kind not in _HOLD_NOTHING]
        if self._object(block).kind == _DICT:
            modules = [step for step in steps if self._is_dict_of_module(step)]
            if modules:
                return modules[:1]
        return steps if len(steps) <= _MOST_USERS else []

    def _is_dict_of_module(self, step: _Step) -> bool:
        holder = self._object(step.block)
        return holder.kind == _MODULE and step.word == holder.address + _FIRST_FIELD

    def _root(self, block: int) -> str | None:
        """Return how a report calls a block at which a way may begin; None of others."""
        seen = self._object(block)
        if seen.kind == _MODULE:
            name = self._reader.module_name(seen.address)
            return f"module {name}" if name else None
        if seen.kind == _FUNCTION:
            return self._reader.function_name(seen.address)
        if seen.kind and self._scan.types.is_type(seen.address):
            return self._scan.types.name(seen.address) or None
        return None

    def chain_to(self, target: int) -> tuple[Link, ...] | None:
        """Return the links of the shortest way from a root to a block; None if no root leads to it."""
        before: dict[int, _Step | None] = {target: None}
        roots: list[int] = []
        level = [target]
        while level:
            above = []
            for block in level:
                if block != target and self._root(block):
                    roots.append(block)
                    continue
                for step in self._up.get(block, ()):
                    if step.block not in before:
                        before[step.block] = _Step(block, step.word)
                        above.append(step.block)
            level = above
        chains = [self._links(root, before) for root in roots[:_MOST_ROOTS] if self._is_in_use(root, before)]
        return min(chains, key=_unclearness, default=None)

    def _is_in_use(self, root: int, before: Mapping[int, _Step | None]) -> bool:
        """Whether all words on a way are in use: behind the items of a list or a deque there are others from before."""
        owner, table = root, root
        while (step := before[table]) is not None:
            seen = self._object(owner)
            at = int(self._scan.blocks.addresses[table])
            if (
                table != owner
                and seen.kind == _LIST
                and (step.word - at) // 8 >= (self._reader.size(seen.address, _LIST) or 0)
            ):
                return False
            if (
                table != owner
                and seen.kind.endswith(_DEQUE)
                and not self._reader.is_used_in_deque(seen.address, at, step.word)
            ):
                return False
            table = step.block
            owner = table if self._object(table).kind else owner
        return True

    def _links(self, root: int, before: Mapping[int, _Step | None]) -> tuple[Link, ...]:
        links = [self._link(self._root(root) or "", root)]
        name, above, block = "", [root], root
        while (step := before[block]) is not None:
            name += self._name(above, step)
            above.append(step.block)
            block = step.block
            seen = self._object(block)
            if seen.kind and (name or before[block] is None) and seen.kind != _CELL:
                links.append(self._link(name or (".__dict__" if seen.kind == _DICT else _UNNAMED), block))
                name = ""
        return tuple(links)

    def _name(self, above: list[int], step: _Step) -> str:
        """Return how source code writes the step from the last of some blocks to the next; empty if it does not."""
        holder, holds = self._object(above[-1]), self._object(step.block)
        word = step.word
        if holder.kind == _TUPLE:
            number = (word - holder.address - _ITEMS_OF_TUPLE) // 8
            owner = self._object(above[-2]) if len(above) > 1 else _NOTHING
            if owner.kind != _FUNCTION:
                return f"[{number}]"
            if holds.kind != _CELL:
                return f".__defaults__[{number}]"
            return f".{self._reader.free_variable(owner.address, holder.address, number) or '...'}"
        if not holder.kind:
            return self._name_in_table(above, word) if holds.kind else ""
        if holds.kind in _DICTS and self._is_namespace(holder, word):
            return ""
        if not holds.kind or holder.kind in (_CELL, _MODULE, _FUNCTION, *_DICTS):
            return ""
        return self._attribute(holder, word)

    def _is_namespace(self, holder: _Object, word: int) -> bool:
        """Whether a word of an object points to the dict of its attributes; before the object since CPython 3.11."""
        types = self._scan.types
        if types.is_type(holder.address):
            return word == holder.address + types.DICT_AT
        return holder.kind == _MODULE or word < holder.address or word == holder.address + types.dict_at(holder.type_at)

    def _name_in_table(self, above: list[int], word: int) -> str:
        """Name an item of a table, by the object that the table belongs to."""
        table_at = int(self._scan.blocks.addresses[above[-1]])
        owner = next((seen for seen in map(self._object, reversed(above[:-1])) if seen.kind), _NOTHING)
        if owner.kind.endswith(_DEQUE):
            return "[...]"
        owner = self._object(above[-2]) if len(above) > 1 else _NOTHING
        if owner.kind == _LIST:
            return f"[{(word - table_at) // 8}]"
        if owner.kind in _DICTS:
            keys_at, values_at = self._reader.tables_of_dict(owner.address)
            key = (
                self._reader.key_of_word(keys_at, word)
                if not values_at
                else self._reader.key_of_value(keys_at, (word - values_at) // 8)
            )
            is_namespace = len(above) > 2 and self._object(above[-3]).kind not in ("", _LIST, _TUPLE, *_DICTS)
            if key is None:
                return "[...]"
            return f".{key}" if is_namespace and key.isidentifier() else f"[{key!r}]"
        if owner.kind in ("set", "frozenset"):
            return "{...}"
        return self._attribute(owner, word, table_at) if owner.kind else ""

    def _attribute(self, holder: _Object, word: int, values_at: int = 0) -> str:
        """Name an attribute of an instance whose values stand without a dict; where that is not known, no name."""
        keys_at = self._reader.cached_keys(holder.type_at) if self._scan.types.is_heap_type(holder.type_at) else None
        if keys_at is None:
            return _UNNAMED
        start = holder.address + self._scan.types.basic_size(holder.type_at) + _VALUES_HEADER
        if values_at:
            start = next((at for at in self._values_before(holder.address) if 0 <= at - values_at < 64), values_at)
        key = self._reader.key_of_value(keys_at, (word - start) // 8) if word >= start else None
        return f".{key}" if key is not None and key.isidentifier() else _UNNAMED

    def _values_before(self, address: int) -> list[int]:
        """Return what may be the values of an instance, by the words before it: CPython 3.11, and 3.12 with a mark."""
        return [word + (word & 1) for word in self._reader.words(address - 32, 2)]

    def _link(self, name: str, block: int) -> Link:
        seen = self._object(block)
        blocks = self._scan.blocks
        is_type = self._scan.types.is_type(seen.address)
        kind = "type" if is_type else seen.kind.rpartition(".")[2]
        count = None if is_type else self._reader.size(seen.address, seen.kind)
        article = "an" if kind[:1] in "aeiouAEIOU" else "a"
        what = "a class" if is_type else f"{article} {kind}"
        if count is not None and count < 1 << 40:
            what += f" of {format_count(count)}"
        if seen.kind == _FUNCTION:
            what += f" {self._reader.function_name(seen.address) or ''}".rstrip()
        site = int(self._scan.site_of(blocks.sites[block : block + 1])[0])
        return Link(name, what, kind, int(blocks.sizes[block]) + self._size_of_tables(seen), site)

    def _size_of_tables(self, seen: _Object) -> int:
        """Return the bytes of the tables that belong to a container of a built-in type."""
        at = _TABLES.get(seen.kind, (0, 0))
        blocks = self._scan.blocks
        tables = blocks.covering(np.array(self._reader.words(seen.address, at[1])[at[0] :], np.uint64))
        return int(blocks.sizes[tables[tables >= 0]].sum())

    def _object(self, block: int) -> _Object:
        if block not in self._objects:
            self._objects[block] = self._read_object(block)
        return self._objects[block]

    def _read_object(self, block: int) -> _Object:
        blocks = self._scan.blocks
        start = int(blocks.addresses[block])
        offset, type_at = (0, 0)
        if blocks.domains[block] == PYTHON_OBJ:
            offset, type_at = self._scan.object_in(block)
        return _Object(start + offset, type_at, self._scan.types.name(type_at) if type_at else "")


def _unclearness(chain: tuple[Link, ...]) -> tuple[int, bool, int]:
    """Return by what ways are ordered: the first is told. A module is better than a function or a class."""
    unnamed = sum(_UNNAMED in link.name for link in chain)
    return unnamed, chain[0].type != _MODULE, len(chain)
