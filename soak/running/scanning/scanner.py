"""Decide when the memory of a measured process is scanned, and keep what the scans found of each call site.

At a checkpoint the process waits: it is stopped, its writable memory is read, and it continues. Nothing of this runs in
the process, and the time does not count as time of its cycles. A copy of the process is read in a thread of soak, while
the process continues. "Lost" takes two scans, some cycles apart.
"""

from __future__ import annotations

import contextlib
import marshal
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.ledger import Suspect
from soak.attribution.holders import (
    FEWEST_SURVIVORS,
    UNSCANNED,
    Memory,
    Reachability,
    SiteScan,
    judge_scans,
    with_holder_of_glib,
)
from soak.attribution.object_answers import NO_ANSWERS, ObjectAnswers, read_object_answers
from soak.attribution.pointers.owners import Ownership, Survivors
from soak.inside.ring import TEXT_BYTES
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import ShadowError
from soak.probes.memory import ProcessMemory, held_still
from soak.results import Unseen
from soak.running.background import Background
from soak.running.child.child import Child
from soak.running.clock import Clock
from soak.running.scanning.copies import end_copy, give_up_copy
from soak.running.scanning.scan.memory_scan import LONGEST_SCAN_S, NO_SITES, MemoryScan
from soak.running.scanning.scan.seen_memory import TooLongError
from soak.running.scanning.scan.surviving import find_survivors
from soak.running.time_share import TimeShare

FIRST_CYCLE, _FIRST_SLOW_CYCLE, _SLOW_AFTER_S = 100, 24, 1.0
"""The first scan; where that many cycles take longer, after fewer."""
_NEXT_AFTER, _NEXT_AFTER_ALL_IS_KNOWN = 1.25, 4
_LONGEST_SCAN_OF_COPY_S = 20.0
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
_SAME_PACE = 0.9
"""The pace of births is that of the ledger's rate if the two differ by no more than this."""
_NEAR = 4
"""Of these the process is asked about the nearest."""
_FEWEST_SITES_OF_OWNERS, _NEXT_OWNERS_AFTER = 8, 2
"""A few causes are told one by one."""
_NOTABLE_SHARE = 0.05
"""Of the growth: less may have a wrong holder without a change of the verdict (see soak.analysis.sites.caches)."""
_MOST_DECIDED = 0.75
"""New sites that grow come one by one: owners are searched once this share of them has been scanned twice."""
_MOST_GTYPES = 256
"""Numbers that the process is asked about: whether they are types of GLib, and what these are called."""


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
        self._parents = NO_SITES.astype(np.int64)
        self.gobjects: dict[str, float] = {}
        """How many objects of GLib a cycle leaves, by type; known when the process has answered."""
        self._scanned_s = 0.0
        self._took_s = 0.0
        """For how long the latest scan held the process, by the clock; the next one takes about as long."""
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

    def is_due(
        self, cycle: int, suspects: Sequence[Suspect], *, of_copy: bool = False, left_s: float = math.inf
    ) -> bool:
        """Tell whether a scan at this checkpoint would be worth its time.

        ``suspects``: as last seen, maybe before. ``of_copy``: the process would not wait for it; but to make the copy
        takes it some milliseconds, so none is made where nothing grows. ``left_s``: so long the process may still be
        held: on a busy machine one scan may take by the clock what is left for cycles.
        """
        if self.is_reading or (not of_copy and self._took_s > left_s):
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
        """Tell whether a scan after the last cycle can tell what holds much of the growth, where the others could not.

        It can where one block that is made anew or moved now and then is at least half of the growth: after one more
        cycle it may be elsewhere. And it can where sites with a notable share of the growth began to leave blocks only
        after the latest scan, or shortly before. On a busy machine the time for scans is used up after few cycles.
        """
        if not self._scans or self._error is not None:
            return False
        every = sum(suspect.bytes_per_cycle for suspect in suspects)
        most = max(suspects, key=lambda suspect: suspect.bytes_per_cycle, default=None)
        if most is not None and self._was_young(most) and 2 * most.bytes_per_cycle >= every:
            return True
        young = (s for s in suspects if s.blocks_per_cycle > 0 and (s.site not in self._scans or self._was_young(s)))
        return sum(suspect.bytes_per_cycle for suspect in young) > _NOTABLE_SHARE * every

    def _was_young(self, suspect: Suspect) -> bool:
        """Whether the latest scan saw only blocks of the latest cycles at a site, and a way to all of them."""
        last = self._scans[suspect.site][-1] if suspect.site in self._scans else None
        return last is not None and last.is_all_held and last.survivors < FEWEST_SURVIVORS

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
                self._take(found(self._child.pid, LONGEST_SCAN_S), suspects)
        self._took_s = self._clock.now_s() - begun_s
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
                survivors = None
                if has_owners:
                    with contextlib.suppress(TooLongError):  # what the scan has found stands without them
                        survivors = find_survivors(scan)
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


def _are_too_few(scans: Sequence[SiteScan]) -> bool:
    """Whether one more scan is worth it: a leak that has just begun has no blocks yet that were there for long."""
    telling = sum(scan.survivors >= FEWEST_SURVIVORS or scan.is_all_held for scan in scans)
    return telling < _SCANS_NEEDED and len(scans) < _MOST_SCANS_KEPT


def _is_rare(suspect: Suspect) -> bool:
    return 0 < suspect.blocks_per_cycle < _RARE_BLOCKS_PER_CYCLE
