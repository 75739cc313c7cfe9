"""The parent's end of the memory that a measured process shares with it (see soak.inside.ring).

The only module outside soak.inside that knows which word stands for what.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soak.inside import pauses, ring
from soak.inside.futex import Futex
from soak.measurements import Reading
from soak.results import Pauses
from soak.running.clock import Clock

_SIGNALS = ("heap", "heap_free", "python_blocks_before_gc", "python_blocks", "gc_objects", "traced")
_FIELDS = {name: number for number, name in enumerate(ring.ROW_FIELDS)}
_CLOCKS_APART_S = 1.0
"""A child may be delayed by up to this long between reading its clock and writing what it read."""


@dataclass(frozen=True)
class Row:
    """What the child counted at one checkpoint."""

    cycle: int
    at_s: float
    """Seconds since the loop began."""
    checkpoint_s: float
    """What the checkpoints before this one took."""
    gc_found: int
    """Objects that the collection found to be garbage."""
    values: dict[str, float]
    """By signal; what was not read is absent."""


class ChildRing:
    """One child's phase, counters and rows as its parent reads them, and what the parent tells the child."""

    def __init__(self, shared: ring.Ring) -> None:
        self._ring = shared
        self._words = shared.words
        self._written = Futex(shared.word_address(ring.WORD_ROWS_WRITTEN))
        self._acknowledged = Futex(shared.word_address(ring.WORD_ROWS_READ))
        self._looked_s = 0.0
        self._moments_s: dict[int, float] = {}

    # How far the child is.

    @property
    def phase(self) -> int:
        """One of soak.inside.ring's ``PHASE_*``."""
        return self._words[ring.WORD_PHASE]

    @property
    def runs_cycles(self) -> bool:
        """Whether setup is over and teardown has not begun."""
        return self.phase == ring.PHASE_CYCLES

    @property
    def phase_name(self) -> str:
        """The phase in a word."""
        return ring.PHASE_NAMES[self.phase]

    @property
    def failed_phase(self) -> int:
        """The phase in which the driver raised, once it has."""
        return self._words[ring.WORD_FAILED_PHASE]

    @property
    def cycle(self) -> int:
        """The cycle under way, from 1; the last completed one between cycles."""
        return self._words[ring.WORD_CYCLE]

    @property
    def completed(self) -> int:
        """Cycles completed."""
        return self._words[ring.WORD_COMPLETED]

    @property
    def counted(self) -> int:
        """Cycles completed at the last checkpoint."""
        return self._words[ring.WORD_COUNTED]

    @property
    def is_between_cycles(self) -> bool:
        """Whether no cycle is under way."""
        return self._words[ring.WORD_CYCLE] == self._words[ring.WORD_COMPLETED]

    @property
    def is_counting(self) -> bool:
        """Whether a checkpoint collects garbage or reads its counters now."""
        return bool(self._words[ring.WORD_COUNTING])

    @property
    def has_collected_garbage(self) -> bool:
        """Whether the last checkpoint collected; it does not where the component runs with gc disabled or frozen."""
        return bool(self._words[ring.WORD_GC_COLLECTED])

    @property
    def has_collected_all(self) -> bool:
        """Whether the last checkpoint collected all garbage: what is garbage now, gc can not give back."""
        return bool(self._words[ring.WORD_ALL_COLLECTED])

    @property
    def has_loop_ended(self) -> bool:
        """Whether the last cycle is over."""
        return bool(self._words[ring.WORD_LOOP_ENDED_NS])

    @property
    def waits_for_list(self) -> bool:
        """Whether the child, its cycles over, waits until what it has open is listed."""
        return bool(self._words[ring.WORD_NAMES_BYTES]) and not self._words[ring.WORD_LISTED]

    @property
    def has_answered(self) -> bool:
        """Whether `read_text` gives the answer to what was asked about objects."""
        return bool(self._words[ring.WORD_ANSWERED]) and self.phase != ring.PHASE_FAILED

    @property
    def type_address(self) -> int:
        """The address of the type ``type`` in the child."""
        return self._words[ring.WORD_TYPE]

    # Its times.

    @property
    def paused_s(self) -> float:
        """For how long the loop stood still because it was told to."""
        return self._words[ring.WORD_PAUSED_NS] / 1e9

    @property
    def checkpoint_s(self) -> float:
        """What the checkpoints took so far."""
        return self._words[ring.WORD_CHECKPOINT_NS] / 1e9

    @property
    def missed_deadlines(self) -> int:
        """Starts of cycles that were left out because the one before took too long."""
        return self._words[ring.WORD_MISSED_DEADLINES]

    @property
    def worst_lag_s(self) -> float:
        """How late a cycle began, at worst."""
        return self._words[ring.WORD_WORST_LAG_NS] / 1e9

    @property
    def first_to_last_start_s(self) -> float:
        """From the start of the first cycle to that of the last, without the times the loop was held up."""
        between_ns = self._words[ring.WORD_LAST_START_NS] - self._words[ring.WORD_FIRST_START_NS]
        return max(between_ns - self._held_up_ns, 0) / 1e9

    def elapsed_s(self, now_s: float) -> float:
        """Return for how long the loop has been running, or ran, without the times it was held up."""
        started_s = self._moment_s(ring.WORD_LOOP_STARTED_NS, now_s)
        ended_s = self.loop_ended_s(now_s)
        self._looked_s = now_s
        if started_s is None:
            return 0.0
        return max((now_s if ended_s is None else ended_s) - started_s - self._held_up_ns / 1e9, 0.0)

    def _moment_s(self, word: int, now_s: float) -> float | None:
        """Return a moment that the child wrote; None before it has come.

        A component may have changed the clock that the child reads. A moment that cannot be right by the parent's clock
        is replaced by the time at which the parent saw it.
        """
        written_s = self._words[word] / 1e9
        if written_s and word not in self._moments_s:
            is_right = self._looked_s - _CLOCKS_APART_S <= written_s <= now_s
            self._moments_s[word] = written_s if is_right else now_s
        return self._moments_s.get(word)

    @property
    def looked_at_s(self) -> float:
        """For how long the child has waited at its checkpoints for looks at its memory; no part of `elapsed_s`."""
        return self._words[ring.WORD_HELD_NS] / 1e9

    def loop_ended_s(self, now_s: float) -> float | None:
        """Return when the last cycle was over, on the parent's clock; None before."""
        return self._moment_s(ring.WORD_LOOP_ENDED_NS, now_s)

    @property
    def _held_up_ns(self) -> int:
        """For the heat, and for looks at its memory."""
        return self._words[ring.WORD_PAUSED_NS] + self._words[ring.WORD_HELD_NS]

    def pauses(self, budget_s: float | None) -> Pauses | None:
        """Return for how long cycles waited for checkpoints so far; None if none did. ``budget_s``: for each."""
        counts = self._words[ring.WORD_PAUSE_HISTOGRAM : ring.WORD_PAUSE_HISTOGRAM + pauses.BUCKETS].tolist()
        total, worst_ns = sum(counts), self._words[ring.WORD_WORST_PAUSE_NS]
        if not total:
            return None
        up_to = list(itertools.accumulate(counts))
        p50_ns, p99_ns = (
            min(pauses.longest_in(bisect.bisect_left(up_to, share * total)), worst_ns) for share in (0.5, 0.99)
        )
        return Pauses(total, p50_ns / 1e9, p99_ns / 1e9, worst_ns / 1e9, budget_s)

    @property
    def pause_count(self) -> int:
        """How often cycles have waited for a checkpoint so far."""
        return self._words[ring.WORD_PAUSES]

    # Copies of it.

    def ask_for_snapshot(self) -> None:
        """Have the child make a copy of itself at its next checkpoint, unless there is one that was not taken yet."""
        if not self._words[ring.WORD_SNAPSHOT]:
            self._words[ring.WORD_WANTS_SNAPSHOT] = 1

    @property
    def snapshot_cpu_s(self) -> float:
        """How long the latest copy kept the child from going on, without the time that it waited for a processor."""
        return max(self._words[ring.WORD_SNAPSHOT_CPU_NS], 0) / 1e9

    def take_snapshot(self) -> tuple[int, int]:
        """Return the number of the copy, which the caller has to end, and the cycle after which it was made.

        0: there is none; below 0: there can be none. Each copy is given once.
        """
        number, cycle = self._words[ring.WORD_SNAPSHOT], self._words[ring.WORD_SNAPSHOT_CYCLE]
        if number:
            self._words[ring.WORD_SNAPSHOT] = 0
        return number, cycle

    # Rows and texts.

    @property
    def rows_written(self) -> int:
        """Rows so far, also those that were overwritten unread."""
        return self._words[ring.WORD_ROWS_WRITTEN]

    @property
    def rows_acknowledged(self) -> int:
        """Rows that the parent has said it has read."""
        return self._words[ring.WORD_ROWS_READ]

    def wait_for_row(self, rows_read: int, timeout_s: float) -> None:
        """Return when there are more than ``rows_read`` rows, after ``timeout_s``, or now and then without a reason."""
        if self.rows_written <= rows_read:
            self._written.wait(rows_read, timeout_s)

    def read_row(self, number: int) -> Row | None:
        """Return row ``number`` (from 0); None when it is torn or was overwritten."""
        fields = self._ring.read_row(number)
        if fields is None:
            return None
        read = {name: fields[_FIELDS[name]] for name in _SIGNALS}
        return Row(
            cycle=fields[_FIELDS["cycle"]],
            at_s=fields[_FIELDS["at_ns"]] / 1e9,
            checkpoint_s=fields[_FIELDS["checkpoint_ns"]] / 1e9,
            gc_found=fields[_FIELDS["gc_found"]],
            values={name: float(value) for name, value in read.items() if value != ring.NOT_READ},
        )

    def read_failure(self) -> bytes:
        """Return the report of the failure of a child that failed."""
        return self._ring.read_failure()

    def read_text(self) -> bytes:
        """Return an answer about objects, or what a profile tells."""
        return self._ring.read_text()

    def read_thread_names(self) -> dict[int, str]:
        """Return the threads' names by the kernel's number; none before the cycles are over."""
        return self._ring.read_names()

    def read_thread_lines(self) -> dict[int, tuple[str, int, str]]:
        """Return where threads are, in code that is not Python's own; none before the cycles are over."""
        return self._ring.read_lines()

    # What the parent tells the child.

    def acknowledge(self, rows_read: int) -> None:
        """Tell the child that its rows, and the outside at this moment, were read."""
        self._words[ring.WORD_ROWS_READ] = rows_read
        self._words[ring.WORD_HOLD] = 0
        self._acknowledged.wake()

    @contextlib.contextmanager
    def hold(self, cycle: int, clock: Clock) -> Iterator[bool]:
        """Keep the child at its checkpoint after ``cycle`` until its rows are acknowledged, however long that takes.

        False when it has gone on already. Its clock of cycles is told how long it was held.
        """
        begun_s = clock.now_s()
        self._words[ring.WORD_HOLD] = 1
        try:
            yield self.is_at_rest_after(cycle)
        finally:
            if self.is_at_rest_after(cycle):
                self._words[ring.WORD_HELD_NS] += round((clock.now_s() - begun_s) * 1e9)

    def is_at_rest_after(self, cycle: int) -> bool:
        """Tell whether the child has completed this cycle and not begun the next."""
        return self.is_between_cycles and self.completed == cycle

    def release_from_list(self) -> None:
        """Tell the child, whose cycles are over, that what it has open was listed."""
        self._words[ring.WORD_LISTED] = 1
        self._acknowledged.wake()

    def ask_to_stop(self) -> None:
        """Ask the child to end after the cycle under way, with a last checkpoint and its teardown."""
        self._words[ring.WORD_STOP] = ring.STOP

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether `ask_to_stop` was called."""
        return self._words[ring.WORD_STOP] == ring.STOP

    def pause(self, *, on: bool) -> None:
        """Let the child stand still after the cycle under way, or go on; nothing when it was asked to stop."""
        if not self.is_asked_to_stop:
            self._words[ring.WORD_STOP] = ring.PAUSE if on else ring.GO_ON

    @property
    def is_paused(self) -> bool:
        """Whether the child was told to stand still."""
        return self._words[ring.WORD_STOP] == ring.PAUSE

    def allow_sparse_checkpoints(self, early_s: float) -> None:
        """Tell the child for how long, at first, its checkpoints may be few: no look of the rule reaches back there."""
        self._words[ring.WORD_EARLY_NS] = round(early_s * 1e9)

    def set_checkpoint_spacing(self, cycles: int) -> None:
        """Tell the child that checkpoints should not come to be more cycles apart than this, if they are cheap."""
        self._words[ring.WORD_SPACING] = cycles

    def allow_more_cycles(self, cycles: int) -> None:
        """Tell the child how many unmeasured cycles it may run after the last one, to answer what it is asked."""
        self._words[ring.WORD_MORE_CYCLES] = cycles

    def ask_about_objects(self, question: bytes) -> None:
        """Have the child answer, after its last cycle, a question about objects (soak.inside.objects.answers).

        Nothing happens once it has looked for questions: the answer has the same place, and a scan of a copy may be
        over long after the cycles are.
        """
        if self.has_loop_ended and not self.waits_for_list:
            return
        self._ring.write_text(question)
        self._words[ring.WORD_ASKED] |= ring.ASKED_OBJECTS

    def ask_about_garbage(self) -> None:
        """Have the child say, after its last cycle, what the garbage is that collections find."""
        self._words[ring.WORD_ASKED] |= ring.ASKED_GARBAGE


class ScriptedRing(ChildRing):
    """A ring whose child's end is written by a script; for tests of what reads one."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            path = str(Path(folder, "ring"))
            ring.create(path, b"")
            super().__init__(ring.Ring(path))  # which stays mapped

    def enter(self, phase: int) -> None:
        """Begin a phase (``PHASE_*``)."""
        self._words[ring.WORD_PHASE] = phase

    def begin_loop(self, now_s: float) -> None:
        """Begin the cycles."""
        self.enter(ring.PHASE_CYCLES)
        self._words[ring.WORD_GC_COLLECTED] = 1
        self._words[ring.WORD_LOOP_STARTED_NS] = round(now_s * 1e9)

    def set_cycles(self, completed: int, *, is_in_cycle: bool) -> None:
        """Set how many cycles are complete, and whether the next one is under way."""
        self._words[ring.WORD_COMPLETED] = completed
        self._words[ring.WORD_CYCLE] = completed + is_in_cycle

    def stand_still(self, seconds: float) -> None:
        """Add to the time that the loop stood still because it was told to."""
        self._words[ring.WORD_PAUSED_NS] += round(seconds * 1e9)

    def write_reading(self, reading: Reading, *, checkpoint_s: float = 0.0, gc_found: int = 0) -> None:
        """Write the row of a checkpoint; of the values those that are read inside."""
        fields = dict.fromkeys(ring.ROW_FIELDS[:-2], 0)
        fields.update(cycle=reading.cycle, at_ns=round(reading.at_s * 1e9))
        fields.update(checkpoint_ns=round(checkpoint_s * 1e9), gc_found=gc_found)
        fields.update({name: int(reading.values.get(name, ring.NOT_READ)) for name in _SIGNALS})
        self._words[ring.WORD_COUNTED] = reading.cycle
        self._words[ring.WORD_CHECKPOINT_NS] = round(checkpoint_s * 1e9)
        self._ring.write_row(tuple(fields.values()))

    def end_loop(self, now_s: float) -> None:
        """End the cycles, and wait for the list of what is open."""
        self._words[ring.WORD_LOOP_ENDED_NS] = round(now_s * 1e9)
        self._ring.write_names({})

    def fail(self, report: str) -> None:
        """Have the driver raise in the present phase. ``report``: type and message, then frames, a line each."""
        self._ring.write_failure(report.encode())
        self._words[ring.WORD_FAILED_PHASE] = self.phase
        self.enter(ring.PHASE_FAILED)

    def pause_often(self, count: int) -> None:
        """Have paused so many times."""
        self._words[ring.WORD_PAUSES] = count

    def make_snapshot(self, number: int, *, after_cycle: int, took_s: float = 0.0) -> None:
        """Have made a copy of itself, as asked."""
        self._words[ring.WORD_SNAPSHOT_CPU_NS] = round(took_s * 1e9)
        self._words[ring.WORD_SNAPSHOT_CYCLE] = after_cycle
        self._words[ring.WORD_SNAPSHOT] = number
        self._words[ring.WORD_WANTS_SNAPSHOT] = 0

    @property
    def wants_snapshot(self) -> bool:
        """What the parent said: whether a copy is to be made at the next checkpoint."""
        return bool(self._words[ring.WORD_WANTS_SNAPSHOT])

    @property
    def early_s(self) -> float:
        """What the parent said: for how long, at first, checkpoints may be few."""
        return self._words[ring.WORD_EARLY_NS] / 1e9

    @property
    def checkpoint_spacing(self) -> int:
        """What the parent said: how many cycles checkpoints may be apart."""
        return self._words[ring.WORD_SPACING]

    @property
    def more_cycles(self) -> int:
        """What the parent said: how many unmeasured cycles may follow the last one."""
        return self._words[ring.WORD_MORE_CYCLES]

    @staticmethod
    def reads_inside(signal: str) -> bool:
        """Tell whether a signal stands in the rows."""
        return signal in _SIGNALS
