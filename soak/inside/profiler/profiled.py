"""One component under cProfile: a warm-up, then blocks of cycles, alternately with and without the profiler.

The blocks without it tell what profiling costs. The versions of CPython treat threads in different ways:

- Up to 3.11 a profiler sees only the thread that enabled it. So each thread that starts meanwhile gets its own.
- From 3.12 on it sees every thread, but puts all calls on one stack, which mixes up callers and times when several
  threads run. So with several threads, the events of each thread go to a profiler of that thread.
"""

from __future__ import annotations

import cProfile
import marshal
import sys
import threading
from _thread import get_ident
from abc import ABC, abstractmethod

from soak.inside import ring
from soak.inside.clock import RealTime
from soak.inside.profiler.callables import find_function, name_compiled_functions, replace_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any

    from soak.inside.loading import Component

    Key = tuple[str, int, str]
    Stats = dict[Key, list[Any]]

BLOCK_S = 0.02
"""How long a block takes without the profiler. This is short, so that a busy machine slows both kinds equally."""
FEWEST_PAIRS = 8
_LONGEST_SLEEP_S = 0.2
_GRAIN = 2.0**30
_ONE_STACK = sys.version_info >= (3, 12)
_OWN_C = "<method 'disable' of '_lsprof.Profiler' objects>"


def run(area: ring.Ring, component: Component, settings: dict[str, Any]) -> None:
    """Profile a loaded component, and write its statistics to the file that ``settings["profile"]`` names.

    ``settings["profile"]``: ``file``; ``function``, to profile only what happens inside it, or an empty text;
    ``warm_up_s``; ``duration_s``, or None to run ``settings["iterations"]``. The file has the format of pstats. Its
    seconds are multiples of 2**-30, so that sums of files are exact. The text area of the ring then has marshal of a
    dict, see `_Session.facts`. Sets the phases of the ring, and raises what the component raises.
    """
    options = settings["profile"]
    name_compiled_functions()
    gate = _Gate()
    found = bool(options["function"]) and gate.put_around(options["function"], component)
    arguments = component.setup(settings["settings"])
    name_compiled_functions()
    if options["function"] and not found:
        found = gate.put_around(options["function"], component)
        if not found:
            raise LookupError(
                "no function %s is loaded here; write package.module:function or package.module:Class.method"
                % options["function"]
            )
    area.words[ring.WORD_PHASE] = ring.PHASE_CYCLES
    session = _Session(area, component.cycle, arguments, settings["interval_s"], gate if found else None)
    session.warm_up(options["warm_up_s"])
    session.measure(settings["iterations"], options["duration_s"])
    if session.stats:
        with open(options["file"], "wb") as file:
            marshal.dump(_exact(session.stats), file)
    area.words[ring.WORD_PHASE] = ring.PHASE_TEARDOWN
    component.teardown(*arguments)
    area.write_text(marshal.dumps(session.facts(), 2))
    area.words[ring.WORD_PHASE] = ring.PHASE_DONE


def run_cycles(cycle: Callable[..., Any], arguments: tuple[Any, ...], words: Any, count: int) -> None:
    """Run ``count`` cycles, or fewer when told to stop. It is the root of every profile, so it calls only the cycle."""
    done = words[ring.WORD_COMPLETED]
    last = done + count
    while done < last and not words[ring.WORD_STOP]:
        done += 1
        words[ring.WORD_CYCLE] = done
        cycle(*arguments)
        words[ring.WORD_COMPLETED] = done


class _Session:
    """The cycles of one component: how many ran, how long they took, and what the profiler saw."""

    def __init__(
        self,
        area: ring.Ring,
        cycle: Callable[..., Any],
        arguments: tuple[Any, ...],
        interval_s: float,
        gate: _Gate | None,
    ) -> None:
        self._words = area.words
        self._cycle = cycle
        self._arguments = arguments
        self._interval_s = interval_s
        self._due_s = RealTime.monotonic()
        self._gate = gate
        self._recorder: _Recorder = _EachThread()
        self._pairs: list[tuple[float, float]] = []
        self._cycle_s = 0.0
        self._warm_up_cycles = 0
        self._profiled_cycles = 0
        self._running_before = 0
        self.stats: Stats = {}

    def warm_up(self, least_s: float) -> None:
        """Run cycles for ``least_s``, at least one, and find out whether there are other threads."""
        words = self._words
        watch = _ThreadWatch()
        with watch:
            started_s = RealTime.monotonic()
            words[ring.WORD_LOOP_STARTED_NS] = RealTime.monotonic_ns()
            while not words[ring.WORD_STOP]:
                self._wait()
                begun_s = RealTime.perf_counter()
                run_cycles(self._cycle, self._arguments, words, 1)
                self._cycle_s = RealTime.perf_counter() - begun_s
                if RealTime.monotonic() - started_s >= least_s:
                    break
        self._warm_up_cycles = words[ring.WORD_COMPLETED]
        self._running_before = len(sys._current_frames()) - 1
        if _ONE_STACK:
            self._recorder = _SplitThreads() if watch.started or self._running_before else _OneThread()

    def measure(self, iterations: int | None, duration_s: float | None) -> None:
        """Run pairs of blocks, one with the profiler and one without, until ``iterations`` or the time are used up."""
        words = self._words
        ends_s = RealTime.monotonic() + (duration_s if duration_s is not None else float("inf"))
        wanted = iterations if iterations is not None else 1 << 62
        profiled_first = True
        while self._profiled_cycles < wanted and not words[ring.WORD_STOP]:
            count = 1 if self._interval_s else max(1, int(BLOCK_S / max(self._cycle_s, 1e-7)))
            if iterations is not None:
                count = min(count, max(1, iterations // FEWEST_PAIRS), wanted - self._profiled_cycles)
            if profiled_first:
                with_s = self._run_profiled(count)
                without_s = self._run_bare(count)
            else:
                without_s = self._run_bare(count)
                with_s = self._run_profiled(count)
            if not words[ring.WORD_STOP]:
                self._pairs.append((with_s / count, without_s / count))
                self._cycle_s = without_s / count
            profiled_first = not profiled_first
            if RealTime.monotonic() >= ends_s:
                break
        self._recorder.finish(self.stats)
        words[ring.WORD_LOOP_ENDED_NS] = RealTime.monotonic_ns()

    def facts(self) -> dict[str, Any]:
        """Return what the parent reports: cycles, median seconds of a cycle with and without, threads, the function."""
        return {
            "warm_up_cycles": self._warm_up_cycles,
            "cycles": self._profiled_cycles,
            "with_s": _median([pair[0] for pair in self._pairs]),
            "without_s": _median([pair[1] for pair in self._pairs]),
            "ratio": _median([with_s / without_s for with_s, without_s in self._pairs if without_s]),
            "pairs": len(self._pairs),
            "threads": self._recorder.threads,
            "threads_before": self._running_before,
            "coverage": self._recorder.coverage,
            "function_calls": self._gate.calls if self._gate else None,
            "function_calls_left_out": self._gate.left_out if self._gate else None,
        }

    def _run_profiled(self, count: int) -> float:
        """Run one block under the profiler; return the seconds that its cycles took."""
        recorder, words = self._recorder, self._words
        self._wait()
        before = words[ring.WORD_COMPLETED]
        begun_s = RealTime.perf_counter()
        try:
            if self._gate is not None:
                self._gate.recorder = recorder
                run_cycles(self._cycle, self._arguments, words, count)
            else:
                recorder.start()
                run_cycles(self._cycle, self._arguments, words, count)
        finally:
            if self._gate is not None:
                self._gate.recorder = None
            else:
                recorder.stop()
            taken_s = RealTime.perf_counter() - begun_s
            self._profiled_cycles += words[ring.WORD_COMPLETED] - before
        recorder.collect(self.stats)
        return taken_s

    def _run_bare(self, count: int) -> float:
        self._wait()
        begun_s = RealTime.perf_counter()
        run_cycles(self._cycle, self._arguments, self._words, count)
        return RealTime.perf_counter() - begun_s

    def _wait(self) -> None:
        """Keep the interval: sleep until the next block, which is one cycle, is due."""
        if not self._interval_s:
            return
        while not self._words[ring.WORD_STOP]:
            left_s = self._due_s - RealTime.monotonic()
            if left_s <= 0:
                break
            RealTime.sleep(min(left_s, _LONGEST_SLEEP_S))
        self._due_s = max(self._due_s + self._interval_s, RealTime.monotonic())


class _Recorder(ABC):
    """Profiles from `start` to `stop`; `collect` adds the results to ``stats``."""

    coverage = ""
    threads = 0
    """How many threads started while it profiled."""

    @abstractmethod
    def start(self) -> None:
        """Start profiling."""

    @abstractmethod
    def stop(self) -> None:
        """Stop profiling until the next `start`."""

    @abstractmethod
    def collect(self, stats: Stats) -> None:
        """Add the results since the last call."""

    def finish(self, stats: Stats) -> None:  # noqa: B027 (most have nothing more to add)
        """Add what `collect` could not add yet. Nothing is recorded after this."""


class _OneThread(_Recorder):
    """For 3.12 and later, with one thread. Other threads that start all the same are counted."""

    coverage = "one stack"

    def __init__(self) -> None:
        self._profile = cProfile.Profile()
        self._watch = _ThreadWatch()

    def start(self) -> None:
        self._watch.__enter__()
        self._profile.enable()

    def stop(self) -> None:
        self._profile.disable()
        self._watch.__exit__()
        self.threads = self._watch.started

    def collect(self, stats: Stats) -> None:
        _add(stats, self._profile)
        self._profile = cProfile.Profile()


class _EachThread(_Recorder):
    """For 3.11 and earlier: the thread that profiles, and a profiler for each thread that starts meanwhile.

    The profiler of another thread cannot be switched off. So it runs until that thread or the session ends.
    """

    coverage = "each thread that starts"

    def __init__(self) -> None:
        self._profile = cProfile.Profile()
        self._others: list[tuple[int, cProfile.Profile]] = []

    def start(self) -> None:
        threading.setprofile(self._begin)
        self._profile.enable()

    def stop(self) -> None:
        self._profile.disable()
        threading.setprofile(None)

    def _begin(self, *_: object) -> None:
        """Replace this hook by a profiler, at the first event of a new thread."""
        profile = cProfile.Profile()
        self._others.append((get_ident(), profile))
        self.threads += 1
        profile.enable()

    def collect(self, stats: Stats) -> None:
        _add(stats, self._profile)
        self._profile = cProfile.Profile()
        self._collect_others(stats, alive=sys._current_frames())

    def finish(self, stats: Stats) -> None:
        self._collect_others(stats, alive=())

    def _collect_others(self, stats: Stats, alive: Container[int]) -> None:
        """Add the profiles of threads that have ended, which are those not in ``alive``."""
        for thread, profile in self._others:
            if thread not in alive:
                _add(stats, profile)
        self._others = [other for other in self._others if other[0] in alive]


class _SplitThreads(_Recorder):
    """For 3.12 and later, with several threads: the events of each thread go to a profiler of that thread.

    The profilers are never enabled. This calls their callbacks as sys.monitoring would call them.
    """

    coverage = "all threads"

    def __init__(self) -> None:
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
        self._methods = self._learn_methods()
        self._profiles: dict[int, cProfile.Profile] = {}
        self._watch = _ThreadWatch()
        self._callbacks: dict[int, Callable[..., Any]] = {}

    def _learn_methods(self) -> dict[int, str]:
        """Return, by event, the name of the profiler's method that is its callback."""
        names = {}
        scratch = cProfile.Profile()
        scratch.enable()
        for event in vars(self._monitoring.events).values():
            if event and not event & (event - 1):
                callback = self._monitoring.register_callback(self._monitoring.PROFILER_ID, event, None)
                if callback is not None:
                    names[event] = callback.__name__
        scratch.disable()
        return names

    def start(self) -> None:
        monitoring, tool = self._monitoring, self._monitoring.PROFILER_ID
        if not self._callbacks:
            self._callbacks = {event: self._callback(name) for event, name in self._methods.items()}
        self._watch.__enter__()
        monitoring.use_tool_id(tool, "soak")
        events = 0
        for event, callback in self._callbacks.items():
            monitoring.register_callback(tool, event, callback)
            # The returns of C functions come with the event CALL, and cannot be requested.
            events |= event if event not in (monitoring.events.C_RETURN, monitoring.events.C_RAISE) else 0
        monitoring.set_events(tool, events)

    def stop(self) -> None:
        monitoring, tool = self._monitoring, self._monitoring.PROFILER_ID
        monitoring.set_events(tool, 0)
        for event in self._callbacks:
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        self._watch.__exit__()
        self.threads = self._watch.started

    def _callback(self, name: str) -> Callable[..., Any]:
        methods: dict[int, Callable[..., Any]] = {}

        def callback(*arguments: Any) -> Any:
            thread = get_ident()
            method = methods.get(thread)
            if method is None:
                method = methods[thread] = getattr(self._profile_of(thread), name)
            return method(*arguments)

        return callback

    def _profile_of(self, thread: int) -> cProfile.Profile:
        profile = self._profiles.get(thread)
        if profile is None:
            profile = self._profiles[thread] = cProfile.Profile()
        return profile

    def collect(self, stats: Stats) -> None:
        # The stack of a thread may change until the next block, which therefore begins with new profilers.
        for profile in self._profiles.values():
            _add(stats, profile)
        self._profiles = {}
        self._callbacks = {}


class _ThreadWatch:
    """Counts the threads that the threading module starts meanwhile. This takes one call in each of them."""

    def __init__(self) -> None:
        self.started = 0

    def __enter__(self) -> None:
        threading.setprofile(self._count)

    def __exit__(self, *error: object) -> None:
        threading.setprofile(None)

    def _count(self, *_: object) -> None:
        self.started += 1
        sys.setprofile(None)


class _Gate:
    """Wraps one function. While there is a recorder, it profiles what happens inside, one call at a time."""

    def __init__(self) -> None:
        self.recorder: _Recorder | None = None
        self.calls = 0
        self.left_out = 0
        """Calls that were not profiled, because another thread was inside the function."""
        self._inside: int | None = None

    def put_around(self, name: str, component: Component) -> bool:
        """Wrap the function of this name; return False when there is none (yet).

        Raises LookupError when several have the name, and TypeError when a call of it does not do its work.
        """
        place = find_function(name)
        if place is None:
            return False
        function = replace_function(place, self._gated)
        if component.cycle is function:
            component.cycle = self._gated(function)
        return True

    def _gated(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def gated(*arguments: Any, **settings: Any) -> Any:
            recorder = self.recorder
            if recorder is None:
                return function(*arguments, **settings)
            if self._inside is not None:
                self.left_out += self._inside != get_ident()
                return function(*arguments, **settings)
            self._inside = get_ident()
            self.calls += 1
            recorder.start()
            try:
                return function(*arguments, **settings)
            finally:
                recorder.stop()
                self._inside = None

        return gated


def _add(stats: Stats, profile: cProfile.Profile) -> None:
    """Add the entries of a profiler to ``stats``: key -> [primitive calls, calls, own s, cumulative s, callers].

    This does what snapshot_stats of cProfile does, but it adds up functions with the same label, such as those that
    dataclasses generates. snapshot_stats keeps only the last of them.
    """
    entries = profile.getstats()
    keys = {}
    for entry in entries:
        key = _label(entry.code)
        if key[2] == _OWN_C or (key[0] == __file__ and key[2] != run_cycles.__name__):
            continue
        keys[id(entry.code)] = key
        recursive = entry.reccallcount
        found = stats.setdefault(key, [0, 0, 0.0, 0.0, {}])
        _increase(found, (entry.callcount - recursive, entry.callcount, entry.inlinetime, entry.totaltime))
    for entry in entries:
        for call in entry.calls or ():
            if id(call.code) in keys and id(entry.code) in keys:
                callers = stats[keys[id(call.code)]][4]
                found = callers.setdefault(keys[id(entry.code)], [0, 0, 0.0, 0.0])
                # For callers, pstats has all calls first; for functions, the primitive calls.
                _increase(found, (call.callcount, call.callcount - call.reccallcount, call.inlinetime, call.totaltime))


def _increase(totals: list[Any], amounts: tuple[Any, ...]) -> None:
    for position, amount in enumerate(amounts):
        totals[position] += amount


def _label(code: Any) -> Key:
    return ("~", 0, code) if isinstance(code, str) else (code.co_filename, code.co_firstlineno, code.co_name)


def _exact(stats: Stats) -> dict[Key, tuple[Any, ...]]:
    """Return the statistics in the form of pstats. Times are multiples of 2**-30 s (0.93 ns), so sums are exact."""

    def rounded(numbers: list[Any]) -> tuple[Any, ...]:
        return (*numbers[:2], *(round(seconds * _GRAIN) / _GRAIN for seconds in numbers[2:4]))

    return {
        key: (*rounded(numbers), {caller: rounded(share) for caller, share in numbers[4].items()})
        for key, numbers in stats.items()
    }


def _median(values: list[float]) -> float | None:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
