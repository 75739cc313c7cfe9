"""Is the growth of a site lost or held, by whom, and did somebody forget to drop a reference: what scans add up to.

A scan is of one moment, a `SiteScan` what it says of one site. Two of them decide: what is lost stays lost, becomes
more, and is never released after all.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from soak.attribution.assigned import CONTAINERS, assigned_name, container_attribute
from soak.attribution.native.symbols import Symbols
from soak.attribution.object_answers import NO_ANSWER, SiteAnswer
from soak.attribution.pointers.owners import Ownership
from soak.probes.mappings import Mapping
from soak.results import MemoryKind, MemoryStep, Place, Unseen

FEWEST_SURVIVORS = 4
_OF_THE_SYSTEM = ("libc.so", "libc-", "ld-linux", "ld-musl", "libpthread")
"""Libraries whose static data tells nobody who holds something: malloc's lists, and those of what is loaded."""
_OF_TYPES = ("libgobject-2.0.so",)
"""Libraries whose static data are tables of types. Types own what their classes have, and nothing that an object has: a
way that leads up to them goes by a word that was left behind."""
MOST = 0.8
"""This share of a site's survivors must be alike for the site to be called so."""


@dataclass(frozen=True)
class Holder:
    """One step of the way from a block up to a root."""

    address: int
    """Of the word that holds the pointer."""
    site: int | None
    """Where the block in which it stands was allocated; None outside all tracked blocks."""
    type: str | None = None
    """Of the Python object that the block is."""
    sample: tuple[int, int] | None = None
    """Where that object and its type are."""
    size_bytes: int | None = None
    """Of the block."""
    gtypes: tuple[int, ...] = ()
    """What may be the GType of the object of GLib that the block is."""
    is_gobject: bool = False
    """``type`` is the name of one of these GTypes."""
    is_alone: bool = False
    """Nearly all that points to the step below is such a block: nothing else may be its holder."""

    def named(self, gtype_names: abc.Mapping[int, str]) -> Holder:
        """Return the holder with the name of its GType, where one of those that it may have has a name."""
        name = next((gtype_names[gtype] for gtype in self.gtypes if gtype in gtype_names), None)
        return self if name is None else replace(self, type=name, is_gobject=True)


@dataclass(frozen=True)
class SiteScan:
    """What one scan says of one site's survivors: blocks of past cycles that are alive."""

    cycle: int
    alive: NDArray[np.uint64]
    """Their addresses ``(n,)``."""
    lost: NDArray[np.uint64]
    """Addresses of those that nothing can give back."""
    held: int
    """How many a root leads to."""
    is_all_held: bool
    """Whether a root leads to all live blocks of the site, the youngest too."""
    forgotten_type: str | None
    """The type of which nearly all objects have a reference to which no pointer belongs; None when there is none."""
    forgotten_lost: int
    """How many lost objects of any type have such a reference."""
    forgotten_lost_type: str | None
    """The type of most bytes of those."""
    type: str | None
    """The type of most bytes of all."""
    holders: tuple[Holder, ...]
    """From most of the held ones up to a root."""
    lost_with: int | None
    """The site of the lost blocks that point to most of the lost ones; None when nothing does."""
    samples: tuple[tuple[int, int], ...] = ()
    """Some of the objects: address and address of the type."""
    blocks_per_cycle: float | None = None
    """From the birth of its first live block to that of the last; None of fewer than three cycles of birth."""

    @property
    def survivors(self) -> int:
        """How many there are."""
        return len(self.alive)


@dataclass(frozen=True)
class Reachability:
    """What became of the blocks of a site, and why they are still there."""

    state: str
    """lost, held or unknown."""
    unseen: Unseen | None = None
    """Of an unknown state, or why the way from a root is not known."""
    unseen_detail: str | None = None
    kind: str | None = None
    """lost-reference or reference-cycle where the blocks tell; else None."""
    type: str | None = None
    holders: tuple[Holder, ...] = ()
    lost_with: int | None = None
    decided_at: int | None = None
    """The cycle of the scan that decided."""
    answer: SiteAnswer = NO_ANSWER
    """What the measured process itself says."""
    owner: Ownership | None = None
    """Of which object most of the site's blocks are part."""

    @property
    def sites(self) -> tuple[int, ...]:
        """The sites that it speaks of."""
        named = [*(holder.site for holder in self.holders), self.lost_with, *self.answer.sites]
        if self.owner is not None:
            named += [self.owner.site, self.owner.made_at, self.owner.function_site, *self.owner.memory_sites]
        return tuple(site for site in named if site is not None)


UNSCANNED = Reachability("unknown", Unseen.NOT_SCANNED)


def judge_scans(scans: Sequence[SiteScan]) -> Reachability:
    """Return what the scans of one site, the oldest first, say together."""
    usable = [scan for scan in scans if scan.survivors >= FEWEST_SURVIVORS]
    if not usable and scans and scans[-1].is_all_held:
        # A block that grows by being moved is always young.
        return Reachability("held", type=scans[-1].type, holders=scans[-1].holders, decided_at=scans[-1].cycle)
    if not usable:
        return Reachability("unknown", Unseen.TOO_FEW_BLOCKS)
    last, before = usable[-1], usable[-2] if len(usable) > 1 else None
    if len(last.lost) >= MOST * last.survivors or (before is not None and _are_new_ones_lost(last, before)):
        return _decide_lost(last, usable[:-1])
    if last.held >= MOST * last.survivors:
        forgotten_type = last.forgotten_type if before and before.forgotten_type == last.forgotten_type else None
        kind = "lost-reference" if forgotten_type else None
        type_name = forgotten_type or last.type
        return Reachability("held", kind=kind, type=type_name, holders=last.holders, decided_at=last.cycle)
    if last.survivors - last.held - len(last.lost) >= MOST * last.survivors:
        return Reachability("held", kind="reference-cycle", type=last.type, decided_at=last.cycle)
    is_mostly_lost = 2 * len(last.lost) > last.survivors
    return Reachability("unknown", Unseen.MOST_LOST if is_mostly_lost else Unseen.SOME_HELD, type=last.type)


def _decide_lost(last: SiteScan, earlier: Sequence[SiteScan]) -> Reachability:
    """Return what is proven of blocks to which nothing leads. ``earlier``: scans, the oldest first.

    Two scans that follow closely see the same blocks; then one before them may prove it.
    """
    if not earlier:
        return Reachability("unknown", Unseen.SEEN_ONCE, type=last.type)
    if not np.isin(earlier[-1].lost, last.alive).all():
        return Reachability("unknown", Unseen.FREED_LATER, type=last.type)
    before = next((scan for scan in reversed(earlier) if _are_more_lost(last, scan)), None)
    if before is None:
        return Reachability("unknown", Unseen.NOT_MORE, type=last.type)
    forgotten = min(last.forgotten_lost, before.forgotten_lost) >= FEWEST_SURVIVORS
    return Reachability(
        "lost",
        kind="lost-reference" if forgotten else None,
        type=last.forgotten_lost_type if forgotten else last.type,
        lost_with=None if forgotten else last.lost_with,
        decided_at=last.cycle,
    )


def _are_more_lost(last: SiteScan, before: SiteScan) -> bool:
    """Whether blocks that were lost at one scan are all still there at the last one, and more are lost by then."""
    was_lost = len(before.lost) >= MOST * before.survivors and len(last.lost) > len(before.lost)
    return bool(np.isin(before.lost, last.alive).all()) and (was_lost or _are_new_ones_lost(last, before))


def _are_new_ones_lost(last: SiteScan, before: SiteScan) -> bool:
    """Whether nothing leads to most blocks that have come between two scans, nor to most of all.

    Words that were left behind seem to hold some blocks for ever: of a few dozen too many, though they do not increase.
    """
    more, more_lost = last.survivors - before.survivors, len(last.lost) - len(before.lost)
    is_most = more >= FEWEST_SURVIVORS and more_lost >= MOST * more and 2 * len(last.lost) > last.survivors
    return is_most and len(before.lost) >= FEWEST_SURVIVORS


def with_holder_of_glib(
    reachability: Reachability, scans: Sequence[SiteScan], gtype_names: abc.Mapping[int, str]
) -> Reachability:
    """Return it with the holders that the newest scan saw which leads to an object of GLib without a doubt.

    Else with its own. What was freed leaves pointers: one scan may be led astray, or take too long to get so far.
    """
    if not reachability.holders:
        return reachability
    own = tuple(holder.named(gtype_names) for holder in reachability.holders)
    others = (tuple(holder.named(gtype_names) for holder in scan.holders) for scan in reversed(scans))
    return replace(reachability, holders=next((each for each in (own, *others) if find_gobject(each)), own))


def find_gobject(holders: Sequence[Holder]) -> Holder | None:
    """Return the first object of GLib up a way from a root where no step below it is in doubt; None without one.

    A way that has no root may be one of words that were left behind: it leads back to the blocks.
    """
    if not holders or holders[-1].site is not None:
        return None
    certain = itertools.takewhile(lambda holder: holder.is_alone, holders)
    return next((holder for holder in certain if holder.is_gobject), None)


@dataclass(frozen=True)
class Memory:
    """Knows what stands at an address outside all tracked blocks."""

    mappings: tuple[Mapping, ...]
    stack_pointers: tuple[int, ...]
    symbols: Symbols
    _starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", [mapping.start for mapping in self.mappings])

    def step_at(self, address: int) -> MemoryStep:
        """Return what it is: a static variable, a stack, memory of another kind."""
        position = bisect_right(self._starts, address) - 1
        if position < 0 or address >= self.mappings[position].end:
            return MemoryStep(MemoryKind.UNMAPPED)
        mapping = self.mappings[position]
        if mapping.path == "[stack]":
            return MemoryStep(MemoryKind.MAIN_STACK)
        if any(mapping.start <= pointer < mapping.end for pointer in self.stack_pointers):
            return MemoryStep(MemoryKind.THREAD_STACK)
        module = self._module_at(position, address)
        if module is not None:
            name, library = self.symbols.variable(address, module), module.rpartition("/")[2]
            if library.startswith(_OF_TYPES) or (name is None and library.startswith(_OF_THE_SYSTEM)):
                return MemoryStep(MemoryKind.UNKNOWN)
            return MemoryStep(MemoryKind.STATIC, name, module)
        return MemoryStep(MemoryKind.UNKNOWN)

    def _module_at(self, position: int, address: int) -> str | None:
        """Return the module an address lies in; zeroed static data is anonymous memory right behind its module's."""
        for mapping in self.mappings[max(0, position - 1) : position + 1]:
            if mapping.path.startswith("/") and self.symbols.is_within(address, mapping.path):
                return mapping.path
        return None


def find_memory_path(
    reachability: Reachability,
    place_of_site: Callable[[int], Place | None],
    memory: Memory | None,
    growing: abc.Collection[int] = (),
) -> tuple[MemoryStep, ...]:
    """Return the way from a root to the blocks, or what is lost with them; empty when nothing is known.

    ``growing``: the sites that grow. A container that one of these has made is part of what is kept.
    """
    if reachability.lost_with is not None:
        return (MemoryStep(MemoryKind.LOST_BLOCK, allocated_at=place_of_site(reachability.lost_with)),)
    steps, gobject = [], find_gobject(reachability.holders)
    container = next((holder for holder in reachability.holders if _is_container(holder, growing)), None)
    for holder in reversed(reachability.holders):
        if holder.site is not None:
            place = place_of_site(holder.site)
            is_python = holder.type is not None and not holder.is_gobject
            name = assigned_name(place) if is_python else None
            if holder is container and holder.type is not None:
                name = name or container_attribute(place, holder.type)
            kind = MemoryKind.GOBJECT if holder is gobject else MemoryKind.BLOCK
            steps.append(MemoryStep(kind, name, None, holder.type, holder.size_bytes, place))
        elif memory is not None:
            steps.append(memory.step_at(holder.address))
    return tuple(steps)


def _is_container(holder: Holder, growing: abc.Collection[int]) -> bool:
    """Whether it is a container of Python that was there before what grows."""
    is_python = holder.type is not None and not holder.is_gobject
    return is_python and holder.site not in growing and (holder.type or "").rpartition(".")[2] in CONTAINERS
