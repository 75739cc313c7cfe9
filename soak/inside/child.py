"""Run one component from its import to its teardown, and report what went wrong."""

from __future__ import annotations

import faulthandler
import marshal
import os
import sys

from soak.inside import injection, loading, loop, pauses, ring
from soak.inside.objects import imports

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.tracker import NoTracker, Tracker

EXIT_FAILED = 70
"""The exit status when the driver raised; the text area of the ring then has the failure."""
_PACKING_SHARE = 16
"""Tables may be packed for one of so many parts of a pause's budget."""
_OWN_DRIVERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
"""What a driver of soak's own imports, such as pytest, is no part of what is measured: the tracker starts after it."""


def run(ring_path: str) -> int:
    """Soak the component described in the ring at ``ring_path``; return the exit status (0, or EXIT_FAILED)."""
    area = ring.Ring(ring_path)
    if not ring_path.startswith("/proc/"):
        # Both processes have mapped it, so no file is left behind, whichever ends first.
        os.unlink(ring_path)
        os.rmdir(os.path.dirname(ring_path))
    settings = marshal.loads(area.read_text())
    area.write_text(b"")
    area.touch()
    die_with_parent(settings["parent_pid"])
    measured_pid = os.getpid()
    # A process that the cycle forks (multiprocessing, os.fork) may return from the cycle into the loop below.
    os.register_at_fork(after_in_child=area.leave)
    if settings.get("nice"):
        os.nice(settings["nice"])
    # Prints the Python stack to stderr on a crash in native code, and on the abort that ends a hang.
    faulthandler.enable()
    sys.path[0:0] = settings["path"]
    sys.argv[:] = [settings["target"]["path"] or settings["target"]["module"]]
    try:
        _soak(area, settings, measured_pid)
    except BaseException as error:
        _report(area, error)
        return EXIT_FAILED
    finally:
        _end_if_forked(measured_pid)
    return 0


def _soak(area: ring.Ring, settings: dict[str, Any], measured_pid: int) -> None:
    words = area.words
    is_own = settings["target"]["path"].startswith(_OWN_DRIVERS)
    tracked = None if is_own else _start_tracker(settings["ledger"], settings["follow"])
    words[ring.WORD_PHASE] = ring.PHASE_SETUP
    component = loading.load(settings["target"])
    if is_own:
        tracked = _start_tracker(settings["ledger"], settings["follow"])
    component.show_pauses(words[ring.WORD_PAUSES : ring.WORD_PAUSES + pauses.WORDS_OF_WINDOWS].toreadonly())
    if settings.get("profile"):
        from soak.inside.profiler import profiled

        profiled.run(area, component, settings)
        return
    arguments = component.setup(settings["settings"])
    soaking = _make_loop(area, settings, tracked)
    words[ring.WORD_TYPE] = id(type)
    words[ring.WORD_PHASE] = ring.PHASE_CYCLES
    before_cycles = imports.moment()
    try:
        if settings["tracemalloc_frames"]:
            from soak.inside.counting import snapshots

            snapshots.run_between(soaking, component.cycle, arguments, settings["tracemalloc_file"])
        else:
            soaking.run(component.cycle, arguments)
    finally:
        _end_if_forked(measured_pid)
        soaking.show_what_is_open()
    if words[ring.WORD_ASKED]:
        _answer(
            area, arguments, lambda most: soaking.run_more(component.cycle, arguments, most), tracked, before_cycles
        )
    words[ring.WORD_PHASE] = ring.PHASE_TEARDOWN
    component.teardown(*arguments)
    words[ring.WORD_PHASE] = ring.PHASE_DONE


def _start_tracker(ledger: str | None, follow: str) -> Tracker | NoTracker | None:
    """Start the tracker with a ledger at this path; None if none is asked for, or the file cannot be made.

    ``follow``: see Tracker.start.
    """
    if not ledger:
        return None
    from soak.inside import tracker

    tracked = tracker.connect()
    try:
        tracked.start(ledger, follow)
    except OSError:
        return None  # the parent sees that the ledger is empty, and does without it
    return tracked


def _make_loop(area: ring.Ring, settings: dict[str, Any], tracked: Tracker | NoTracker | None) -> loop.Loop:
    kind, size, every = settings["inject"] or ("", 0, 1)
    read_traced = None
    if settings["tracemalloc_frames"]:
        from soak.inside.counting import snapshots

        # After setup: what imports and setup allocate does not belong to a cycle, and tracing it takes seconds.
        read_traced = snapshots.start(settings["tracemalloc_frames"])
    if tracked is not None and settings["max_pause_s"]:
        tracked.pack_within(round(settings["max_pause_s"] * 1e9) // _PACKING_SHARE)
    return loop.Loop(
        area,
        settings["interval_s"],
        settings["iterations"],
        injection.next_control_checkpoint if kind == "control" else settings["checkpoint_every"],
        settings["period"],
        settings["checkpoint_share"],
        injection.make_leak(kind, size) if kind else None,
        every,
        read_traced,
        tracked,
        settings["max_pause_s"],
    )


def _answer(
    area: ring.Ring,
    arguments: tuple[Any, ...],
    run_cycles: Callable[[int], int],
    tracked: Tracker | NoTracker | None,
    before_cycles: tuple[int, float],
) -> None:
    """Answer the questions of the parent about objects. An error here is not a failure of the component.

    ``before_cycles``: how many modules there were, and when.
    """
    try:
        from soak.inside.objects.imports import Imports

        imported = Imports(*before_cycles)  # before soak imports more for itself
        from soak.inside import tracker
        from soak.inside.objects import answers

        roots = [("the driver's state", argument) for argument in arguments]
        answers.answer(area, roots, run_cycles, (tracked or tracker.connect()).site_of, imported)
    except Exception as error:
        del error


def _end_if_forked(measured_pid: int) -> None:
    """End a process that the component forked, so that it does not do the work of the measured process."""
    if os.getpid() != measured_pid:
        os._exit(0)


def _report(area: ring.Ring, error: BaseException) -> None:
    """Write the failure into the ring: type and message on the first line, then the frames, innermost last.

    Without the traceback module, which cannot be imported when the component has used up all descriptors.
    """
    try:
        text = str(error)
    except Exception:  # from the component's own __str__; its failure is reported all the same
        text = "its message cannot be read"
    lines = [("%s: %s" % (type(error).__name__, text)).split("\n")[0]]
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(own) or code.co_filename == injection.__file__:
            lines.append('File "%s", line %d, in %s' % (code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    area.write_failure("\n".join(lines).encode("utf-8", "replace"))
    area.words[ring.WORD_FAILED_PHASE] = area.words[ring.WORD_PHASE]
    area.words[ring.WORD_PHASE] = ring.PHASE_FAILED


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to kill this process when its parent has ended, so that it does not run on as an orphan."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal, kill_signal = 1, 9
    ctypes.CDLL(None).prctl(set_parent_death_signal, kill_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(EXIT_FAILED)
