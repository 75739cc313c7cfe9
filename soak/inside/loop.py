"""The loop: call the cycle, keep the interval, and count at checkpoints.

Between checkpoints, soak adds two stores, one load and one call to a cycle. Nothing here allocates anything that stays,
and nothing needs a new file descriptor, thread or mapping once the cycles run.
"""

from __future__ import annotations

import os
import sys

from soak.inside import ring
from soak.inside.clock import RealTime
from soak.inside.counting import counters
from soak.inside.counting.collecting import Collector
from soak.inside.futex import Futex
from soak.inside.pauses import Pauses

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.tracker import NoTracker, Tracker

FREE_CHECKPOINT_NS = 80_000_000
"""The time that checkpoints may take in addition to their share. The first checkpoints must be dense, because a leak of
descriptors may use up all of them in 800 cycles."""
SHARE_FLAT_OUT = 0.09
SHARE_PACED = 0.038
_DENSEST, _SPARSEST, _SPARSEST_EARLY = 64, 34, 4
_EARLY_CYCLES = 64  # a quarter of the smallest n_min: the first look that can decide begins there
FIRST_CLEAN_FROM, FIRST_CLEAN_TO = 448, 7200
"""The windows of the first three looks at which the ledger may prove CLEAN, see soak.analysis.sites.survivors."""
_GOLDEN_RATIO = 0.6180339887498949  # the fractions of its multiples are spread evenly and do not repeat
_GC_OBJECTS_EVERY = 8
"""The objects of gc are counted only at every eighth checkpoint, because the list of them takes memory for a moment."""
_LAST_CACHED_INTEGER = 256
"""CPython allocates no block for integers up to this one. Larger ones are a block each; the loop holds one at most."""
_ACKNOWLEDGE_NS, _ACKNOWLEDGE_EACH_NS = 2_000_000_000, 10_000_000_000
"""How long the loop waits for the parent to read a row and the counters outside: a busy machine may delay the parent.
The first is for a loop without an interval. The second is for the first and the last checkpoint, and for fixed ones,
because no later checkpoint replaces one that the parent missed. A budget of pauses limits all but the last."""
_ACKNOWLEDGE_PACED_NS, _ACKNOWLEDGE_PACED_AT_MOST_NS = 50_000_000, 500_000_000
"""A loop with an interval waits for half of it, within these limits."""
_ACKNOWLEDGE_AT_LEAST_NS = 1_000_000
"""It waits for up to this long even if a pause has a budget and the checkpoint has used that up."""
_MUCH_OF_A_PAUSE = 16
"""What takes more than one of so many parts of a pause's budget is left out where nothing depends on it."""
_LOOK_S = 0.05
"""How often a process that the parent examines checks whether the parent has finished."""
_LONGEST_SLEEP_S = 0.2
_MORE_NS, _MORE_PACED, _MORE_PACED_NS = 250_000_000, 16, 1_000_000_000
"""How long the cycles after the last one may take; with an interval up to a second, for sixteen cycles."""
_LISTED_WITHIN_S, _LOOK_EVERY_S = 10.0, 0.01


class Loop:
    """Runs the cycles of one component in this process."""

    def __init__(
        self,
        area: ring.Ring,
        interval_s: float,
        iterations: int | None,
        checkpoint_every: int | Callable[[int], int] | None,
        period: int,
        checkpoint_share: float | None,
        leak: Callable[[], None] | None,
        leak_every: int,
        read_traced: Callable[[], int] | None,
        tracker: Tracker | NoTracker | None,
        max_pause_s: float = 0.0,
    ) -> None:
        """Prepare everything that the cycles and checkpoints use.

        ``area``: the ring. ``interval_s``: 0 means no pause between cycles. ``iterations``: None means until told to
        stop. ``checkpoint_every``: cycles between checkpoints, or a function that returns the cycle of the next one;
        None for as many checkpoints as their cost allows. ``period``: checkpoints follow only on whole multiples of so
        many cycles, and on the last cycle.
        ``checkpoint_share``: the part of the time that they may take; None for the default. ``leak``: called after each
        ``leak_every``-th cycle, or None. ``read_traced``: returns the traced bytes, or None. ``max_pause_s``: how long
        a checkpoint should take at most; 0 for no budget.
        """
        self.area = area
        self.words = area.words
        self.interval_ns = round(interval_s * 1e9)
        self.last_cycle = iterations if iterations is not None else 1 << 62
        self.checkpoint_every = checkpoint_every
        self.period = period
        self.leak = leak
        self.leak_every = leak_every
        self.read_traced = read_traced
        self.write_ledger = tracker.checkpoint if tracker is not None and tracker.active else None
        self.make_snapshot = tracker.snapshot if tracker is not None else None
        # The tracker reads the number of the cycle here, and marks all allocations with it.
        self.tracked_cycle = tracker.cycle if tracker is not None else memoryview(bytearray(8)).cast("Q")
        self.acknowledge_ns = _ACKNOWLEDGE_EACH_NS if checkpoint_every else _ACKNOWLEDGE_NS
        if self.interval_ns:
            self.acknowledge_ns = min(max(self.interval_ns // 2, _ACKNOWLEDGE_PACED_NS), _ACKNOWLEDGE_PACED_AT_MOST_NS)
        self.share = checkpoint_share or (SHARE_PACED if interval_s else SHARE_FLAT_OUT)
        self.written = Futex(area.word_address(ring.WORD_ROWS_WRITTEN))
        self.read = Futex(area.word_address(ring.WORD_ROWS_READ))
        self.max_pause_ns = round(max_pause_s * 1e9)
        self.collector = Collector(self.max_pause_ns)
        self.pauses = Pauses(area.words, ring.WORD_PAUSES, ring.WORD_PAUSE_HISTOGRAM, ring.WORD_WORST_PAUSE_NS)
        self.parent_stalls = False
        self.reads_blocks_twice = True
        self.started_ns = 0
        self.deadline_ns = 0
        self.rows = 0  # since the objects of gc were counted
        self.last_small: object = object()
        self.more_cycles = 0
        self.more_ns = max(_MORE_NS, min(_MORE_PACED_NS, _MORE_PACED * self.interval_ns))

    def run(self, cycle: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Run cycles until the budget is used up or the parent says stop. A checkpoint follows the last cycle.

        Raises what ``cycle`` raises; WORD_CYCLE is then the number of that cycle.
        """
        words = self.words
        stop_word, cycle_word, completed_word = ring.WORD_STOP, ring.WORD_CYCLE, ring.WORD_COMPLETED
        leak, leak_every, last_cycle = self.leak, self.leak_every, self.last_cycle
        wait = self._wait_for_deadline if self.interval_ns else None
        tracked_cycle = self.tracked_cycle
        self._count(0, 0)  # what the first calls allocate for good must exist before the first row
        self.started_ns = RealTime.monotonic_ns()
        words[ring.WORD_LOOP_STARTED_NS] = self.started_ns
        self.checkpoint(0)
        self._begin_time()
        done = 0
        try:
            while done < last_cycle and words[stop_word] != ring.STOP:
                if words[stop_word] == ring.PAUSE:
                    self._pause()
                    continue
                next_checkpoint = min(self._in_phase(done, self._next_checkpoint(done)), last_cycle)
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
            # The counts after the failed cycle often tell its cause: too many descriptors, too many threads.
            if done > words[ring.WORD_COUNTED]:
                self.checkpoint(done)
            raise
        finally:
            words[ring.WORD_LOOP_ENDED_NS] = RealTime.monotonic_ns()
            self.collector.thaw()

    def _begin_time(self) -> None:
        """Let time count from now on: the parent may have read the first row late, while it was starting itself."""
        words = self.words
        self.started_ns = words[ring.WORD_LOOP_STARTED_NS] = words[ring.WORD_FIRST_START_NS] = RealTime.monotonic_ns()
        words[ring.WORD_CHECKPOINT_NS] = words[ring.WORD_USUAL_CHECKPOINT_NS] = 0

    def run_more(self, cycle: Callable[..., Any], arguments: tuple[Any, ...], most: int) -> int:
        """Run more cycles, with the interval, while WORD_MORE_CYCLES and the time for them allow; return how many.

        They serve to answer questions after the last cycle. They are not measured, and an exception is not a failure.
        """
        done = 0
        try:
            while done < most and self.more_cycles < self.words[ring.WORD_MORE_CYCLES]:
                # A cycle that is known to take longer than there is time is not begun.
                if self.more_ns <= max(self.interval_ns, self._usual_cycle_ns()):
                    break
                begun_ns = RealTime.monotonic_ns()
                self.more_cycles += 1
                RealTime.sleep(self.interval_ns / 1e9)
                cycle(*arguments)
                done += 1
                self.more_ns -= RealTime.monotonic_ns() - begun_ns
        except BaseException as error:
            del error
            self.more_ns = 0
        return done

    def _usual_cycle_ns(self) -> int:
        """Return what a cycle took on average, once they are over; of a loop that keeps a pace its period."""
        words = self.words
        done, ended_ns = words[ring.WORD_COMPLETED], words[ring.WORD_LOOP_ENDED_NS]
        return (ended_ns - self.started_ns - words[ring.WORD_CHECKPOINT_NS]) // done if done and ended_ns else 0

    def show_what_is_open(self) -> None:
        """Write the names of threads, and wait until the parent has listed what is open. Call it after measuring."""
        words = self.words
        try:
            self.area.write_names(_thread_names(), _thread_lines())
        except Exception:  # no memory, or the component has changed threading: then there are only the kernel's names
            words[ring.WORD_NAMES_BYTES] = ring.NO_NAMES
        self.written.wake()
        deadline_ns = RealTime.monotonic_ns() + int(_LISTED_WITHIN_S * 1e9)
        while not words[ring.WORD_LISTED] and RealTime.monotonic_ns() < deadline_ns:
            self.read.wait(words[ring.WORD_ROWS_READ], _LOOK_EVERY_S)

    def checkpoint(self, done: int) -> None:
        """Read the counters, write a row, and wait while the parent reads the counters outside."""
        words = self.words
        begun_ns = RealTime.monotonic_ns()
        self.pauses.begin(begun_ns)
        if done > _LAST_CACHED_INTEGER:
            self.last_small = None  # from here on, the number of the cycle takes a block instead of this object
        words[ring.WORD_COUNTED] = done
        self.area.write_row(self._count(begun_ns - self.started_ns, done))
        self.rows = (self.rows + 1) % _GC_OBJECTS_EVERY
        held_ns = words[ring.WORD_HELD_NS]
        self._hand_over(begun_ns)
        # The time for which the parent stops the process, to scan its memory, does not belong to the loop.
        held_ns = words[ring.WORD_HELD_NS] - held_ns
        self.started_ns += held_ns
        if self.interval_ns:
            self.deadline_ns += held_ns  # without an interval it stays 0, which takes no block
        ended_ns = RealTime.monotonic_ns()
        self.pauses.end(ended_ns, counts=0 < done < self.last_cycle and words[ring.WORD_STOP] != ring.STOP)
        cost_ns = ended_ns - begun_ns - held_ns
        # In the ring, because as attributes they would be two blocks that do not exist before the first checkpoint.
        words[ring.WORD_CHECKPOINT_NS] += cost_ns
        usual_ns = words[ring.WORD_USUAL_CHECKPOINT_NS]
        words[ring.WORD_USUAL_CHECKPOINT_NS] += (cost_ns - usual_ns) // 8 if usual_ns else cost_ns

    def _count(self, at_ns: int, done: int) -> tuple[int, ...]:
        """Return the measured fields of a row, in the order of ROW_FIELDS."""
        words = self.words
        words[ring.WORD_COUNTING] = 1
        blocks_before_gc = self._read_blocks_before_gc()
        words[ring.WORD_GC_COLLECTED] = self.collector.may_collect()
        if words[ring.WORD_GC_COLLECTED]:
            words[ring.WORD_GC_FOUND] = self.collector.collect()
            counters.clear_type_cache()
        blocks, heap, heap_free = _read_memory()
        if words[ring.WORD_GC_COLLECTED] and self.collector.must_collect_all(done, blocks, heap):
            words[ring.WORD_GC_FOUND] += self.collector.collect_all(done)
            blocks, heap, heap_free = _read_memory()
        words[ring.WORD_ALL_COLLECTED] = bool(words[ring.WORD_GC_COLLECTED]) and self.collector.has_collected_all
        self.collector.remember(blocks, heap)
        if self.write_ledger is not None:
            self.write_ledger()
        if words[ring.WORD_WANTS_SNAPSHOT] and self.make_snapshot is not None:
            words[ring.WORD_SNAPSHOT_CYCLE] = done
            words[ring.WORD_SNAPSHOT_CPU_NS] = -RealTime.thread_time_ns()
            made = self.make_snapshot()
            words[ring.WORD_SNAPSHOT_CPU_NS] += RealTime.thread_time_ns()
            words[ring.WORD_SNAPSHOT] = made  # the parent takes it at once
            words[ring.WORD_WANTS_SNAPSHOT] = 0  # last: until then the parent does not ask for another one
        gc_objects = None
        if self.rows == 0 and not self.collector.is_frozen:
            gc_objects = counters.count_gc_objects()  # last, so that no reading includes the list that it creates
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

    def _read_blocks_before_gc(self) -> int:
        """Return Python's blocks, unless a pause has a budget and to count them once more would take much of it.

        CPython looks at each pool of its allocator for that: 2 ms a gigabyte.
        """
        if not self.reads_blocks_twice:
            return ring.NOT_READ
        begun_ns = RealTime.thread_time_ns()
        blocks = counters.read_python_blocks()
        took_ns = RealTime.thread_time_ns() - begun_ns
        self.reads_blocks_twice = not self.max_pause_ns or took_ns * _MUCH_OF_A_PAUSE < self.max_pause_ns
        return blocks

    def _hand_over(self, begun_ns: int) -> None:
        """Wait until the parent has read the row and the counters outside. Do not wait for a parent that stalls.

        ``begun_ns``: when the checkpoint began.
        """
        words = self.words
        self.written.wake()
        written = words[ring.WORD_ROWS_WRITTEN]
        is_last = words[ring.WORD_STOP] == ring.STOP or words[ring.WORD_COMPLETED] == self.last_cycle
        if self.parent_stalls and words[ring.WORD_ROWS_READ] < written - 1 and not is_last:
            return
        # Longer at the first checkpoint, when the parent may still be starting, and at the last one, because the parent
        # cannot read the outside later.
        has_time = is_last or not words[ring.WORD_COMPLETED]
        deadline_ns = RealTime.monotonic_ns() + (_ACKNOWLEDGE_EACH_NS if has_time else self.acknowledge_ns)
        if self.max_pause_ns and not is_last:
            earliest_ns = RealTime.monotonic_ns() + _ACKNOWLEDGE_AT_LEAST_NS
            deadline_ns = min(deadline_ns, max(begun_ns + self.max_pause_ns * 3 // 4, earliest_ns))
        while True:
            read = words[ring.WORD_ROWS_READ]
            if read >= written:
                self.parent_stalls = False
                return
            if words[ring.WORD_HOLD]:
                self.read.wait(read, _LOOK_S)
                continue
            left_ns = deadline_ns - RealTime.monotonic_ns()
            if left_ns <= 0:
                self.parent_stalls = True
                return
            self.read.wait(read, left_ns / 1e9)

    def _in_phase(self, done: int, cycle: int) -> int:
        """Return the last cycle up to ``cycle`` that ends a period; where none does after ``done``, the next one.

        A checkpoint that is later than it is due may leave a block of the rule with one reading, and then a whole look
        says nothing.
        """
        ended = cycle - cycle % self.period
        return ended if ended > done else ended + self.period

    def _next_checkpoint(self, done: int) -> int:
        """Return the cycle after which the next checkpoint is due.

        The distance is 1/64 of the cycles so far, if checkpoints then take no more than their share of the time, and at
        most 1/34. The rule of the verdict looks at the readings each time the number of cycles has doubled. It then
        needs two readings in each of its blocks, and its smallest block is 1/16 of the cycles before it. In the first
        part of the loop, which no look uses, 1/4 is enough. The distance varies by an eighth: with equal distances, a
        sawtooth of about the same period would be read later and later in its rise, and look like a slow ramp.
        """
        if self.checkpoint_every:
            every = self.checkpoint_every
            return done + every if isinstance(every, int) else every(done)
        words = self.words
        spacing = max(1, done // _DENSEST)
        if words[ring.WORD_SPACING]:
            spacing = min(spacing, words[ring.WORD_SPACING])
        widest = max(1, done // _SPARSEST)
        spent_ns = words[ring.WORD_CHECKPOINT_NS]
        if spent_ns > FREE_CHECKPOINT_NS and done:
            elapsed_ns = RealTime.monotonic_ns() - self.started_ns
            cycles_ns = elapsed_ns - spent_ns
            cycle_ns = max(1, cycles_ns // done)
            # The next checkpoints save the time that the first ones took beyond their share.
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
        """Pause until the parent ends it. This time does not belong to the loop, and no deadline is missed in it."""
        words = self.words
        before_ns, begun_ns = words[ring.WORD_PAUSED_NS], RealTime.monotonic_ns()
        while words[ring.WORD_STOP] == ring.PAUSE:
            RealTime.sleep(_LONGEST_SLEEP_S)
            words[ring.WORD_PAUSED_NS] = before_ns + RealTime.monotonic_ns() - begun_ns
        paused_ns = words[ring.WORD_PAUSED_NS] - before_ns
        self.started_ns += paused_ns
        self.deadline_ns += paused_ns

    def _wait_for_deadline(self, done: int) -> bool:
        """Sleep until the next cycle is due; return False when told to stop meanwhile.

        The deadlines are multiples of the interval after the first cycle, so delays do not add up. A cycle that takes
        too long misses one or more deadlines. They are counted and skipped, and the next ones stay where they are.
        """
        words = self.words
        interval_ns = self.interval_ns
        if done == 0:
            self.deadline_ns = RealTime.monotonic_ns()
            words[ring.WORD_FIRST_START_NS] = self.deadline_ns
        else:
            self.deadline_ns += interval_ns
        late_ns = RealTime.monotonic_ns() - self.deadline_ns
        if late_ns >= interval_ns:
            missed = late_ns // interval_ns
            words[ring.WORD_MISSED_DEADLINES] += missed
            self.deadline_ns += missed * interval_ns
        while True:
            left_ns = self.deadline_ns - RealTime.monotonic_ns()
            if left_ns <= 0:
                break
            RealTime.sleep(min(left_ns / 1e9, _LONGEST_SLEEP_S))
            if words[ring.WORD_STOP]:
                if done:
                    self.deadline_ns -= interval_ns  # this cycle is due again after a pause
                return False
        words[ring.WORD_LAST_START_NS] = RealTime.monotonic_ns()
        # A cycle starts late when the previous cycle or the sleep took too long.
        late_ns = max(late_ns, words[ring.WORD_LAST_START_NS] - self.deadline_ns)
        if late_ns > words[ring.WORD_WORST_LAG_NS]:
            words[ring.WORD_WORST_LAG_NS] = late_ns
        return True


def _read_memory() -> tuple[int, int, int]:
    """Return Python's blocks, and the bytes of malloc's heap that are in use and free."""
    blocks = counters.read_python_blocks()
    if counters.read_malloc is None:
        return blocks, ring.NOT_READ, ring.NOT_READ
    malloc = counters.read_malloc()
    return blocks, malloc.uordblks + malloc.hblkhd, malloc.fordblks


def _thread_names() -> dict[int, str]:
    """Return the names of Python's threads, by the kernel's number."""
    threading = sys.modules.get("threading")
    if threading is None:
        return {}
    return {thread.native_id: str(thread.name) for thread in threading.enumerate() if thread.native_id}


def _thread_lines() -> dict[tuple[str, int, str], list[int]]:
    """Return the lines in which Python's threads are, in code that is not Python's own library; with their numbers.

    A thread that a library's server starts was started by nothing but the library; what it runs is the component's.
    """
    threading = sys.modules.get("threading")
    if threading is None:
        return {}
    frames = sys._current_frames()
    lines: dict[tuple[str, int, str], list[int]] = {}
    library = os.path.dirname(os.__file__) + os.sep
    for thread in threading.enumerate():
        frame = frames.get(thread.ident)
        while frame is not None and _is_of_library(frame.f_code.co_filename, library):
            frame = frame.f_back
        if frame is not None and thread.native_id:
            line = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
            lines.setdefault(line, []).append(thread.native_id)
    return lines


def _is_of_library(file: str, library: str) -> bool:
    return file.startswith("<") or (file.startswith(library) and "-packages" + os.sep not in file)
