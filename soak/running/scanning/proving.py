"""Blocks that are proven to stay: lost, by scans of the memory; or kept, by a container that only grows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from soak.analysis.evidence import Evidence, Proven
from soak.analysis.sites.ledger import Suspect
from soak.analysis.sites.rest import EndedGrowth
from soak.attribution.causes import Call
from soak.attribution.holders import Reachability
from soak.attribution.keepers.bounds import Bound
from soak.attribution.keepers.finder import KeeperFinder
from soak.attribution.object_answers import ObjectAnswers, with_bounds_of_code
from soak.grounds import Keeper
from soak.results import Unseen
from soak.running.clock import Clock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.verdict import SeriesVerdict

_LOST_STANDS_AFTER_S, _KEPT_STANDS_AFTER_S = 3.0, 1.0
"""Proven blocks are a leak at once, but the series then tell soon by how much, and what else there is."""
_TELLS_AFTER_S, _TELLS_TIMES, _TELLS_WITHIN = 0.1, 4, 0.02
"""Sooner when the rate is known this precisely, over this many times the cycles after which they were found."""
_RARE_BLOCKS_PER_CYCLE, _FEWEST_BLOCKS, _NOTABLE_SHARE = 0.5, 16, 0.1
"""A library that hands out memory itself asks for a large block now and then: so many of them tell the rate."""
_STRAY_SHARE = 0.05
"""Of what leaks: some blocks have the stack of an earlier use of theirs."""
_CERTAINLY_FULL = 1.2
"""A container with so many times the entries that code allows is bounded by something else, or by nothing."""
_FEWEST_CYCLES = 32
"""A site that has kept something in each of this many cycles shows that the code runs as it was read."""


class Proofs:
    """Keeps what is proven of one component, and since when."""

    def __init__(
        self,
        ledger: LedgerReader,
        reachability: Callable[[int], Reachability],
        clock: Clock,
        finder: KeeperFinder | None = None,
    ) -> None:
        """Prove nothing yet. ``reachability``: tells what scans of the memory say of a site."""
        self._ledger, self._reachability, self._clock = ledger, reachability, clock
        self._finder = finder or KeeperFinder()
        self._first: dict[str, tuple[float, int]] = {}
        self.keepers: dict[int, Keeper] = {}
        """By site: the container that keeps its blocks, where one does. Nothing takes that back."""
        self._searched: dict[tuple[int, bool], tuple[tuple[list[int], int], Keeper | None]] = {}
        """By site, as of what grows or of a table that holds it: its stacks and the number of files that were read, and
        what was found."""
        self.ended = EndedGrowth(ledger.ended_after)
        """What has come to rest."""

    def lost(self, suspects: Sequence[Suspect], cycles: int) -> Proven | None:
        """Return what the scans found that nothing points to, of the sites that grow."""
        lost = self._lost_sites(suspects)
        at = max((self._reachability(site).decided_at or 0 for site in lost), default=0)
        return self._proven("lost", lost, suspects, at, cycles)

    def _lost_sites(self, suspects: Sequence[Suspect]) -> list[int]:
        return [suspect.site for suspect in suspects if self._reachability(suspect.site).state == "lost"]

    def kept(
        self, suspects: Sequence[Suspect], cycles: int, holding: Mapping[int, frozenset[int]] | None = None
    ) -> Proven | None:
        """Return what a container holds that the code only adds to, and that has grown in each cycle so far.

        ``holding``: sites of memory that holds what others have allocated, each with those.
        """
        if cycles < _FEWEST_CYCLES:
            return None
        for site, held in (holding or {}).items():
            unexplained = [suspect.site for suspect in suspects if suspect.site in held - self.keepers.keys()]
            if any(map(self._may_be_kept, unexplained)) and self._ledger.grows_steadily(site):
                keeper = self._find_keeper(site)
                if keeper is not None:
                    self.keepers.update(dict.fromkeys(filter(self._may_be_kept, unexplained), keeper))
        for suspect in suspects:
            if suspect.site not in self.keepers and self._may_be_kept(suspect.site):
                keeper = self._find_keeper(suspect.site) or self._find_keeper_on_way_to(suspect.site)
                if keeper is not None:
                    self.keepers[suspect.site] = keeper
        kept = [suspect.site for suspect in suspects if suspect.site in self.keepers]
        return self._proven("kept", kept, suspects, cycles, cycles, self.keepers[kept[0]]) if kept else None

    def without_bounded(self, evidence: Evidence, bounded: Collection[int]) -> Evidence:
        """Return the evidence with the growth of these sites, which bounded containers hold, left out of all rates.

        It ends. But the same blocks may have a second holder, so the interval still reaches up to it.
        """
        if evidence.lost is None or not bounded:
            return evidence
        lost = self._lost_sites(evidence.suspects)
        others = [suspect for suspect in evidence.suspects if suspect.site not in bounded]
        total = self._ledger.total_growth(lost, others)
        if total is None:
            return evidence
        total = replace(_reaching(total, evidence.lost.total), low=evidence.lost.total.low)
        return replace(evidence, lost=replace(evidence.lost, total=total))

    def may_be_bounded(self, suspects: Sequence[Suspect]) -> bool:
        """Whether nearly all that leaks may go into containers that code keeps small."""
        leaking = [suspect for suspect in suspects if suspect.is_leak] or suspects
        files = self._ledger.python_files()
        elsewhere = [suspect for suspect in leaking if not self._may_go_into_bounded(suspect.site, files)]
        strays = sum(suspect.bytes_per_cycle for suspect in elsewhere)
        return bool(leaking) and strays <= _STRAY_SHARE * sum(suspect.bytes_per_cycle for suspect in leaking)

    def is_below_bound(self, suspects: Sequence[Suspect], cycles: int) -> bool:
        """Whether most of what leaks may go into a container that code bounds by a number that it has not reached.

        An entry has a block at least.
        """
        with_blocks = [suspect for suspect in suspects if suspect.blocks_per_cycle > 0]  # not a table alone
        leaking = [suspect for suspect in with_blocks if suspect.is_leak] or with_blocks
        if not leaking:
            return False
        main = max(leaking, key=lambda suspect: suspect.bytes_per_cycle)
        stacks = self._ledger.stacks_of(main.site)[:1]
        most = max((self._finder.most_entries(stack, self._ledger.python_files()) for stack in stacks), default=0)
        return main.blocks_per_cycle * cycles < _CERTAINLY_FULL * most

    def _may_go_into_bounded(self, site: int, files: Sequence[str]) -> bool:
        stacks = self._ledger.stacks_of(site)[:1]
        return any(self._finder.may_be_bounded(stack, files) for stack in stacks)

    def with_bounds(self, answers: ObjectAnswers, cycles: int) -> ObjectAnswers:
        """Return what a process has said of its objects, with the containers that its code bounds."""
        files = self._ledger.python_files()

        def bound_of(name: str, site: int) -> Bound | None:
            return self._finder.bound_of(name, files, self._ledger.stacks_of(site))

        return with_bounds_of_code(answers, cycles, bound_of)

    def _may_be_kept(self, site: int) -> bool:
        """Whether a site's blocks are held, not only by each other, and have become more in each cycle so far.

        Where a busy machine leaves no time to read the memory, the code tells that they are held as well.
        """
        found = self._reachability(site)
        is_unread = found.state == "unknown" and found.unseen is Unseen.NOT_READABLE
        is_held = (found.state == "held" and found.kind is None) or is_unread
        return is_held and self._ledger.grows_in_each_cycle(site)

    def _find_keeper_on_way_to(self, site: int) -> Keeper | None:
        """Return the container that only grows, of which a table stands on the way from a root to a site's blocks.

        A scan says of each site that grows what holds it; that has its own holder, and so on. The stack of a table is
        that of the latest addition for which it was too small.
        """
        seen, waiting = {site}, [site]
        while waiting:
            above = {holder.site for holder in self._reachability(waiting.pop()).holders if holder.site is not None}
            for holder in sorted(above - seen):
                keeper = self._find_keeper(holder, is_of_table=True)
                if keeper is not None:
                    return keeper
                waiting.append(holder)
            seen |= above
        return None

    def _find_keeper(self, site: int, *, is_of_table: bool = False) -> Keeper | None:
        files = self._ledger.python_files()
        read = self._ledger.main_stacks(site), len(files)
        known = self._searched.get((site, is_of_table))
        if known is not None and known[0] == read:
            return known[1]
        stacks = self._ledger.stacks_of(site)
        found = (self._finder.find(stack, files, self._ledger.has_kept, is_of_table=is_of_table) for stack in stacks)
        keeper = next(filter(None, found), None)
        self._searched[site, is_of_table] = read, keeper
        return keeper

    def _proven(
        self,
        kind: str,
        sites: list[int],
        suspects: Sequence[Suspect],
        at_cycle: int,
        cycles: int,
        keeper: Keeper | None = None,
    ) -> Proven | None:
        growth = self._ledger.growth(sites)
        if growth is None:
            return None
        now_s = self._clock.now_s()
        since_s, at = self._first.setdefault(kind, (now_s, at_cycle))
        total = self._ledger.total_growth(sites, suspects) or growth
        waited_s = now_s - since_s
        is_exact = is_narrow(growth) and is_narrow(total)
        is_known = waited_s > _TELLS_AFTER_S and cycles >= _TELLS_TIMES * at
        is_rest_open = _is_rest_open(growth.rate or 0.0, [each for each in suspects if each.site not in sites], cycles)
        longest_s = _LOST_STANDS_AFTER_S if keeper is None or is_rest_open else _KEPT_STANDS_AFTER_S
        is_settled = waited_s > longest_s or (is_exact and not is_rest_open and (is_known or keeper is not None))
        if keeper is not None:
            total = _together(total, self._growth_of_container(keeper, suspects, sites))
            total = _reaching(total, self._ledger.growth([suspect.site for suspect in suspects]))
        # What only grows so far may end: no more is certain than what is proven.
        total = replace(total, low=min(total.low or 0.0, growth.low or 0.0))
        return Proven(len(sites), growth, total, at, is_settled, keeper)

    def _growth_of_container(self, keeper: Keeper, suspects: Sequence[Suspect], kept: Sequence[int]) -> float:
        """Return the bytes a cycle by which a container's own table grows, over the whole run.

        It is made larger now and then, so the later half of the cycles does not tell its rate.
        """
        tables = [
            suspect.site
            for suspect in suspects
            if suspect.site not in kept and not self._ledger.grows_steadily(suspect.site)
            if any(self._adds_to(keeper, stack) for stack in self._ledger.stacks_of(suspect.site)[:1])
        ]
        return sum(map(self._ledger.mean_growth, tables))

    @staticmethod
    def _adds_to(keeper: Keeper, stack: Sequence[Call]) -> bool:
        """Whether a block is allocated by the very line that adds to a container: most of all its table."""
        innermost = next((call for call in stack if call.file is not None), None)
        return innermost is not None and (innermost.file, innermost.line) == (keeper.file, keeper.line)


def _is_rest_open(proven_rate: float, others: Sequence[Suspect], cycles: int) -> bool:
    """Whether a site beside those that are proven may grow by much, in so few large blocks that nobody knows yet."""
    return any(
        0 < other.blocks_per_cycle < _RARE_BLOCKS_PER_CYCLE
        and other.blocks_per_cycle * cycles < _FEWEST_BLOCKS
        and other.bytes_per_cycle > _NOTABLE_SHARE * proven_rate
        for other in others
    )


def _together(growth: SeriesVerdict, more: float) -> SeriesVerdict:
    """Return growth with a rate that is not known so well on top."""
    if growth.rate is None or growth.high is None:
        return growth
    return replace(growth, rate=growth.rate + more, high=growth.high + more)


def _reaching(growth: SeriesVerdict, other: SeriesVerdict | None) -> SeriesVerdict:
    """Return growth with an interval that reaches up to another rate."""
    if other is None or other.rate is None or growth.high is None:
        return growth
    return replace(growth, high=max(growth.high, other.rate))


def is_narrow(growth: SeriesVerdict) -> bool:
    """Whether a rate is known well enough to be told."""
    if growth.rate is None or growth.low is None or growth.high is None:
        return False
    return growth.high - growth.low <= _TELLS_WITHIN * growth.rate
