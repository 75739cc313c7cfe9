"""Watch a program that does not use soak, and say whether it leaks.

  soak watch --pid 4711
  soak watch --pid 4711 --tree --duration 8h --json night.json
  soak watch --every 100ms --duration 10min -- python service.py --port 8000

A cycle is one sample, every 100 ms by default, and with --pid every second (--every). If
the command calls soak.mark(), or soak_mark() in C, a cycle is one mark. --mark marks the
requests, tasks or calls of a Python program without changing it.

soak reads memory (RSS, PSS, USS, mapped memory), file descriptors, threads and child
processes. With -- COMMAND, soak also loads its allocation tracker into the program,
Python or not: then it names the lines that leak, and CLEAN is possible. RSS alone
never proves CLEAN.

The watch ends when the program ends, at Ctrl-C, or when --duration is over; with --pid
and no --duration, also at the first LEAK. Then soak ends the program if soak started it:
SIGTERM, and after --grace SIGKILL. --keep-running leaves it running. A program named by
--pid always continues. soak never stops a program while it watches it.

--scan [50ms] lets the tracker copy the program now and then. soak then tells lost blocks
(LEAK at once) from held blocks, and names what holds them. One thread waits some
milliseconds while the kernel copies page tables. soak makes no copy if it expects the
wait to be longer than the value.

A watch is kept as a run: soak show, list, report and compare read it. The last line is
its folder. The exit codes are those of soak run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from soak.commands.arguments import add_out_argument, duration, positive_count, runs_folder, size
from soak.errors import UsageError
from soak.measurements import SIGNALS
from soak.units import format_duration, format_size
from soak.verdict import Verdict

USUAL_PAUSE_S = 0.05
"""Of ``--scan`` without a value."""

if TYPE_CHECKING:
    from soak.analysis.decision.outcome import Decision
    from soak.results import ComponentResult
    from soak.running.processes.watching import WatchedProcesses
    from soak.running.watch.plan import WatchPlan
    from soak.running.watch.subject import Process
    from soak.running.watch.work_marks import WorkMarks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak watch``."""
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the program to start and watch")
    parser.add_argument("--pid", type=positive_count, metavar="N", help="the process to watch")
    parser.add_argument("--tree", action="store_true", help="add the counts of all descendants of the process")
    parser.add_argument("--every", type=duration, metavar="1s", help="time between two samples (100ms; with --pid 1s)")
    parser.add_argument("--duration", type=duration, metavar="8h", help="longest time of the watch")
    parser.add_argument("--tolerance", type=size, default=1.0, metavar="1B", help="accepted growth per sample (1B)")
    parser.add_argument("--n-min", type=positive_count, metavar="N", help="no LEAK before N samples (marks)")
    parser.add_argument(
        "--mark",
        action="append",
        default=[],
        metavar="WHAT",
        help="mark cycles in a Python program: asgi, wsgi, celery, or a function (orders.jobs.handle)",
    )
    parser.add_argument("--no-follow", action="store_true", help="do not track the processes that the program starts")
    parser.add_argument("--no-track", action="store_true", help="watch from outside only, without the tracker")
    parser.add_argument(
        "--scan",
        type=duration,
        nargs="?",
        const=USUAL_PAUSE_S,
        metavar="50ms",
        help="copy the program now and then (a thread waits, at most 50ms) to tell lost from held, and who holds it",
    )
    parser.add_argument(
        "--grace", type=duration, default=10.0, metavar="10s", help="time between SIGTERM and SIGKILL (10s)"
    )
    parser.add_argument("--keep-running", action="store_true", help="leave the program running after the watch")
    add_out_argument(parser)
    parser.add_argument("--json", metavar="FILE", help="the result in the format of report.json; - is stdout")


class _Progress:
    """Reports a leak on stderr as soon as it is found; on a terminal, also the progress of the watch."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, sample: int, values: dict[str, float], standing: Decision | None) -> None:
        """Report a sample."""
        end = "\r" if sys.stderr.isatty() else ""
        if end:
            rss = format_size(values.get("rss", 0.0))
            print(f"sample {sample:,}  RSS {rss}  {standing.verdict if standing else '':<14}", end=end, file=sys.stderr)
        self._tell_leak(f"at sample {sample:,}", standing)

    def of_processes(self, command: str, sample: int, values: dict[str, float], standing: Decision | None) -> None:  # noqa: ARG002
        """Report a sample of processes that the program has started."""
        self._tell_leak(f"at sample {sample:,} of its processes ({command})", standing)

    def _tell_leak(self, when: str, standing: Decision | None) -> None:
        if standing is not None and standing.verdict is Verdict.LEAK and not self._told:
            self._told = True
            print(f"soak: {when}: LEAK of {SIGNALS[standing.decided_by or ''].title}", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Watch, print the verdict, return the exit code."""
    command = _command(options)
    from soak.commands.measuring.measure import signals_set
    from soak.reporting.commands.watch import render_watch
    from soak.reporting.formats.json_report import render_json
    from soak.reporting.outcome import exit_code
    from soak.reporting.write import write_reports, write_text
    from soak.running.surroundings import check_surroundings
    from soak.running.watch.record import new_record
    from soak.running.watch.watch import Watch
    from soak.running.watch.work_marks import WorkMarks

    check_surroundings()
    subject = _subject(options, command)
    if subject.unreadable:
        names = ", ".join(subject.unreadable)
        print(f"soak: cannot read {names} of process {subject.pid}: permission denied", file=sys.stderr)
    settings = {"command": shlex.join(["soak", *sys.argv[1:]]), "every_s": options.every, "scan_s": options.scan}
    stopping = threading.Event()
    try:
        with new_record(runs_folder(options), settings, subject.name) as (store, record):
            with signals_set(stopping):
                plan, progress, work = _plan(options, command), _Progress(), WorkMarks()
                others = _follow(subject, plan, progress, work)
                result = Watch(subject, plan, stopping, on_sample=progress, record=record, work=work).run()
                result = result if others is None else others.finish(result)
            record.finish(result)
            _end(options, command, subject, result)
            document = store.read_run()
            write_reports(document, store.read_readings, Path(document.folder))
    finally:
        _end(options, command, subject, None)
        subject.close()
    if options.json == "-":
        sys.stdout.write(render_json(document))
    elif options.json is not None:
        write_text(Path(options.json), render_json(document))
    beside = sys.stderr if options.json == "-" else sys.stdout
    print(render_watch(result, options.every) + document.folder, file=beside)
    return exit_code(document)


def _follow(subject: Process, plan: WatchPlan, progress: _Progress, work: WorkMarks) -> WatchedProcesses | None:
    """Begin to watch the processes that the program starts; None if they are not followed."""
    from soak.running.processes.watching import WatchedProcesses

    announcements = subject.announcements
    if not plan.follow or announcements is None:
        return None
    return WatchedProcesses(subject.pid, announcements, plan, progress.of_processes, work)


def _end(options: argparse.Namespace, command: list[str], subject: Process, result: ComponentResult | None) -> None:
    """End the program that soak has started, or say that it still runs. ``result``: None if the watch itself failed.

    A process of the user's own, as ``--pid`` names it, needs no word.
    """
    if result is not None and result.stopped_by == "ended":
        return
    if command and not options.keep_running:
        ending = subject.end(options.grace) if subject.is_alive() else None
        if ending is not None and not ending.in_time:
            print(f"soak: {subject.name} did not end within {format_duration(options.grace)}: killed", file=sys.stderr)
        if ending is not None and ending.left:
            left = f"{ending.left} of the processes that {subject.name} had started"
            print(f"soak: {left} did not end with it: ended too", file=sys.stderr)
    elif command and result is not None:
        running = f"{subject.name} is still running (PID {subject.pid})"
        print(f"soak: {running}. Stop it with: kill {subject.pid}", file=sys.stderr)


def _command(options: argparse.Namespace) -> list[str]:
    """Return the command to start; nothing if a process is named. Raises UsageError for options that do not fit."""
    command: list[str] = options.words[1:] if options.words[:1] == ["--"] else options.words
    if (options.pid is None) == (not command):
        raise UsageError("name one: --pid N, or -- COMMAND to start")
    from soak.running.watch.marking import check_names
    from soak.running.watch.plan import EVERY_OF_A_COMMAND_S, EVERY_OF_A_PROCESS_S

    if options.every is None:
        options.every = EVERY_OF_A_COMMAND_S if command else EVERY_OF_A_PROCESS_S
    if options.every < 0.01:
        raise UsageError("--every must be 10ms or more, because each sample reads the page tables of the process")
    if options.mark and (not command or options.no_track):
        raise UsageError("--mark needs the tracker in the program: give the command with --, without --no-track")
    if options.scan is not None and (not command or options.no_track):
        raise UsageError("--scan needs the tracker in the program: give the command with --, without --no-track")
    check_names(options.mark)
    if options.json not in (None, "-") and not Path(options.json).absolute().parent.is_dir():
        raise UsageError(f"{options.json} cannot be written: there is no folder {Path(options.json).parent}")
    return command


def _subject(options: argparse.Namespace, command: list[str]) -> Process:
    """Start the command, or find the process that is named."""
    from soak.running.context import find_library
    from soak.running.watch.subject import Process, start_program

    if not command:
        return Process(options.pid, tree=options.tree)
    library, reason = (None, "--no-track") if options.no_track else find_library(command[0])
    to_stderr = options.json == "-"
    return start_program(
        command,
        output_to_stderr=to_stderr,
        tree=options.tree,
        library=library,
        reason=reason,
        marks=options.mark,
        follow=not options.no_follow,
    )


def _plan(options: argparse.Namespace, command: list[str]) -> WatchPlan:
    from soak.running.scanning.allowed import AllowedScans
    from soak.running.watch.plan import WatchPlan

    return WatchPlan(
        options.every,
        options.duration,
        options.tolerance,
        options.n_min,
        stop_at_leak=not command and options.duration is None,
        tree=options.tree,
        follow=not options.no_follow and not options.no_track,
        marks=tuple(options.mark),
        scans=None if options.scan is None else AllowedScans(options.scan),
    )
