"""Blocks of a watched program that are proven to stay: a container keeps them that only grows, told by its code.

As in a run (soak.running.scanning.proving), but for two things. The function that each cycle calls is the program's own
that the server calls, and cycles are requests of several kinds that come at random. So a site must have grown in each
part of the watch by as much as chance allows, by 64 blocks in all. Where scans are allowed, they must say "held" too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from soak.analysis.evidence import Proven
from soak.analysis.sites.ledger import Suspect
from soak.attribution.causes import Call
from soak.attribution.holders import Reachability
from soak.attribution.keepers.entries import served_frames
from soak.attribution.keepers.finder import KeeperFinder
from soak.grounds import Keeper
from soak.results import Unseen
from soak.running.clock import Clock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.scanning.code_reading import CodeReading
from soak.running.scanning.proving import Proofs

Stack = tuple[Call, ...]


class WatchProofs(Proofs):
    """Keeps what is proven of one watched program, or of the processes of one role."""

    def __init__(
        self,
        ledger: LedgerReader,
        reachability: Callable[[int], Reachability],
        clock: Clock,
        *,
        is_scanned: bool,
        ended: Callable[[], int] = lambda: 0,
        kept_per_mark: Callable[[Collection[int]], float | None] = lambda _: None,
        code: CodeReading | None = None,
    ) -> None:
        """Prove nothing yet.

        ``is_scanned``: scans are allowed, so what they say is waited for. ``ended``: returns how many processes have
        ended that were counted. ``kept_per_mark``: returns by how much sites grew, with what went with processes that
        have ended. ``code``: reads the program's code; by default in a thread of its own.
        """
        super().__init__(ledger, reachability, clock, KeeperFinder(served_frames))
        self.code = code or CodeReading()
        self._bounded: dict[Stack, bool] = {}
        self.has_unread = False
        """Whether `may_be_bounded` said so last because the code was not read yet."""
        self._is_scanned, self._ended, self._kept_per_mark = is_scanned, ended, kept_per_mark
        self._found: Proven | None = None
        self._grown: dict[int, Suspect] = {}

    def kept(
        self, suspects: Sequence[Suspect], cycles: int, holding: Mapping[int, frozenset[int]] | None = None
    ) -> Proven | None:
        """See Proofs. What was proven stands when nobody asks for it any more, or its process has been replaced.

        Where its blocks went and no process did, something takes them after all.
        """
        found = super().kept(suspects, cycles, holding)
        if found is not None:
            for suspect in suspects:
                growth = self._ledger.growth([suspect.site]) if suspect.site in self.keepers else None
                if growth is not None:
                    self._grown[suspect.site] = replace(suspect, verdict=growth)
        found = found or self._found
        self._found = None if found is None else self._with_ended(found)
        if self._found is not None and not self._ended() and any(map(self._ledger.has_fallen, self.keepers)):
            self._found = None
        return self._found

    def _with_ended(self, found: Proven) -> Proven:
        """Return what is proven with what containers have kept in processes that have ended: it went with them."""
        rate = self._kept_per_mark(self.keepers.keys())
        if not rate or rate <= (found.growth.rate or 0.0):
            return found
        growth = replace(found.growth, rate=rate, low=rate, high=rate)
        return replace(found, growth=growth, total=growth if rate > (found.total.rate or 0.0) else found.total)

    def gone(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Return the sites of what stands proven that are not among the ``suspects`` any more, as they grew before."""
        growing = {suspect.site for suspect in suspects}
        return [] if self._found is None else [each for site, each in self._grown.items() if site not in growing]

    def _may_be_kept(self, site: int) -> bool:
        found = self._reachability(site)
        is_held = found.state == "held" and found.kind is None
        is_unread = found.state == "unknown" and (not self._is_scanned or found.unseen is Unseen.NOT_READABLE)
        return (is_held or is_unread) and self._ledger.goes_on(site)

    def may_be_bounded(self, suspects: Sequence[Suspect]) -> bool:
        """See Proofs. What is not read yet may be."""
        self.has_unread = False
        return super().may_be_bounded(suspects)

    def _may_go_into_bounded(self, site: int, files: Sequence[str]) -> bool:
        return any(self._may_be_bounded(stack, files) for stack in self._ledger.stacks_of(site)[:1])

    def _may_be_bounded(self, stack: Stack, files: Sequence[str]) -> bool:
        for is_bounded in self.code.ask(
            ("bounded", stack, len(files)), partial(self._finder.may_be_bounded, stack, files)
        ):
            self._bounded[stack] = is_bounded
        self.has_unread |= stack not in self._bounded
        return self._bounded.get(stack, True)

    def _find_keeper(self, site: int, *, is_of_table: bool = False) -> Keeper | None:
        """Return the container that all stacks of a site lead to; another caller may have its own, with a bound.

        Of a table nothing is found: others than the request of its stack may take from the same container.
        """
        if is_of_table:
            return None
        files = self._ledger.python_files()
        stacks = self._ledger.stacks_of(site)
        read = [
            self.code.ask(("keeper", stack, len(files)), partial(self._finder.find, stack, files)) for stack in stacks
        ]
        found = {keeper for each in read for keeper in each}
        return found.pop() if len(found) == 1 and all(read) else None
