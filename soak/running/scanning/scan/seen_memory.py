"""What is seen of a process that is held still: its blocks, its objects, and which words point to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.of_code import in_bytecode
from soak.attribution.pointers.of_glib import in_unused_places, of_their_objects
from soak.attribution.pointers.reachability import (
    HEAD_WORDS,
    Objects,
    Piece,
    Pointers,
    PointerSearch,
    find_objects,
    is_good_witness,
    is_of_frame_to_generator,
    is_weak,
    may_be_hash,
    search,
    values_of_ints,
    without_gc_links,
)
from soak.inside.clock import TimeLimit
from soak.native.layout import PYMALLOC_ARENA, PYTHON_OBJ
from soak.native.ledger import Checkpoint
from soak.probes.gobjects import GObjects, HandlerTable, handler_tables, has_glib
from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks, read_mapped
from soak.probes.memory import ProcessMemory, Range, read_each, writable_ranges
from soak.probes.python_types import PythonTypes
from soak.probes.resident import thread_heaps

_WORD_BYTES = 8
_OWN_PATHS = re.compile(r"memfd:soak-|/soak-[^/]*/ring")
_INT_WORDS, _INT_BYTES = 4, (28, 32)
"""Of an int with one or two digits of 30 bits, as addresses have: what is requested for it."""
_DIGITS_AT = 24
_TWO_DIGITS = np.array([2, (1 << 64) - 2, 16, 18], np.uint64)
"""The word before the digits of such an int, positive or negative: its size; from CPython 3.12 on also its sign."""
_MOST_INTS = 20_000
"""This many are read while the process is stopped: about 50 ms."""
_GENERATORS = ("generator", "coroutine", "async_generator")
_FARTHEST_FIELD, _MOST_REFERENCES = 8, 1 << 32
"""In words: a list's table stands in its fourth, a dict's in its fifth."""


class TooLongError(Exception):
    """The scan was given up: the process has more memory than can be read while it stands still."""


class SeenMemory:
    """The memory of a process that is held still, its live blocks, and the words in it that count as pointers."""

    def __init__(
        self, memory: ProcessMemory, checkpoint: Checkpoint, type_at: int, longest_s: float, blocks: Blocks | None
    ) -> None:
        """Prepare to read for at most this long.

        ``type_at``: the address of ``type`` in that process. ``blocks``: all live blocks, where they were read before.
        """
        self._known_blocks = blocks
        self.memory = memory
        self.checkpoint = checkpoint
        self.types = PythonTypes(memory, type_at)
        self._longest_s = longest_s
        self._limit = TimeLimit(longest_s)
        self.read_bytes = 0
        self.mappings = memory.mappings()
        self.stack_pointers = memory.stack_pointers()
        own = [(int(r["start"]), int(r["end"])) for r in checkpoint.ranges]
        self._ranges = writable_ranges(self.mappings, self.stack_pointers, own, _OWN_PATHS)
        self.owners = checkpoint.site_table.owners.astype(np.uint32)
        """By site: itself, or the site whose stack it is."""

    @cached_property
    def blocks(self) -> Blocks | LiveBlocks:
        """The live blocks, read when they are first asked for."""
        known = self._known_blocks
        return LiveBlocks(self.memory, self.checkpoint) if known is None else known

    def pieces(self, ranges: Sequence[Range] | None = None) -> Iterable[Piece]:
        """Give the memory in which a program may keep pointers, or these parts of it. Raises TooLongError."""
        for piece in self.memory.pieces(self._ranges if ranges is None else ranges):
            if self._limit.is_over():
                raise TooLongError(f"it takes longer than {self._longest_s:g} s to read")
            self.read_bytes += piece[1].nbytes
            yield piece

    def objects_in(self, blocks: Blocks, found: PointerSearch) -> Objects:
        """Tell which blocks are Python objects; only those that Python's allocator of objects gave can be."""
        heads = np.where((blocks.domains == PYTHON_OBJ)[:, None], found.heads, np.uint64(0))
        return find_objects(heads, self.types.find)

    def counted(self, found: PointerSearch, blocks: Blocks, objects: Objects) -> Pointers:
        """Return the pointers that may keep a block alive. ``objects``: what is in the blocks that are pointed to."""
        pointers = self._without_dead(without_gc_links(found.pointers(), objects))
        pointers = of_their_objects(pointers, blocks, self._handler_tables)
        pointers = pointers.take(~self._is_hash_of_address(pointers, blocks, may_be_hash(pointers, objects)))
        pointers = pointers.take(~self._is_digits_of_int(pointers))
        sources_in = self.blocks.covering(pointers.sources)
        starts = self.blocks.addresses[sources_in]
        may_be_object = (sources_in >= 0) & (self.blocks.domains[sources_in] == PYTHON_OBJ)
        owns_nothing = np.zeros(len(may_be_object), np.bool_)
        in_objects = pointers.take(may_be_object)
        starts = starts[may_be_object]
        owns_nothing[may_be_object] = is_weak(in_objects, starts, self.types.find_weak_references) | in_bytecode(
            in_objects, starts, self.memory, self.types, self.is_static
        )
        pointers = self._without_unused(pointers.take(~owns_nothing))
        generators = [kind for kind in distinct(objects.types) if self.types.name(int(kind)) in _GENERATORS]
        to_generator = np.isin(objects.types[pointers.targets], generators)
        to_generator[to_generator] = is_of_frame_to_generator(pointers.take(to_generator), objects, found.heads)
        return pointers.take(~to_generator)

    def _without_unused(self, pointers: Pointers) -> Pointers:
        """Return the pointers without those in places that GLib's objects do not use any more."""
        if not has_glib(self.mappings):
            return pointers
        sources_in = self.blocks.covering(pointers.sources)
        is_in_block = sources_in >= 0
        starts = np.where(is_in_block, self.blocks.addresses[sources_in], np.uint64(0))
        sizes = np.where(is_in_block, self.blocks.sizes[sources_in], np.uint64(0))
        return pointers.take(~in_unused_places(pointers, starts, sizes, self.memory, self.mappings))

    def _is_hash_of_address(self, pointers: Pointers, blocks: Blocks, may_be: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which words are no pointers, but hashes of ints that are addresses; ``(pointers,)``.

        A dict's table has each key's hash before the key, and an int is its own hash. A class's dict of its subclasses,
        or one with ``id(thing)`` for keys, would hold what it does not.
        """
        chosen = np.flatnonzero(may_be)
        keys = self.blocks.covering(pointers.words_after[chosen])
        is_int = (keys >= 0) & (self.blocks.addresses[keys] == pointers.words_after[chosen])
        is_int &= (self.blocks.domains[keys] == PYTHON_OBJ) & np.isin(self.blocks.sizes[keys], _INT_BYTES)
        chosen = chosen[is_int][:_MOST_INTS]
        values = values_of_ints(read_each(self.memory, pointers.words_after[chosen], _INT_WORDS))
        found = np.zeros(len(may_be), np.bool_)
        found[chosen] = values == blocks.addresses[pointers.targets[chosen]] + pointers.offsets[chosen]
        return found

    def _is_digits_of_int(self, pointers: Pointers) -> NDArray[np.bool_]:
        """Tell which words are no pointers, but the digits of an int; ``(pointers,)``.

        An int that is an address does not look like one, because its digits have 30 bits. Others may: the more memory
        there is, the more addresses are in question.
        """
        chosen = np.flatnonzero(np.isin(pointers.words_before, _TWO_DIGITS))
        blocks = self.blocks.covering(pointers.sources[chosen])
        starts = self.blocks.addresses[blocks]
        may_be = (
            (blocks >= 0) & (self.blocks.domains[blocks] == PYTHON_OBJ) & (self.blocks.sizes[blocks] == _INT_BYTES[1])
        )
        may_be &= pointers.sources[chosen] - starts == np.uint64(_DIGITS_AT)
        chosen, starts = chosen[may_be][:_MOST_INTS], starts[may_be][:_MOST_INTS]
        kinds = read_each(self.memory, starts + np.uint64(_WORD_BYTES), 1)[:, 0]
        ints = [
            kind for kind in distinct(kinds) if self.types.is_type(int(kind)) and self.types.name(int(kind)) == "int"
        ]
        found = np.zeros(len(pointers.sources), np.bool_)
        found[chosen] = np.isin(kinds, np.array(ints, np.uint64))
        return found

    def _without_dead(self, pointers: Pointers) -> Pointers:
        """Return the pointers without those in malloc's or Python's heap that are not whole within a live block.

        What was freed stays, also behind a block that does not fill its place.

        A list of all objects, as gc makes one at some checkpoints, would otherwise hold them all after its end. What an
        import frees fills megabytes of Python's heap with old addresses, and new blocks get these again.
        """
        if self.checkpoint.lost_blocks:
            return pointers
        in_heap = np.zeros(len(pointers.sources), np.bool_)
        for start, end in [*self._heaps, *self._arenas]:
            in_heap |= (pointers.sources >= np.uint64(start)) & (pointers.sources < np.uint64(end))
        may_be_dead = np.flatnonzero(in_heap)
        sources = pointers.sources[may_be_dead]
        blocks = self.blocks.covering(sources)
        left = self.blocks.sizes[blocks] - (sources - self.blocks.addresses[blocks])
        in_heap[may_be_dead] = (blocks < 0) | (left < np.uint64(_WORD_BYTES))
        return pointers.take(~in_heap)

    @cached_property
    def _handler_tables(self) -> list[HandlerTable]:
        return handler_tables(self.memory, self.mappings, self.blocks)

    @cached_property
    def _heaps(self) -> list[tuple[int, int]]:
        """Where malloc's heaps are: that of the main thread, and those of the arenas of other threads."""
        main = [(mapping.start, mapping.end) for mapping in self.mappings if mapping.path == "[heap]"]
        return [*main, *thread_heaps(self.mappings, self.memory)]

    @cached_property
    def _arenas(self) -> list[tuple[int, int]]:
        """Where the arenas of Python's allocator are, of which the tracker knows each block that is in use.

        They were mapped in an allocation that the tracker saw. Those from before have blocks that it does not know; so
        have all, once the program has replaced the allocators.
        """
        if self.checkpoint.reinstalled or self._known_blocks is not None:
            return []
        mapped = read_mapped(self.memory, self.checkpoint)
        is_arena = mapped.domains == PYMALLOC_ARENA
        return list(zip(mapped.starts[is_arena].tolist(), mapped.ends[is_arena].tolist(), strict=True))

    def site_of(self, sites: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the sites with each stack in the place of the site that it splits."""
        return self.owners[np.minimum(sites, len(self.owners) - 1)]

    def is_on_stack(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which words are in the stack of a thread."""
        found = np.zeros(len(words), np.bool_)
        for mapping in self.mappings:
            if any(mapping.start <= pointer < mapping.end for pointer in self.stack_pointers):
                found |= (words >= np.uint64(mapping.start)) & (words < np.uint64(mapping.end))
        return found

    def is_static(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which words stand in a module's data: of a file, or zeroed, right behind it."""
        starts = np.array([mapping.start for mapping in self.mappings], np.uint64)
        static, module_ends_at = np.zeros(len(starts) + 1, np.bool_), -1
        for number, mapping in enumerate(self.mappings, 1):
            is_of_file = mapping.path.startswith("/") and not mapping.path.startswith("/dev/")
            static[number] = is_of_file or (not mapping.path and mapping.start == module_ends_at)
            module_ends_at = mapping.end if is_of_file else -1
        return static[np.searchsorted(starts, words, side="right")]

    def object_around(self, word: int) -> tuple[int, int] | None:
        """Return where the object with a word in it, and its type, seem to be: one from before the tracker began.

        The list, dict or deque of a table that was made since. Who is asked about it recognises it, or does not.
        """
        words = self.memory.read(word - 8 * _FARTHEST_FIELD, _FARTHEST_FIELD)
        for position in range(len(words) - 1, 0, -1):
            kind, references = int(words[position]), int(words[position - 1])
            if 0 < references < _MOST_REFERENCES and self.types.is_type(kind):
                return word - 8 * (len(words) - position + 1), kind
        return None

    def object_of(self, head: NDArray[np.uint64]) -> tuple[int, int]:
        """Return where in a block an object begins and its type's address; zeros when it holds none."""
        heads = np.zeros((1, HEAD_WORDS), np.uint64)
        heads[0, : len(head)] = head
        objects = find_objects(heads, self.types.find)
        return (int(objects.offsets[0]), int(objects.types[0])) if objects.types[0] else (0, 0)

    def object_in(self, block: int) -> tuple[int, int]:
        """Return where in a block a Python object begins and the address of its type; zeros when it holds none."""
        start, size = int(self.blocks.addresses[block]), int(self.blocks.sizes[block])
        return self.object_of(self.memory.read(start, min(HEAD_WORDS, size // 8)))

    def static_ranges(self) -> list[Range]:
        """Return the memory of static variables: little, so that it can be looked through once more at any time."""
        is_static = self.is_static(np.array([start for start, _ in self._ranges], np.uint64))
        return [part for part, chosen in zip(self._ranges, is_static.tolist(), strict=True) if chosen]

    def pointers_to(
        self, blocks: NDArray[np.intp], ranges: Sequence[Range] | None = None
    ) -> dict[int, NDArray[np.uint64]]:
        """Return where pointers to each of these blocks stand, outside of itself and of gc's list.

        Of those the best witnesses: what was freed leaves pointers, which lead into the middle of a large block that
        has its place now. ``ranges``: the memory to look through; all of it when None.
        """
        blocks = blocks[np.argsort(self.blocks.addresses[blocks])]
        only = self.blocks.take(blocks)
        found = search(only.addresses, only.sizes, self.pieces(ranges))
        objects = self.objects_in(only, found)
        pointers = self.counted(found, only, objects)
        pointers = pointers.take(only.covering(pointers.sources) != pointers.targets)
        pointers = pointers.take(is_good_witness(pointers, objects))
        order = np.argsort(pointers.targets, kind="stable")
        targets, firsts = np.unique(pointers.targets[order], return_index=True)
        sources = np.split(pointers.sources[order], firsts[1:])
        return {int(blocks[n]): words for n, words in zip(targets, sources, strict=False)}  # one empty part of nothing

    def gtypes_in(self, block: int) -> tuple[int, ...]:
        """Return what may be the GType of an object of GLib that was there before the first cycle."""
        only = self.blocks.take(np.array([block], np.intp))
        if self._gobjects is None or only.cycles[0] > 0:
            return ()
        return self._gobjects.gtypes_within(int(only.addresses[0]), int(only.sizes[0]))

    @cached_property
    def _gobjects(self) -> GObjects | None:
        return GObjects(self.memory) if has_glib(self.mappings) else None
