"""Look at the memory of a component: audit what is resident, and scan it for pointers to what grows.

Either while the component waits at a checkpoint, or in a copy that it makes of itself. That is read while it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from soak.analysis.sites.ledger import Suspect
from soak.running.child.child import Child
from soak.running.clock import Clock
from soak.running.component.horizon import Horizon
from soak.running.component.reading.auditing import Auditor
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.component.stopping import BESIDE_SHARE, left_for_looks_s
from soak.running.scanning.copies import Copies
from soak.running.scanning.scanner import Scanner
from soak.settings import ComponentPlan

_SCAN_ENDS_WITHIN_S = 10.0
"""So long the end of a run waits for the scan of a copy at least, and otherwise for what its budget allows beside."""


class MemoryLooks:
    """Knows when to look at the memory of one component, and does it within its pauses."""

    def __init__(
        self,
        child: Child,
        clock: Clock,
        plan: ComponentPlan,
        ledger: LedgerReader,
        horizon: Horizon,
        *,
        audits: bool,
    ) -> None:
        """Look at nothing yet. ``audits``: whether resident memory is audited."""
        self.ring, self.ledger, self.horizon = child.ring, ledger, horizon
        self._clock, self._plan = clock, plan
        self._audits = audits
        self._copies = Copies(child.ring, max_pause_s=plan.max_pause_s)
        self.scanner, self.auditor = Scanner(child, clock), Auditor(child, clock)

    def look_while_it_waits(
        self,
        written: int,
        suspects: Sequence[Suspect],
        rss_bytes: float,
        on_look: Callable[[], None],
        *,
        is_last: bool,
        in_a_hurry: bool,
    ) -> None:
        """Audit the memory, and scan it for the blocks of the sites that grow now, where that is due.

        ``written``: how many rows the component has written, which waits at the newest. ``on_look`` is called before
        a look. ``is_last``: it runs no more cycles. ``in_a_hurry``: it is to end at once.
        """
        cycle, scanner = self.ring.counted, self.scanner
        checkpoint = self.ledger.latest
        by_copy = not is_last and self._copies.are_better(rss_bytes)
        finishes = is_last and scanner.is_reading
        scans = checkpoint is not None and scanner.is_due(cycle, suspects, of_copy=by_copy, left_s=self._left_s())
        is_outdated = checkpoint is not None and is_last and scanner.is_outdated(suspects)
        scans |= is_outdated and not in_a_hurry
        if scans and by_copy:
            self._copies.ask(rss_bytes)
            scans = False
        audits = self._audits and self.auditor.is_due(cycle, is_last=is_last, rss_bytes=rss_bytes)
        has_budget = self._plan.max_pause_s is not None
        if not (scans or audits or finishes) or (has_budget and not is_last):
            return
        on_look()
        with self.ring.hold(cycle, self._clock) as waits:
            if finishes:
                self.finish(in_a_hurry=in_a_hurry)
                scans |= checkpoint is not None and scanner.is_due(cycle, suspects)
            if waits and audits:
                row = self.ring.read_row(written - 1)
                free_bytes = int(row.values.get("heap_free", 0)) if row is not None else 0
                self.auditor.audit(cycle, checkpoint, free_bytes, self.ledger.packing.saved_bytes)
            if waits and scans and checkpoint is not None:
                scanner.scan(checkpoint, self._suspects(cycle), self.ledger.growing_sites(), is_last=is_last)

    def _left_s(self) -> float:
        """Return how long looks may still take before the component has used up its time; infinite without a budget."""
        budget_s, elapsed_s = self._plan.budget_s, self.ring.elapsed_s(self._clock.now_s())
        return math.inf if budget_s is None else left_for_looks_s(elapsed_s, self.ring.looked_at_s, budget_s)

    def look_at_copy(self) -> None:
        """Begin to scan the copy that the process made of itself, if it has, or take in what was found in one.

        Meanwhile the process goes on, and its rows are read: a row that is not read in time is of less use.
        """
        self.scanner.take_in()
        checkpoint = self.ledger.latest
        copy = self._copies.take(None if checkpoint is None else checkpoint.cycle)
        if copy is not None and checkpoint is not None:
            growing = self.ledger.growing_sites()
            self.scanner.begin_copy(copy, checkpoint, self._suspects(checkpoint.cycle), growing)

    def _suspects(self, cycle: int) -> list[Suspect]:
        return self.ledger.suspects(cycle, self.horizon.longest, beside=self.scanner.holding)

    def finish(self, *, in_a_hurry: bool) -> None:
        """Wait for the scan of a copy that was made before, except where the run is to end at once."""
        if in_a_hurry:
            self.scanner.give_up_copy()
        else:
            budget_s = self._plan.budget_s
            self.scanner.finish_copy(None if budget_s is None else max(_SCAN_ENDS_WITHIN_S, BESIDE_SHARE * budget_s))

    def close(self) -> None:
        """Give up what is still to be read, and end the copies."""
        self.scanner.give_up_copy()
        self._copies.take(None)
