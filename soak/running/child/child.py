"""What the supervisor asks of the process that it supervises, and a scripted twin of one."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable, Iterator
from typing import Protocol

from soak.inside import ring
from soak.measurements import Reading
from soak.native.ledger import Ledger
from soak.probes.ledgers.announcements import Announcements
from soak.probes.outside import OutsideReader, ScriptedReader
from soak.running.child.child_ring import ChildRing, ScriptedRing
from soak.running.clock import ScriptedClock

_NO_PID = 1 << 22
"""Linux has no process of this number."""
_LISTED_WITHIN_S = 10.0


class Child(Protocol):
    """One measured process. Who started it closes it, whatever happens."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def ring(self) -> ChildRing:
        """The memory that it shares with its parent."""

    @property
    def outside(self) -> OutsideReader:
        """What reads it from outside."""

    @property
    def is_tracked(self) -> bool:
        """Whether the allocation tracker was preloaded into it."""

    @property
    def announcements(self) -> Announcements | None:
        """Where the processes that it starts tell where their tables are; None if they are not followed."""

    def read_limits(self) -> dict[str, float]:
        """Return its limits as they are now (see soak.probes.limits)."""

    def open_ledger(self) -> Ledger | None:
        """Open the tracker's ledger; None while there is none."""

    def wait_for_row(self, rows_read: int, timeout_s: float) -> None:
        """Return when there are more than ``rows_read`` rows, after ``timeout_s``, or now and then without a reason."""

    def exit_status(self) -> int | None:
        """Return the exit status (negative: the signal), or None while it runs."""

    def output(self) -> str:
        """Return the end of what it wrote to stdout and stderr; complete once it has ended."""

    def is_stopped(self) -> bool:
        """Tell whether a signal holds it still (SIGSTOP, Ctrl-Z, a debugger)."""

    def abort(self) -> None:
        """End it because it does not react, in a way that makes it print its Python stack."""

    def close(self) -> None:
        """Make sure that nothing of it is left."""


class ScriptedChild:
    """Takes prepared readings at their times, and then ends in a prepared way; for tests of what supervises a child.

    Its time is a ScriptedClock's, which moves on while the parent waits for a row. Between two readings its cycles go
    on evenly. When the parent was held up, all rows that are due by then come at once.
    """

    def __init__(
        self,
        clock: ScriptedClock,
        readings: Iterable[Reading],
        *,
        setup_s: float = 0.0,
        exit_status: int | None = 0,
        error: str = "",
        obeys: bool = True,
        output: str = "",
        limits: dict[str, float] | None = None,
        ledger: Ledger | None = None,
        clock_ahead_s: float = 0.0,
    ) -> None:
        """Prepare.

        ``readings``: in order; ``at_s`` counts from the end of ``setup_s``. ``exit_status``: how it ends after the
        last reading: 0 in order; negative, killed by that signal in its next cycle; None, its next cycle never ends;
        soak.inside.child's EXIT_FAILED, its next cycle raises ``error``. ``obeys``: whether it ends when it is asked
        to. ``limits``: of the process; none by default. ``clock_ahead_s``: of the parent's, as where the component has
        replaced the clock.
        """
        self.pid = _NO_PID
        self.ring = ScriptedRing()
        self.outside = ScriptedReader(self._outside_of_last_row())
        self.is_tracked = ledger is not None
        self.announcements: Announcements | None = None
        self.was_aborted = False
        self.is_closed = False
        self._clock = clock
        self._readings = iter(readings)
        self._next = next(self._readings, None)
        self._last = Reading(0, 0.0)
        self._begins_s = clock.now_s() + setup_s
        self._ends_as = exit_status
        self._error = error
        self._obeys = obeys
        self._output = output
        self._limits = limits or {}
        self._ledger = ledger
        self._clock_ahead_s = clock_ahead_s
        self._exit_status: int | None = None
        self._loop_ended_s: float | None = None
        self.ring.enter(ring.PHASE_SETUP)

    def read_limits(self) -> dict[str, float]:
        """See Child."""
        return dict(self._limits)

    def open_ledger(self) -> Ledger | None:
        """See Child."""
        return self._ledger

    def wait_for_row(self, rows_read: int, timeout_s: float) -> None:
        """Let time pass until a row comes, but no more than ``timeout_s``."""
        until_s = self._clock.now_s() + timeout_s
        self._live()
        while self.ring.rows_written <= rows_read and self._exit_status is None and self._clock.now_s() < until_s:
            begun_s = self._clock.now_s()
            self._clock.advance_to(min(self._next_event_s(), until_s))
            if self.ring.is_paused:
                self.ring.stand_still(self._clock.now_s() - begun_s)
                self._begins_s += self._clock.now_s() - begun_s
            self._live()

    def exit_status(self) -> int | None:
        """See Child."""
        return self._exit_status

    def output(self) -> str:
        """See Child."""
        return self._output

    def is_stopped(self) -> bool:
        """See Child."""
        return False

    def abort(self) -> None:
        """See Child."""
        self.was_aborted = True
        if self._exit_status is None:
            self._exit_status = -signal.SIGABRT

    def close(self) -> None:
        """See Child."""
        self.is_closed = True

    def _live(self) -> None:
        """Do what is due by now, up to the next row that the parent must read."""
        now_s = self._clock.now_s()
        if self._exit_status is not None or now_s < self._begins_s:
            return
        if not self.ring.runs_cycles and self._loop_ended_s is None:
            self.ring.begin_loop(self._begins_s + self._clock_ahead_s)
        if self._loop_ended_s is not None:
            self._end()
        elif self.ring.is_asked_to_stop and self._obeys:
            self._stop(now_s)
        elif not self.ring.is_paused:
            self._go_on(now_s)

    def _go_on(self, now_s: float) -> None:
        """Take the readings that are due; with none left, come to the end."""
        if self._next is None:
            self._leave_loop(now_s)
            return
        while self._next is not None and self._begins_s + self._next.at_s <= now_s:
            self._write(self._next)
            self._next = next(self._readings, None)
        waits = self.ring.rows_acknowledged < self.ring.rows_written
        if self._next is not None and not waits:
            self.ring.set_cycles(self._reading_at(now_s).cycle, is_in_cycle=True)

    def _stop(self, now_s: float) -> None:
        """End as a child does that is asked to: with a last checkpoint, in order."""
        self._ends_as = 0
        if not self.ring.rows_written and self._next is not None:
            self._write(self._next)
        elif self.ring.completed > self.ring.counted:
            self._write(self._reading_at(now_s))
        self._leave_loop(now_s)

    def _leave_loop(self, now_s: float) -> None:
        self.ring.set_cycles(self.ring.completed, is_in_cycle=self._ends_as != 0)
        if self._ends_as is None:
            return
        if self._ends_as < 0:
            self._exit_status = self._ends_as
            return
        self._loop_ended_s = now_s
        self.ring.end_loop(now_s + self._clock_ahead_s)

    def _end(self) -> None:
        """Exit, when what is open was listed or that took too long."""
        assert self._loop_ended_s is not None
        if self.ring.waits_for_list and self._clock.now_s() < self._loop_ended_s + _LISTED_WITHIN_S:
            return
        if self._ends_as:
            self.ring.fail(self._error)
        else:
            self.ring.enter(ring.PHASE_DONE)
        self._exit_status = self._ends_as

    def _write(self, reading: Reading) -> None:
        self._last = reading
        self.ring.set_cycles(reading.cycle, is_in_cycle=False)
        self.ring.write_reading(reading)

    def _reading_at(self, now_s: float) -> Reading:
        """Return what would be read now, on the straight line from the last reading to the next."""
        before, after = self._last, self._next
        if after is None or after.at_s <= before.at_s:
            return before
        at_s = now_s - self._begins_s
        share = min((at_s - before.at_s) / (after.at_s - before.at_s), 1.0)
        values = {
            name: value + share * (after.values.get(name, value) - value) for name, value in before.values.items()
        }
        return Reading(before.cycle + int(share * (after.cycle - before.cycle)), at_s, values)

    def _next_event_s(self) -> float:
        """Return when something happens on its own; infinity where nothing does."""
        if self._clock.now_s() < self._begins_s:
            return self._begins_s
        if self._loop_ended_s is not None:
            return self._loop_ended_s + _LISTED_WITHIN_S
        if self._next is None or self.ring.is_paused:
            return math.inf
        return self._begins_s + self._next.at_s

    def _outside_of_last_row(self) -> Iterator[dict[str, float]]:
        while True:
            yield {name: value for name, value in self._last.values.items() if not ScriptedRing.reads_inside(name)}
