"""Scan the memory of a measured process at its checkpoints, and tell whether what stays is lost, or who holds it.

While the process waits at a checkpoint it is stopped, its writable memory read, and it goes on; nothing of this runs
inside it, and its clock of cycles is told how long it stood. A copy of it is read in a thread of ours, while the
process goes on and its rows are read. Two scans, some cycles apart, are needed for "lost".
"""

from __future__ import annotations

import contextlib
import marshal
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.ledger import Suspect
from soak.attribution.holders import (
    FEWEST_SURVIVORS,
    MOST,
    UNSCANNED,
    Holder,
    Memory,
    Reachability,
    SiteScan,
    judge_scans,
    with_holder_of_glib,
)
from soak.attribution.native.symbols import Symbols
from soak.attribution.object_answers import NO_ANSWERS, ObjectAnswers, read_object_answers
from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.of_glib import in_unused_places, of_their_objects
from soak.attribution.pointers.owners import Ownership, Survivors
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
    reach,
    search,
    values_of_ints,
    without_gc_links,
)
from soak.inside.clock import TimeLimit
from soak.inside.ring import TEXT_BYTES
from soak.native.layout import PYMALLOC_ARENA, PYTHON_OBJ
from soak.native.ledger import Checkpoint
from soak.probes.gobjects import GObjects, HandlerTable, handler_tables, has_glib
from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks, ShadowError, read_mapped
from soak.probes.memory import ProcessMemory, Range, held_still, writable_ranges
from soak.probes.python_types import PythonTypes
from soak.probes.resident import thread_heaps
from soak.results import Unseen
from soak.running.background import Background
from soak.running.child.child import Child
from soak.running.clock import Clock
from soak.running.scanning.copies import end_copy, give_up_copy
from soak.running.scanning.surviving import find_survivors
from soak.running.time_share import TimeShare

FIRST_CYCLE, _FIRST_SLOW_CYCLE, _SLOW_AFTER_S = 100, 24, 1.0
"""The first scan; where that many cycles take longer, after fewer."""
_NEXT_AFTER, _NEXT_AFTER_ALL_IS_KNOWN = 1.25, 4
_RECENT = 8
"""Blocks of the last 1/8 of the cycles may still be on their way."""
_MOST_BLOCKS, _MOST_BLOCKS_BESIDE = 2_000_000, 500_000
_NO_SITES = np.zeros(0, np.uint32)
_LONGEST_SCAN_S, _LONGEST_SCAN_OF_COPY_S = 5.0, 20.0
_FREE_S, _SHARE = 1.0, 0.02
"""Scans may take this long, and then this share of the run's time. It is CPU time: other programs take none of it."""
_SHARE_OF_COPIES = 0.5
"""The same for scans of copies, for which the process does not wait."""
_MOST_SCANS_KEPT = 4
_SCANS_NEEDED = 2
_APART_S = 0.3
"""Between scans that new sites ask for."""
_WAIT_S, _LONGEST_WAIT_S, _TIMES_THE_CYCLES = 2.0, 8.0, 8
"""So long a run whose LEAK stands waits for the scans; longer until it has made so many times the cycles, as on a busy
machine it takes."""
_RARE_BLOCKS_PER_CYCLE, _BLOCKS_APART = 0.05, 1.25
"""A site that leaves blocks this seldom has few at each scan; one more scan tells more only when there are more."""
_MAY_BE_LOST = (Unseen.SEEN_ONCE, Unseen.NOT_MORE, Unseen.MOST_LOST, Unseen.SOME_HELD)
_FEWEST_BIRTHS, _SAME_PACE = 3, 0.9
"""A pace needs so many cycles of birth; it is that of the ledger's rate where the two differ by no more than this."""
_LEVELS = 7
"""Holders are asked for up to this many blocks above the one in question."""
_NEAR = 4
"""Of these the process is asked about the nearest."""
_CLIMB_WITHIN_S, _CLIMB_SHARE = 0.15, 0.5
"""Each level up takes another look through all memory: where that takes long (CPU time), also as a share of the scan
before, only static data follows."""
_SAMPLES = 12
"""Objects of a site that the process is asked about: of all ages, because several holders may each hold some."""
_NOTABLE_SHARE = 0.05
"""Of the bytes of the type that takes most at a site: others are not looked at."""
_MOST_TYPES = 3
"""Of a site's objects: the process is asked about these, and their references are compared with the pointers."""
_OWN_STEPS = 2
_WORD_BYTES = 8
_FEWEST_SITES_OF_OWNERS, _NEXT_OWNERS_AFTER = 8, 2
"""A few causes are told one by one."""
_MOST_DECIDED = 0.75
"""New sites that grow come one by one: owners are searched once this share of them has been scanned twice."""
_MOST_GTYPES = 256
"""Numbers that the process is asked about: whether they are types of GLib, and what these are called."""
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


@dataclass(frozen=True)
class _Scanned:
    """What one scan has found."""

    cycle: int
    sites: list[tuple[int, SiteScan]]
    memory: Memory
    had_owners: bool
    """Whether the owners of what stays were looked for."""
    survivors: Survivors | None
    parents: NDArray[np.int64]
    """By site: itself, or the site whose stack it is."""


@dataclass(frozen=True)
class _CopyScan:
    """A copy that is being scanned."""

    copy: int
    suspects: Sequence[Suspect]
    begun_s: float
    work: Background[_Scanned]


class Scanner:
    """Decides when to scan one process, does it, and keeps what the scans say of each site."""

    def __init__(self, child: Child, clock: Clock) -> None:
        """Scan nothing yet."""
        self._child = child
        self._clock = clock
        self._time, self._time_of_copies = TimeShare(_SHARE, free_s=_FREE_S), TimeShare(_SHARE_OF_COPIES)
        self._scans: dict[int, list[SiteScan]] = {}
        self._next_cycle = _FIRST_SLOW_CYCLE
        self._error: str | None = None
        self._memory: Memory | None = None
        self._object_answers = NO_ANSWERS
        self._survivors: Survivors | None = None
        self._survivors_at = 0
        self._owners: dict[int, Ownership] = {}
        self._types: dict[int, str] = {}
        self._holding: dict[int, frozenset[int]] | None = {}
        self._parents = _NO_SITES.astype(np.int64)
        self.gobjects: dict[str, float] = {}
        """How many objects of GLib a cycle leaves, by type; known when the process has answered."""
        self._scanned_s = 0.0
        self._of_copy: _CopyScan | None = None
        self._waits_since: tuple[float, int] | None = None

    @property
    def memory(self) -> Memory | None:
        """What was mapped at the last scan."""
        return self._memory

    @property
    def has_seen_lost(self) -> bool:
        """Whether one scan found nothing that points to the blocks of a site; the next one may prove that."""
        once = (scans for scans in self._scans.values() if len(scans) == 1)
        return any(judge_scans(scans).unseen is Unseen.SEEN_ONCE for scans in once)

    @property
    def holding(self) -> Mapping[int, frozenset[int]]:
        """The sites of memory that every way to most owners goes through, each with the sites of what those own."""
        if self._holding is None:
            owned = [] if self._survivors is None else self._survivors.owners({})
            through = [(int(self._parents[one.memory_sites[0]]), one) for one in owned if one.memory_sites]
            self._holding = {site: one.owned_sites for site, one in reversed(through)}
        return self._holding

    def is_due(self, cycle: int, suspects: Sequence[Suspect], *, of_copy: bool = False) -> bool:
        """Tell whether a scan at this checkpoint would be worth its time.

        ``suspects``: as last seen, maybe before. ``of_copy``: the process would not wait for it; but to make the copy
        takes it some milliseconds, so none is made where nothing grows.
        """
        if self.is_reading:
            return False
        limit = self._time_of_copies if of_copy else self._time
        is_affordable = self._error is None and limit.is_due(self._clock.now_s()) and bool(suspects or not of_copy)
        if not is_affordable or not self._has_begun(cycle):
            return False
        return cycle >= self._next_cycle or self._is_short_of_scans(cycle, suspects)

    def is_at_it(self, cycle: int, suspects: Sequence[Suspect]) -> bool:
        """Tell, from when a LEAK stands, whether to wait for a scan that may tell more of what grows."""
        if self._waits_since is None:
            self._waits_since = self._clock.now_s(), cycle
        is_open = any(map(self._is_open, suspects)) or self._lacks_owners(suspects)
        return self._error is None and self._has_begun(cycle) and self._waits(cycle) and is_open

    def _waits(self, cycle: int) -> bool:
        """Whether the run goes on for scans alone."""
        if self._waits_since is None:
            return False
        since_s, since_cycle = self._waits_since
        has_grown = cycle >= _TIMES_THE_CYCLES * since_cycle
        return self._clock.now_s() - since_s < (_WAIT_S if has_grown else _LONGEST_WAIT_S)

    def _has_begun(self, cycle: int) -> bool:
        """Whether enough cycles have passed for a scan to be worth it."""
        if cycle >= FIRST_CYCLE:
            return True
        return cycle >= _FIRST_SLOW_CYCLE and self._child.ring.elapsed_s(self._clock.now_s()) >= _SLOW_AFTER_S

    def _is_short_of_scans(self, cycle: int, suspects: Sequence[Suspect]) -> bool:
        is_short = any(self._lacks(suspect, cycle) for suspect in suspects) or self._lacks_owners(suspects)
        return is_short and self._clock.now_s() > self._scanned_s + _APART_S

    def _lacks_owners(self, suspects: Sequence[Suspect]) -> bool:
        return self._survivors is None and self._are_enough_for_owners([suspect.site for suspect in suspects])

    def _are_enough_for_owners(self, sites: Sequence[int], *, more_scans: int = 0) -> bool:
        """Whether enough sites grow to search for their owners, and most have been looked at themselves.

        ``more_scans``: that each has had by then.
        """
        decided = sum(len(self._scans.get(site, ())) + more_scans >= _SCANS_NEEDED for site in sites)
        return len(sites) >= _FEWEST_SITES_OF_OWNERS and decided > _MOST_DECIDED * len(sites)

    def _lacks(self, suspect: Suspect, cycle: int) -> bool:
        """Whether one more scan now may tell more of a site; of a rare leak, once there should be one more block."""
        scans = self._scans.get(suspect.site)
        if not scans or not self._is_open(suspect):
            return not scans
        if _is_rare(suspect):
            return (cycle - scans[-1].cycle) * suspect.blocks_per_cycle >= _BLOCKS_APART
        return self._waits(cycle) or _are_too_few(scans)

    def _is_open(self, suspect: Suspect) -> bool:
        """Whether it takes more scans to tell what became of a site's blocks.

        What is lost may seem held by words from before: there are no more of these, and more of what is lost.
        """
        scans = self._scans.get(suspect.site, ())
        found = judge_scans(scans)
        if _is_rare(suspect):
            # One block tells little: what allocated it may still point to the last one.
            return found.state == "unknown" or all(scan.survivors < FEWEST_SURVIVORS for scan in scans)
        return found.unseen in _MAY_BE_LOST or _are_too_few(scans)

    def is_outdated(self, suspects: Sequence[Suspect]) -> bool:
        """Tell whether at least half of what grows is one block that is made anew or moved now and then.

        After one more cycle it may be elsewhere. Only a scan after the last one tells of which object it is part.
        """
        most = max(suspects, key=lambda suspect: suspect.bytes_per_cycle, default=None)
        scans = self._scans.get(most.site) if most is not None else None
        if most is None or not scans or self._error is not None:
            return False
        is_young = scans[-1].is_all_held and scans[-1].survivors < FEWEST_SURVIVORS
        return is_young and 2 * most.bytes_per_cycle >= sum(suspect.bytes_per_cycle for suspect in suspects)

    def scan(
        self,
        checkpoint: Checkpoint,
        suspects: Sequence[Suspect],
        growing: Sequence[int] = (),
        *,
        is_last: bool = False,
    ) -> None:
        """Scan for the blocks of these sites, at the checkpoint at which the process waits now.

        ``growing``: all sites that grow. What stays may be held by something that stays itself. ``is_last``: no cycle
        follows.
        """
        if not suspects:
            self._next_cycle = int(checkpoint.cycle * _NEXT_AFTER)
            return
        # Also where the process cannot be stopped: to find out what grows takes longer than to try.
        self._begin(checkpoint)
        begun_s, begun_cpu_s = self._clock.now_s(), time.thread_time()
        with self._telling_errors(), held_still(self._child.pid) as still:
            if still and self._child.ring.is_between_cycles:
                is_collected = self._child.ring.has_collected_all
                has_owners = self._may_have_owners(checkpoint, suspects)
                found = self._reader(
                    checkpoint, suspects, growing, is_collected=is_collected, has_owners=has_owners, is_last=is_last
                )
                self._take(found(self._child.pid, _LONGEST_SCAN_S), suspects)
        self._time.spend(begun_s, time.thread_time() - begun_cpu_s)

    # Copies.

    @property
    def is_reading(self) -> bool:
        """Whether a copy is being scanned, or has been and nobody has taken in what was found."""
        return self._of_copy is not None

    def begin_copy(
        self, copy: int, checkpoint: Checkpoint, suspects: Sequence[Suspect], growing: Sequence[int] = ()
    ) -> None:
        """Begin to scan a copy of the process, made at this checkpoint, as `scan` does; end the copy when that is done.

        What is found is known once it was taken in.
        """
        if not suspects:
            end_copy(copy)
            return
        self._begin(checkpoint)
        # A copy may be of an earlier checkpoint than the latest, of which alone it is known what gc has looked at.
        has_owners = self._may_have_owners(checkpoint, suspects)
        read = self._reader(checkpoint, suspects, growing, is_collected=False, has_owners=has_owners)

        def work() -> _Scanned:
            try:
                return read(copy, _LONGEST_SCAN_OF_COPY_S)
            finally:
                end_copy(copy)

        self._of_copy = _CopyScan(copy, tuple(suspects), self._clock.now_s(), Background(work))

    def take_in(self) -> None:
        """Take in what was found in a copy, once its scan is over."""
        if self._of_copy is not None and self._of_copy.work.is_over():
            self.finish_copy()

    def finish_copy(self, within_s: float | None = None) -> None:
        """Wait for the scan of a copy, if there is one, and take in what was found; give it up if that takes longer."""
        if self._of_copy is not None and not self._of_copy.work.is_over(within_s):
            self.give_up_copy()
        scan, self._of_copy = self._of_copy, None
        if scan is None:
            return
        with self._telling_errors():
            self._take(scan.work.result(), scan.suspects)
        self._time_of_copies.spend(scan.begun_s, scan.work.took_s)

    def give_up_copy(self) -> None:
        """End the scan of a copy without its result: of memory that is gone nothing is read."""
        scan, self._of_copy = self._of_copy, None
        if scan is not None:
            give_up_copy(scan.copy)
            scan.work.join()

    def _begin(self, checkpoint: Checkpoint) -> None:
        self._next_cycle = int(checkpoint.cycle * _NEXT_AFTER)
        self._scanned_s = self._clock.now_s()

    @contextlib.contextmanager
    def _telling_errors(self) -> Iterator[None]:
        try:
            yield
        except ProcessLookupError:
            pass
        except (OSError, ShadowError, TooLongError) as error:
            self._error = str(error)

    def _reader(
        self,
        checkpoint: Checkpoint,
        suspects: Sequence[Suspect],
        growing: Sequence[int],
        *,
        is_collected: bool,
        has_owners: bool,
        is_last: bool = False,
    ) -> Callable[[int, float], _Scanned]:
        """Return a function that scans a process, for at most some seconds, and uses nothing of this object."""
        sites = np.array([suspect.site for suspect in suspects], np.uint32)
        beside, type_at = np.array(growing, np.uint32), self._child.ring.type_address

        def read(pid: int, longest_s: float) -> _Scanned:
            memory = ProcessMemory(pid)
            try:
                scan = MemoryScan(
                    memory,
                    checkpoint,
                    sites,
                    type_at,
                    longest_s,
                    beside=beside,
                    is_collected=is_collected,
                    is_last=is_last,
                )
                scan.run()
                survivors = find_survivors(scan) if has_owners else None
                if not memory.mappings():
                    # What the rest of its memory pointed to would seem lost.
                    raise ProcessLookupError("it ended before it was read")
                parents = checkpoint.site_table.owners
                return _Scanned(checkpoint.cycle, scan.sites(), scan.memory_map(), has_owners, survivors, parents)
            finally:
                memory.close()

        return read

    def reachability(self, site: int) -> Reachability:
        """Return what became of a site's blocks, as far as it is known."""
        scans = self._scans.get(site)
        if scans:
            reachability = judge_scans(scans)
            kind = reachability.type or self._types.get(site)
            reachability = replace(reachability, type=kind, owner=self._owners.get(site))
            reachability = with_holder_of_glib(reachability, scans, self._object_answers.gtype_names)
            # Of what is lost nothing was asked; where pointers were not seen, the process may still know more.
            answer = self._object_answers.by_site.get(site)
            if answer is None:
                is_cut = reachability.state == "held" and not self._object_answers.is_complete
                return replace(reachability, unseen=Unseen.TOO_MANY_OBJECTS) if is_cut else reachability
            if answer.ring and not answer.chain and reachability.state == "unknown":
                return replace(reachability, state="held", kind="reference-cycle", unseen=None, answer=answer)
            return replace(reachability, answer=answer)
        if self._error is None:
            return UNSCANNED
        return Reachability("unknown", Unseen.NOT_READABLE, self._error)

    def with_births(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Return the suspects, those that seldom leave a block with the pace at which the latest scan saw them born.

        Between checkpoints the ledger does not tell when that was; from few blocks a rate is then a percent wrong.
        """
        return [self._with_births(suspect) if _is_rare(suspect) else suspect for suspect in suspects]

    def _with_births(self, suspect: Suspect) -> Suspect:
        pace = next(
            (s.blocks_per_cycle for s in reversed(self._scans.get(suspect.site, ())) if s.blocks_per_cycle), None
        )
        if pace is None or not _SAME_PACE * pace <= suspect.blocks_per_cycle <= pace / _SAME_PACE:
            return suspect
        verdict, size = suspect.verdict, suspect.requested_size
        if size and verdict.low is not None and verdict.high is not None and verdict.low <= pace * size <= verdict.high:
            verdict = replace(verdict, rate=pace * size)
        return replace(suspect, blocks_per_cycle=pace, verdict=verdict)

    def read_answer(self, completed: Callable[[ObjectAnswers], ObjectAnswers] = lambda found: found) -> ObjectAnswers:
        """Take in and return what the process has said of its objects before it ended.

        ``completed``: returns it with what is known besides.
        """
        ring = self._child.ring
        if ring.has_answered:
            with contextlib.suppress(ValueError, EOFError, TypeError, KeyError):
                answers = read_object_answers(marshal.loads(ring.read_text()), ring.completed)
                self._object_answers = completed(answers)
        if self._survivors is not None:
            names = self._object_answers.gtype_names
            owned = self._survivors.owners(names)
            self._owners = {site: ownership for ownership in reversed(owned) for site in ownership.owned_sites}
            self._types = self._survivors.kinds_by_site(names)
            self.gobjects = self._survivors.gobjects_per_cycle(names)
        return self._object_answers

    def _ask(self, suspects: Sequence[Suspect]) -> None:
        """Ask the process who holds some objects of each site that is not lost; it answers when its cycles are over."""
        sites = dict.fromkeys([*(suspect.site for suspect in suspects), *self._scans])
        samples = [(site, self._samples_of(site)) for site in sites if self.reachability(site).state != "lost"]
        asked = [(site, objects) for site, objects in samples if objects]
        holders = (holder for scans in self._scans.values() for scan in scans for holder in scan.holders)
        gtypes = [*dict.fromkeys(gtype for holder in holders for gtype in holder.gtypes)][:_MOST_GTYPES]
        gtypes += self._survivors.usual_gtypes(_MOST_GTYPES) if self._survivors is not None else []
        # The sites that grow most stand first. A program that imports module after module has hundreds of others.
        while len(question := marshal.dumps((asked, gtypes), 2)) > TEXT_BYTES:
            asked.pop()
        self._child.ring.ask_about_objects(question)

    def _samples_of(self, site: int) -> tuple[tuple[int, int], ...]:
        """Return objects of a site, or of those that hold its blocks: address and address of the type."""
        last = self._scans[site][-1] if site in self._scans else None
        if last is None or last.samples or not last.holders:
            return () if last is None else last.samples
        nearest = last.holders[0].site
        holding = self._scans[nearest][-1].samples if nearest in self._scans else ()
        return holding or tuple(holder.sample for holder in last.holders[:_NEAR] if holder.sample is not None)[:1]

    def _may_have_owners(self, checkpoint: Checkpoint, suspects: Sequence[Suspect]) -> bool:
        """Whether to take time for the owners of what stays, or to take it again, at the scan that follows."""
        is_later = checkpoint.cycle >= _NEXT_OWNERS_AFTER * self._survivors_at
        return is_later and self._are_enough_for_owners([suspect.site for suspect in suspects], more_scans=1)

    def _take(self, found: _Scanned, suspects: Sequence[Suspect]) -> None:
        for site, scan in found.sites:
            self._scans.setdefault(site, []).append(scan)
            del self._scans[site][:-_MOST_SCANS_KEPT]
        if found.had_owners:
            self._survivors_at = found.cycle
            self._survivors = found.survivors or self._survivors
            self._holding, self._parents = None, found.parents
        self._memory = found.memory
        self._ask(suspects)
        if not any(self.reachability(suspect.site).state == "unknown" for suspect in suspects):
            self._next_cycle = found.cycle * _NEXT_AFTER_ALL_IS_KNOWN


def usual_word(words: NDArray[np.uint64], weights: NDArray[np.float64], starts: Sequence[int]) -> int:
    """Return the word that weighs most, in the mapping whose words weigh most together.

    A table has a word for each block. One that was left behind somewhere else weighs as much as each of these, and is
    no holder. A stack weighs less: what stands there comes and goes. ``starts``: of the mappings, by address.
    """
    mappings = np.searchsorted(np.array(starts, np.uint64), words, side="right")
    here = mappings == np.argmax(np.bincount(mappings, weights))
    return int(words[here][np.argmax(weights[here])])


def _pace(born: NDArray[np.uint64]) -> float | None:
    """Return how many blocks are born a cycle, from the first birth to the last; None where few cycles tell."""
    cycles, counts = np.unique(born[born > 0].astype(np.int64), return_counts=True)
    if len(cycles) < _FEWEST_BIRTHS:
        return None
    return float(counts[1:].sum() / (cycles[-1] - cycles[0]))


def _are_too_few(scans: Sequence[SiteScan]) -> bool:
    """Whether one more scan is worth it: a leak that has just begun has no blocks yet that were there for long."""
    telling = sum(scan.survivors >= FEWEST_SURVIVORS or scan.is_all_held for scan in scans)
    return telling < _SCANS_NEEDED and len(scans) < _MOST_SCANS_KEPT


def _is_rare(suspect: Suspect) -> bool:
    return 0 < suspect.blocks_per_cycle < _RARE_BLOCKS_PER_CYCLE


@dataclass(frozen=True)
class _Targets:
    """The blocks in question."""

    blocks: Blocks
    sites: NDArray[np.uint32]
    """The suspect each block belongs to; a stack counts for the site that it splits."""
    is_old: NDArray[np.bool_]


class MemoryScan:
    """One scan of a process that is held still."""

    def __init__(
        self,
        memory: ProcessMemory,
        checkpoint: Checkpoint,
        sites: NDArray[np.uint32],
        type_at: int,
        longest_s: float = _LONGEST_SCAN_S,
        blocks: Blocks | None = None,
        *,
        beside: NDArray[np.uint32] = _NO_SITES,
        is_collected: bool = False,
        is_last: bool = False,
    ) -> None:
        """Prepare to look for the blocks of these sites, for at most this long.

        ``type_at``: the address of ``type`` in that process. ``blocks``: all live blocks, where they were read before.
        ``beside``: other sites whose blocks hold nothing on their own. ``is_collected``: gc has looked at all objects
        since the last cycle. ``is_last``: no cycle follows, so that young blocks stay as well.
        """
        self._is_last = is_last
        self._known_blocks, self._is_collected = blocks, is_collected
        self.memory = memory
        self.checkpoint = checkpoint
        self._suspects, self._beside = sites, beside
        self.types = PythonTypes(memory, type_at)
        self._longest_s = longest_s
        self._limit = TimeLimit(longest_s)
        self._begun_s = time.thread_time()
        self.read_bytes = 0
        self.mappings = memory.mappings()
        self.stack_pointers = memory.stack_pointers()
        own = [(int(r["start"]), int(r["end"])) for r in checkpoint.ranges]
        self._ranges = writable_ranges(self.mappings, self.stack_pointers, own, _OWN_PATHS)
        self._parents = checkpoint.site_table.owners.astype(np.uint32)

    def run(self) -> None:
        """Read all that is needed."""
        known = self._known_blocks
        self.blocks: Blocks | LiveBlocks = LiveBlocks(self.memory, self.checkpoint) if known is None else known
        self._targets = self._find_targets()
        found = search(self._targets.blocks.addresses, self._targets.blocks.sizes, self.pieces())
        self._objects = self.objects_in(self._targets.blocks, found)
        pointers = self.counted(found, self._targets.blocks, self._objects)
        sources_in = self._targets.blocks.covering(pointers.sources)
        self._reached = reach(
            pointers,
            sources_in,
            self._objects,
            self._is_static(pointers.sources),
            is_collected=self._is_collected,
        )
        self._holders = self._find_holders()
        self._found = [(int(site), self._sum_up(int(site))) for site in self._suspects]

    def memory_map(self) -> Memory:
        """Return what was mapped."""
        maps = "\n".join(f"{m.start:x}-{m.end:x} {m.permissions} 0 0 0 {m.path}" for m in self.mappings)
        return Memory(tuple(self.mappings), tuple(self.stack_pointers), Symbols(maps))

    def sites(self) -> list[tuple[int, SiteScan]]:
        """Return what was found of each site."""
        return self._found

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
        weak = np.zeros(len(may_be_object), np.bool_)
        in_objects = pointers.take(may_be_object)
        weak[may_be_object] = is_weak(in_objects, starts[may_be_object], self.types.find_weak_references)
        pointers = self._without_unused(pointers.take(~weak))
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
        read = [self.memory.read(int(address), _INT_WORDS) for address in pointers.words_after[chosen]]
        whole = [words if len(words) == _INT_WORDS else [0] * _INT_WORDS for words in read]
        values = values_of_ints(np.array(whole, np.uint64).reshape(-1, _INT_WORDS))
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
        kinds = [int(kind) for start in starts for kind in self.memory.read(int(start) + _WORD_BYTES, 1)]
        found = np.zeros(len(pointers.sources), np.bool_)
        if len(kinds) == len(chosen):
            ints = {kind for kind in set(kinds) if self.types.is_type(kind) and self.types.name(kind) == "int"}
            found[chosen] = [kind in ints for kind in kinds]
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

    def _find_targets(self) -> _Targets:
        in_question = np.isin(self._parents, self._suspects)
        # What setup made is left out where it is much: setup itself may hold it, and the cycles have not made it.
        of_cycles = self._count(in_question) > _MOST_BLOCKS_BESIDE
        blocks = self.blocks.of_sites(in_question | np.isin(self._parents, self._beside), of_cycles=of_cycles)
        if len(blocks) > _MOST_BLOCKS_BESIDE:
            blocks = self.blocks.of_sites(in_question, of_cycles=of_cycles)
        if len(blocks) > _MOST_BLOCKS:
            raise TooLongError(f"{len(blocks):,} blocks are in question")
        cycle = self.checkpoint.cycle
        is_old = (blocks.cycles > 0) & (blocks.cycles <= cycle - max(1, cycle // _RECENT))
        return _Targets(blocks, self.site_of(blocks.sites), is_old)

    def _count(self, is_wanted: NDArray[np.bool_]) -> int:
        """Return how many blocks some call sites have, without a look at any. ``is_wanted``: by number of the site."""
        rows = self.checkpoint.rows
        return int(rows["live_blocks"][is_wanted[np.minimum(rows["site"], len(is_wanted) - 1)]].sum())

    def site_of(self, sites: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the sites with each stack in the place of the site that it splits."""
        return self._parents[np.minimum(sites, len(self._parents) - 1)]

    def _sum_up(self, site: int) -> SiteScan:
        targets, reached = self._targets, self._reached
        own = np.flatnonzero(targets.sites == site)
        all_old = own[targets.is_old[own]]
        old = self._alike(all_old)
        lost = old[reached.lost[old]]
        stays = own if self._is_last and not len(old) else old
        types = self._types_by_size(stays)
        before = self._before_own(site, lost)
        foreign = targets.sites[before[before >= 0]]
        all_lost = all_old[reached.lost[all_old]]
        forgotten = all_lost[reached.deficits[all_lost] > 0]
        return SiteScan(
            cycle=self.checkpoint.cycle,
            alive=targets.blocks.addresses[old],
            lost=targets.blocks.addresses[lost],
            held=int(reached.reached[old].sum()),
            is_all_held=bool(len(own)) and bool(reached.reached[own].all()),
            forgotten_type=self._forgotten_type(old, types),
            forgotten_lost=len(forgotten),
            forgotten_lost_type=self._first_name(self._types_by_size(forgotten)),
            type=self._first_name(types),
            holders=self._holders.get(site, ()),
            lost_with=int(np.bincount(foreign).argmax()) if 2 * len(foreign) > len(lost) else None,
            samples=tuple(self._samples(stays, types)),
            blocks_per_cycle=_pace(targets.blocks.cycles[own]),
        )

    def _types_by_size(self, blocks: NDArray[np.intp]) -> list[int]:
        """Return the addresses of the types of the objects in some blocks, those that take most bytes first.

        Not those that take next to nothing of it: a line that lists cursors has made one statement as well.
        """
        kinds, positions = np.unique(self._objects.types[blocks], return_inverse=True)
        sizes = np.bincount(positions, self._targets.blocks.sizes[blocks].astype(float), len(kinds))
        largest = max(sizes[kinds != 0], default=0.0)
        order = np.argsort(-sizes, kind="stable")
        return [int(kinds[at]) for at in order if kinds[at] and sizes[at] >= _NOTABLE_SHARE * largest]

    def _first_name(self, types: Sequence[int]) -> str | None:
        return self.types.name(types[0]) if types else None

    def _forgotten_type(self, old: NDArray[np.intp], types: Sequence[int]) -> str | None:
        """Return the type of which nearly all objects have one reference more than there are pointers to them.

        What held the first of them before (a list that has been moved since) may stand in freed memory still: only the
        younger half is looked at.
        """
        for kind in types[:_MOST_TYPES]:
            of_type = old[self._objects.types[old] == kind]
            if not len(of_type):
                continue
            born = self._targets.blocks.cycles[of_type]
            younger = of_type[born >= np.median(born)]
            forgotten = int((self._reached.deficits[younger] > 0).sum())
            if len(younger) >= FEWEST_SURVIVORS and forgotten >= MOST * len(younger):
                return self.types.name(kind)
        return None

    def _samples(self, old: NDArray[np.intp], types: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Give some objects of the types that take most bytes: the process does not find the strings of a class."""
        for kind in types[:_MOST_TYPES]:
            of_type = old[self._objects.types[old] == kind]
            for block in of_type[:: len(of_type) // (_SAMPLES // min(len(types), _MOST_TYPES)) + 1]:
                yield int(self._targets.blocks.addresses[block]) + int(self._objects.offsets[block]), kind

    def _alike(self, old: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return a site's survivors of one type where nearly all of those are lost, else all.

        Python's free lists give the blocks of one site to objects of another: what is lost is then mixed with others.
        """
        types = self._objects.types[old]
        lost = np.array([self._reached.lost[old[types == kind]].sum() for kind in distinct(types)], np.intp)
        if not len(lost):
            return old
        worst = old[types == distinct(types)[np.argmax(lost)]]
        return worst if lost.max() >= max(FEWEST_SURVIVORS, MOST * len(worst)) else old

    def _find_holders(self) -> dict[int, tuple[Holder, ...]]:
        """Return what points to most of each site's held blocks, what points to that, and so on up to a root."""
        found: dict[int, list[Holder]] = {}
        words: dict[int, NDArray[np.uint64]] = {}
        for site in self._suspects.tolist():
            held = np.flatnonzero((self._targets.sites == site) & self._reached.reached)
            if len(held):
                found[site], words[site] = self._direct_holder(site, held), self._reached.roots[held]
        now_s = time.thread_time()
        ends_s = max(self._begun_s + _CLIMB_WITHIN_S, now_s + _CLIMB_SHARE * (now_s - self._begun_s))
        for level in range(_LEVELS + 1):
            steps = {site: self._step_up(found[site], here, of_each=not level) for site, here in words.items()}
            blocks = sorted({block for block in steps.values() if block is not None})
            if not blocks:
                break
            is_last = level == _LEVELS or time.thread_time() > ends_s
            pointers = self.pointers_to(np.array(blocks), self._static_ranges() if is_last else None)
            words = {site: pointers[block] for site, block in steps.items() if block is not None and block in pointers}
            if is_last:
                for site, here in words.items():
                    self._step_up(found[site], here)
                break
        return {site: tuple(holders) for site, holders in found.items()}

    def _direct_holder(self, site: int, held: NDArray[np.intp]) -> list[Holder]:
        """Return the blocks in question from another site that hold most of these, if there are such."""
        before = self._before_own(site, held)
        before = before[before >= 0]
        if 2 * len(before) <= len(held):
            return []
        sites, targets = self._targets.sites[before], self._targets.blocks
        main = int(np.bincount(sites).argmax())
        block = int(before[sites == main][-1])
        kind = int(self._objects.types[block])
        start, size = int(targets.addresses[block]), int(targets.sizes[block])
        holder = self._block_holder(start, main, size, kind, start + int(self._objects.offsets[block]))
        return [replace(holder, is_alone=int((sites == main).sum()) >= MOST * len(held))]

    def _before_own(self, site: int, blocks: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the block of another site that leads to each; -1 where there is none.

        A list's items stand in a block of their own, from the same site as the list.
        """
        before = self._reached.before[blocks]
        for _ in range(_OWN_STEPS):
            own = (before >= 0) & (self._targets.sites[before] == site)
            before = np.where(own, self._reached.before[before], before)
        return np.where((before >= 0) & (self._targets.sites[before] == site), -1, before)

    def _step_up(self, found: list[Holder], words: NDArray[np.uint64], *, of_each: bool = False) -> int | None:
        """Add the holder in which most of these words stand; return its block, None outside all and in a circle.

        ``of_each``: there is one word for each block that is held, else all words that lead to one block.
        """
        places = self.blocks.covering(words)
        sites = np.where(places < 0, 0, self.site_of(self.blocks.sites[places]))
        if found and (is_other := ~self._is_link(found[-1], places)).any():
            words, places, sites = words[is_other], places[is_other], sites[is_other]
        main = int(np.bincount(sites).argmax())
        these, counts = np.unique(words[sites == main], return_counts=True)
        word = usual_word(these, counts - 0.5 * self._is_on_stack(these), [mapping.start for mapping in self.mappings])
        told = (places >= 0) | self._is_static(words)  # else on a stack, or on one of a thread that has ended
        voting = sites[told] if of_each else sites[told][np.unique(places[told], return_index=True)[1]]
        is_alone = len(voting) == 0 or int(np.bincount(voting).max()) >= MOST * len(voting)
        if not main:
            found.append(Holder(word, None, sample=self._object_around(word), is_alone=is_alone))
            return None
        block = int(places[words == word][0])
        start, size = int(self.blocks.addresses[block]), int(self.blocks.sizes[block])
        is_object = self.blocks.domains[block] == PYTHON_OBJ
        head = self.memory.read(start, min(HEAD_WORDS, size // 8))
        is_circle = any(start <= holder.address < start + size for holder in found)
        offset, kind = self._object_in(head) if is_object else (0, 0)
        holder = self._block_holder(word, main, size, kind, start + offset)
        found.append(replace(holder, is_alone=is_alone, gtypes=() if is_object else self._gtypes_in(block)))
        return None if is_circle else block

    def _is_link(self, below: Holder, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which blocks are of the same linked list of C code as one: of its size. They lead to others of it."""
        is_link = (places >= 0) & (below.type is None)
        is_link[is_link] = self.blocks.sizes[places[is_link]] == below.size_bytes
        return is_link

    def _gtypes_in(self, block: int) -> tuple[int, ...]:
        """Return what may be the GType of an object of GLib that was there before the first cycle."""
        only = self.blocks.take(np.array([block], np.intp))
        if self._gobjects is None or only.cycles[0] > 0:
            return ()
        return self._gobjects.gtypes_within(int(only.addresses[0]), int(only.sizes[0]))

    @cached_property
    def _gobjects(self) -> GObjects | None:
        return GObjects(self.memory) if has_glib(self.mappings) else None

    def _is_on_stack(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found = np.zeros(len(words), np.bool_)
        for mapping in self.mappings:
            if any(mapping.start <= pointer < mapping.end for pointer in self.stack_pointers):
                found |= (words >= np.uint64(mapping.start)) & (words < np.uint64(mapping.end))
        return found

    def _is_static(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which words stand in a module's data: of a file, or zeroed, right behind it."""
        starts = np.array([mapping.start for mapping in self.mappings], np.uint64)
        static, module_ends_at = np.zeros(len(starts) + 1, np.bool_), -1
        for number, mapping in enumerate(self.mappings, 1):
            is_of_file = mapping.path.startswith("/") and not mapping.path.startswith("/dev/")
            static[number] = is_of_file or (not mapping.path and mapping.start == module_ends_at)
            module_ends_at = mapping.end if is_of_file else -1
        return static[np.searchsorted(starts, words, side="right")]

    def _block_holder(self, word: int, site: int, size_bytes: int, kind: int, object_at: int) -> Holder:
        """Return a tracked block as a holder. ``kind``: the address of its object's type, 0 for what is no object."""
        if not kind:
            return Holder(word, site, size_bytes=size_bytes)
        return Holder(word, site, self.types.name(kind), (object_at, kind), size_bytes)

    def _object_around(self, word: int) -> tuple[int, int] | None:
        """Return where the object with a word in it, and its type, seem to be: one from before the tracker began.

        The list, dict or deque of a table that was made since. Who is asked about it recognises it, or does not.
        """
        words = self.memory.read(word - 8 * _FARTHEST_FIELD, _FARTHEST_FIELD)
        for position in range(len(words) - 1, 0, -1):
            kind, references = int(words[position]), int(words[position - 1])
            if 0 < references < _MOST_REFERENCES and self.types.is_type(kind):
                return word - 8 * (len(words) - position + 1), kind
        return None

    def _object_in(self, head: NDArray[np.uint64]) -> tuple[int, int]:
        """Return where in a block an object begins and its type's address; zeros when it holds none."""
        heads = np.zeros((1, HEAD_WORDS), np.uint64)
        heads[0, : len(head)] = head
        objects = find_objects(heads, self.types.find)
        return (int(objects.offsets[0]), int(objects.types[0])) if objects.types[0] else (0, 0)

    def object_in(self, block: int) -> tuple[int, int]:
        """Return where in a block a Python object begins and the address of its type; zeros when it holds none."""
        start, size = int(self.blocks.addresses[block]), int(self.blocks.sizes[block])
        return self._object_in(self.memory.read(start, min(HEAD_WORDS, size // 8)))

    def _static_ranges(self) -> list[Range]:
        """Return the memory of static variables: little, so that it can be looked through once more at any time."""
        is_static = self._is_static(np.array([start for start, _ in self._ranges], np.uint64))
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
