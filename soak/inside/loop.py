"""The loop: call the cycle, hold the pace, stop at checkpoints to count.

Between checkpoints a cycle costs two stores, one load and one call on soak's account. Nothing here allocates anything
that stays, and nothing needs a new file descriptor, thread or mapping once the cycles run.
"""

from __future__ import annotations

import gc
import sys
import time

from soak.inside import counters, ring
from soak.inside.futex import Futex

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.tracker import NoTracker, Tracker

FREE_CHECKPOINT_NS = 80_000_000
"""Checkpoints may take so long beside their share: the first ones are dense, for descriptors run out in 800 cycles."""
SHARE_FLAT_OUT = 0.09
SHARE_PACED = 0.038
_DENSEST, _SPARSEST, _SPARSEST_EARLY = 64, 34, 4
_EARLY_CYCLES = 64  # a quarter of the smallest n_min: the first look that can decide reaches back to there
FIRST_CLEAN_FROM, FIRST_CLEAN_TO = 448, 7200
"""The windows of the first three looks at which the ledger may prove CLEAN, see soak.analysis.survivors."""
_GOLDEN_RATIO = 0.6180339887498949  # its multiples fill an interval evenly and never repeat
_GC_OBJECTS_EVERY = 8
"""gc's objects are counted at every eighth checkpoint only: making their list takes memory for a moment."""
_LAST_CACHED_INTEGER = 256
"""CPython makes no block for integers up to here. Larger ones are one each, so the loop holds no more than one."""
_ACKNOWLEDGE_NS, _ACKNOWLEDGE_EACH_NS = 2_000_000_000, 10_000_000_000
"""So long the parent of a loop that is flat out has to read a row and the outside: a machine with other work may not
let it. And so long where it was said how often to count, for then no other checkpoint makes up for one."""
_ACKNOWLEDGE_PACED_NS, _ACKNOWLEDGE_PACED_AT_MOST_NS = 50_000_000, 500_000_000
"""A loop that keeps a pace waits for half of an interval, within these."""
_LOOK_S = 0.05
"""How often a process that the parent looks at wakes up to see whether that is over."""
_LONGEST_SLEEP_S = 0.2
_MORE_NS, _MORE_PACED, _MORE_PACED_NS = 250_000_000, 16, 1_000_000_000
"""Cycles after the last one may take so long, and a second where that makes sixteen at the pace."""
_LISTED_WITHIN_S, _LOOK_EVERY_S = 2.0, 0.01


class Loop:
    """One component's cycles in this process."""

    def __init__(
        self,
        area: ring.Ring,
        interval_s: float,
        iterations: int | None,
        checkpoint_every: int | None,
        checkpoint_share: float | None,
        leak: Callable[[], None] | None,
        leak_every: int,
        read_traced: Callable[[], int] | None,
        tracker: Tracker | NoTracker | None,
    ) -> None:
        """Prepare everything that the cycles and checkpoints will use.

        ``area``: the Ring. ``interval_s``: 0 is flat out. ``iterations``: None is until told to stop.
        ``checkpoint_every``: cycles between checkpoints, or None for as many as their cost allows.
        ``checkpoint_share``: the part of the time they may take, or None for the usual.
        ``leak``: called after each ``leak_every``-th cycle, or None. ``read_traced``: returns traced bytes, or None.
        """
        self.area = area
        self.words = area.words
        self.interval_ns = round(interval_s * 1e9)
        self.last_cycle = iterations if iterations is not None else 1 << 62
        self.checkpoint_every = checkpoint_every
        self.leak = leak
        self.leak_every = leak_every
        self.read_traced = read_traced
        self.write_ledger = tracker.checkpoint if tracker is not None and tracker.active else None
        # Storing a cycle's number here is all it takes to have its allocations tagged with it.
        self.tracked_cycle = tracker.cycle if tracker is not None else memoryview(bytearray(8)).cast("Q")
        self.acknowledge_ns = _ACKNOWLEDGE_EACH_NS if checkpoint_every else _ACKNOWLEDGE_NS
        if self.interval_ns:
            self.acknowledge_ns = min(max(self.interval_ns // 2, _ACKNOWLEDGE_PACED_NS), _ACKNOWLEDGE_PACED_AT_MOST_NS)
        self.share = checkpoint_share or (SHARE_PACED if interval_s else SHARE_FLAT_OUT)
        self.written = Futex(area.word_address(ring.WORD_ROWS_WRITTEN))
        self.read = Futex(area.word_address(ring.WORD_ROWS_READ))
        self.parent_stalls = False
        self.started_ns = 0
        self.deadline_ns = 0
        self.rows = 0  # since gc's objects were counted
        self.last_small: object = object()
        self.more_cycles = 0
        self.more_ns = max(_MORE_NS, min(_MORE_PACED_NS, _MORE_PACED * self.interval_ns))

    def run(self, cycle: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Run cycles until the budget is used up or the parent says stop; the last checkpoint follows the last cycle.

        Whatever ``cycle`` raises passes through; WORD_CYCLE then names the cycle.
        """
        words = self.words
        stop_word, cycle_word, completed_word = ring.WORD_STOP, ring.WORD_CYCLE, ring.WORD_COMPLETED
        leak, leak_every, last_cycle = self.leak, self.leak_every, self.last_cycle
        wait = self._wait_for_deadline if self.interval_ns else None
        tracked_cycle = self.tracked_cycle
        self._count(0, 0)  # unseen: what first calls allocate for good is there before the first row
        self.started_ns = time.monotonic_ns()
        words[ring.WORD_LOOP_STARTED_NS] = self.started_ns
        self.checkpoint(0)
        done = 0
        words[ring.WORD_FIRST_START_NS] = time.monotonic_ns()
        try:
            while done < last_cycle and words[stop_word] != ring.STOP:
                if words[stop_word] == ring.PAUSE:
                    self._pause()
                    continue
                next_checkpoint = min(self._next_checkpoint(done), last_cycle)
                while done < next_checkpoint and not words[stop_word]:
                    if wait is not None and not wait(done):
                        break
                    tracked_cycle[0] = words[cycle_word] = done + 1
                    cycle(*arguments)
                    done += 1
                    words[completed_word] = done
                    if leak is not None and done % leak_every == 0:
                        leak()
                next_checkpoint = 0
                if done > words[ring.WORD_COUNTED]:
                    self.checkpoint(done)
        except BaseException:
            # What the failing cycle left behind is often its cause: too many descriptors, too many threads.
            if done > words[ring.WORD_COUNTED]:
                self.checkpoint(done)
            raise
        finally:
            words[ring.WORD_LOOP_ENDED_NS] = time.monotonic_ns()

    def run_more(self, cycle: Callable[..., Any], arguments: tuple[Any, ...], most: int) -> int:
        """Run some more cycles, at the pace, while WORD_MORE_CYCLES and the time for them allow; return how many.

        For an examination after the last cycle: nobody measures them, and what one of them raises is no failure.
        """
        done = 0
        try:
            while done < most and self.more_cycles < self.words[ring.WORD_MORE_CYCLES]:
                if self.more_ns <= self.interval_ns:
                    break
                begun_ns = time.monotonic_ns()
                self.more_cycles += 1
                time.sleep(self.interval_ns / 1e9)
                cycle(*arguments)
                done += 1
                self.more_ns -= time.monotonic_ns() - begun_ns
        except BaseException as error:
            del error
            self.more_ns = 0
        return done

    def show_what_is_open(self) -> None:
        """Name the threads, and wait until the parent has listed what is open; to be called when measuring is over."""
        words = self.words
        try:
            self.area.write_names(_thread_names())
        except Exception:  # no memory, or whatever a component has done to threading: the kernel's names must do
            words[ring.WORD_NAMES_BYTES] = ring.NO_NAMES
        self.written.wake()
        deadline_ns = time.monotonic_ns() + int(_LISTED_WITHIN_S * 1e9)
        while not words[ring.WORD_LISTED] and time.monotonic_ns() < deadline_ns:
            self.read.wait(words[ring.WORD_ROWS_READ], _LOOK_EVERY_S)

    def checkpoint(self, done: int) -> None:
        """Read the counters, write a row, and give the parent a moment to read what is read from outside."""
        words = self.words
        begun_ns = time.monotonic_ns()
        if done > _LAST_CACHED_INTEGER:
            self.last_small = None  # what it took is what the number of the cycle takes from here on
        words[ring.WORD_COUNTED] = done
        self.area.write_row(self._count(begun_ns - self.started_ns, done))
        self.rows = (self.rows + 1) % _GC_OBJECTS_EVERY
        held_ns = words[ring.WORD_HELD_NS]
        self._hand_over()
        # While the parent holds the process to look at its memory, the loop's clock stands still too.
        held_ns = words[ring.WORD_HELD_NS] - held_ns
        self.started_ns += held_ns
        if self.interval_ns:
            self.deadline_ns += held_ns  # flat out it stays the 0 that takes no block
        cost_ns = time.monotonic_ns() - begun_ns - held_ns
        # Kept in the ring: as attributes they would be two blocks that are not there before the first checkpoint.
        words[ring.WORD_CHECKPOINT_NS] += cost_ns
        usual_ns = words[ring.WORD_USUAL_CHECKPOINT_NS]
        words[ring.WORD_USUAL_CHECKPOINT_NS] += (cost_ns - usual_ns) // 8 if usual_ns else cost_ns

    def _count(self, at_ns: int, done: int) -> tuple[int, ...]:
        """Return the measured fields of a row, in the order of ROW_FIELDS."""
        words = self.words
        words[ring.WORD_COUNTING] = 1
        blocks_before_gc = counters.read_python_blocks()
        words[ring.WORD_GC_COLLECTED] = counters.soak_may_collect()
        if words[ring.WORD_GC_COLLECTED]:
            words[ring.WORD_GC_FOUND] = gc.collect()
            counters.clear_type_cache()
        blocks = counters.read_python_blocks()
        heap = heap_free = ring.NOT_READ
        if counters.read_malloc is not None:
            malloc = counters.read_malloc()
            heap, heap_free = malloc.uordblks + malloc.hblkhd, malloc.fordblks
        if self.write_ledger is not None:
            self.write_ledger()
        gc_objects = None
        if self.rows == 0:
            gc_objects = counters.count_gc_objects()  # last, for the list it makes is in none of the readings then
        words[ring.WORD_COUNTING] = 0
        return (
            done,
            at_ns,
            heap,
            heap_free,
            blocks_before_gc,
            blocks,
            ring.NOT_READ if gc_objects is None else gc_objects,
            self.read_traced() if self.read_traced is not None else ring.NOT_READ,
            words[ring.WORD_MISSED_DEADLINES],
            words[ring.WORD_WORST_LAG_NS],
            words[ring.WORD_CHECKPOINT_NS],
            words[ring.WORD_GC_FOUND],
            0,
            0,
        )

    def _hand_over(self) -> None:
        """Wait until the parent has read the row and what it reads from outside; a parent that stalls waits alone."""
        words = self.words
        self.written.wake()
        written = words[ring.WORD_ROWS_WRITTEN]
        is_last = words[ring.WORD_STOP] == ring.STOP or words[ring.WORD_COMPLETED] == self.last_cycle
        if self.parent_stalls and words[ring.WORD_ROWS_READ] < written - 1 and not is_last:
            return
        # What the parent misses at the last checkpoint it could never read.
        deadline_ns = time.monotonic_ns() + (
            max(self.acknowledge_ns, _ACKNOWLEDGE_NS) if is_last else self.acknowledge_ns
        )
        while True:
            read = words[ring.WORD_ROWS_READ]
            if read >= written:
                self.parent_stalls = False
                return
            if words[ring.WORD_HOLD]:
                self.read.wait(read, _LOOK_S)
                continue
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns <= 0:
                self.parent_stalls = True
                return
            self.read.wait(read, left_ns / 1e9)

    def _next_checkpoint(self, done: int) -> int:
        """Return the cycle after which the next checkpoint is due.

        One in 64 of what has run where that costs no more than the checkpoints' share of the time, and in any case
        one in 34: the verdict's rule looks when the cycles have doubled, and then needs two readings in each of its
        blocks, of which the smallest is a sixteenth of the cycles before it. Early on, where no look reaches back
        to, one in 4 will do. The spacing wanders by an eighth, for at equal steps a sawtooth of about their period
        would be read ever a little later in its rise, and look like a slow ramp.
        """
        if self.checkpoint_every:
            return done + self.checkpoint_every
        words = self.words
        spacing = max(1, done // _DENSEST)
        if words[ring.WORD_SPACING]:
            spacing = min(spacing, words[ring.WORD_SPACING])
        widest = max(1, done // _SPARSEST)
        spent_ns = words[ring.WORD_CHECKPOINT_NS]
        if spent_ns > FREE_CHECKPOINT_NS and done:
            elapsed_ns = time.monotonic_ns() - self.started_ns
            cycles_ns = elapsed_ns - spent_ns
            cycle_ns = max(1, cycles_ns // done)
            # What the first ones took beyond their share is saved on those that follow.
            excess_ns = spent_ns - FREE_CHECKPOINT_NS - int(self.share * elapsed_ns)
            affordable = int((words[ring.WORD_USUAL_CHECKPOINT_NS] + max(0, excess_ns)) / self.share) // cycle_ns
            early_ns = words[ring.WORD_EARLY_NS]
            early = early_ns and (done < _EARLY_CYCLES or cycles_ns < early_ns)
            early = early and not FIRST_CLEAN_FROM <= done < FIRST_CLEAN_TO
            if early:
                widest = max(1, done // _SPARSEST_EARLY)
            spacing = max(spacing, min(affordable, widest))
        wander = int(spacing / 4 * (words[ring.WORD_ROWS_WRITTEN] * _GOLDEN_RATIO % 1))
        following = done + min(spacing - spacing // 8 + wander, widest)
        if done < _EARLY_CYCLES:
            return min(following, _EARLY_CYCLES)
        return min(following, FIRST_CLEAN_FROM) if done < FIRST_CLEAN_FROM else following

    def _pause(self) -> None:
        """Stand still until the parent says otherwise; that time is no part of the loop's, and misses no deadline."""
        words = self.words
        before_ns, begun_ns = words[ring.WORD_PAUSED_NS], time.monotonic_ns()
        while words[ring.WORD_STOP] == ring.PAUSE:
            time.sleep(_LONGEST_SLEEP_S)
            words[ring.WORD_PAUSED_NS] = before_ns + time.monotonic_ns() - begun_ns
        paused_ns = words[ring.WORD_PAUSED_NS] - before_ns
        self.started_ns += paused_ns
        self.deadline_ns += paused_ns

    def _wait_for_deadline(self, done: int) -> bool:
        """Sleep until the next cycle is due; return False when told to stop meanwhile.

        Deadlines lie on a grid from the first cycle on, so lateness does not add up. A cycle that overruns by whole
        intervals misses those deadlines: they are counted and left out, and the grid is kept.
        """
        words = self.words
        interval_ns = self.interval_ns
        if done == 0:
            self.deadline_ns = time.monotonic_ns()
            words[ring.WORD_FIRST_START_NS] = self.deadline_ns
        else:
            self.deadline_ns += interval_ns
        late_ns = time.monotonic_ns() - self.deadline_ns
        if late_ns >= interval_ns:
            missed = late_ns // interval_ns
            words[ring.WORD_MISSED_DEADLINES] += missed
            self.deadline_ns += missed * interval_ns
        while True:
            left_ns = self.deadline_ns - time.monotonic_ns()
            if left_ns <= 0:
                break
            time.sleep(min(left_ns / 1e9, _LONGEST_SLEEP_S))
            if words[ring.WORD_STOP]:
                if done:
                    self.deadline_ns -= interval_ns  # after a pause it is this cycle's turn again
                return False
        words[ring.WORD_LAST_START_NS] = time.monotonic_ns()
        # A cycle starts late when the one before it took too long, or when the sleep did.
        late_ns = max(late_ns, words[ring.WORD_LAST_START_NS] - self.deadline_ns)
        if late_ns > words[ring.WORD_WORST_LAG_NS]:
            words[ring.WORD_WORST_LAG_NS] = late_ns
        return True


def _thread_names() -> dict[int, str]:
    """Return the names that Python's threads have been given, by the kernel's number."""
    threading = sys.modules.get("threading")
    if threading is None:
        return {}
    return {thread.native_id: str(thread.name) for thread in threading.enumerate() if thread.native_id}
