"""Code that ``run`` and ``resume`` share: signal handlers, reports and their copies, the exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

from soak.errors import UsageError


def say_at_once() -> None:
    """Show on a terminal that soak has begun; the progress display, which takes a moment to import, writes over it."""
    if sys.stderr.isatty():
        sys.stderr.write("soak: starting\r")
        sys.stderr.flush()


def add_copies(output: Any) -> None:
    """Declare the options for extra copies of the reports; ``output``: a parser or a group of one."""
    output.add_argument("--json", metavar="FILE", help="write a copy of report.json; - is stdout")
    output.add_argument("--junit", metavar="FILE", help="write a copy of junit.xml; - is stdout")
    output.add_argument(
        "--metrics-file", metavar="FILE", help="keep metrics for Prometheus in FILE (node_exporter reads it)"
    )
    output.add_argument("--markdown", metavar="FILE", help="write a copy of report.md; - is stdout")


def copies_of(options: argparse.Namespace) -> dict[str, Callable[[Any], str]]:
    """Map each file that gets a copy to its renderer. Raises UsageError for a file that cannot be written."""
    copies: dict[str, Callable[[Any], str]] = {}
    for file, render in (
        (options.json, _as_json),
        (options.junit, _as_junit),
        (options.markdown, _as_markdown),
    ):
        if file in copies:
            raise UsageError(f"two reports cannot both go to {file}")
        if file is not None:
            copies[file] = render
            if file != "-" and not Path(file).absolute().parent.is_dir():
                raise UsageError(f"{file} cannot be written: there is no folder {Path(file).parent}")
    return copies


def _as_json(result: Any) -> str:
    from soak.reporting.formats.json_report import render_json

    return render_json(result)


def _as_junit(result: Any) -> str:
    from soak.reporting.formats.junit import render_junit

    return render_junit(result)


def _as_markdown(result: Any) -> str:
    from soak.reporting.formats.markdown import render_markdown

    return render_markdown(result)


def measure_and_report(
    measure: Callable[[Any, threading.Event], Any],
    copies: dict[str, Callable[[Any], str]],
    metrics_file: str | None = None,
) -> int:
    """Measure, write the reports, show the result, print the run's folder last; return the exit code.

    ``measure`` takes a listener and the event that stops the run cleanly. It returns the run's open database.
    ``metrics_file`` gets what is known of each component, every few seconds and at its end.
    """
    stopping = threading.Event()
    with _LateDisplay(metrics_file) as progress, signals_set(stopping):
        store = measure(progress, stopping)
        from rich.console import Console

        from soak.reporting.formats.terminal import print_result
        from soak.reporting.outcome import exit_code
        from soak.reporting.write import write_reports

        progress.stage("writing the reports")
        with store:
            result = store.read_run()
            folder = Path(result.folder)
            write_reports(result, store.read_readings, folder)
        progress.stage("")
    to_stdout = copies.pop("-", None)
    for file, render in copies.items():
        _write_copy(file, render(result))
    print_result(result, Console(stderr=to_stdout is not None))
    if to_stdout is not None:
        sys.stdout.write(to_stdout(result).rstrip("\n") + "\n")
        print(folder, file=sys.stderr)
    else:
        print(folder)
    return exit_code(result)


class _LateDisplay:
    """Shows how a run goes, once there is something to show; to be used as a context manager.

    What shows it takes long to import. The first process has been started by then, and starts meanwhile. Where it
    cannot show anything, because there is no writing to ``metrics_file``, entering raises SoakError.
    """

    def __init__(self, metrics_file: str | None) -> None:
        self._metrics_file = metrics_file
        self._shown = contextlib.ExitStack()
        self._display: Any = None

    def __enter__(self) -> Self:
        if self._metrics_file is not None:
            self._display = self._shown.enter_context(_display(self._metrics_file))
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.close()

    def __getattr__(self, name: str) -> Any:
        """Return a method of the display. Only one thread at a time tells it anything."""
        if self._display is None:
            self._display = self._shown.enter_context(_display(self._metrics_file))
        return getattr(self._display, name)


def _display(metrics_file: str | None) -> Any:
    from rich.console import Console

    console = Console(stderr=True)
    if metrics_file is None:
        from soak.reporting.formats.terminal import ProgressDisplay

        return ProgressDisplay(console)
    from soak.reporting.formats.metrics_display import MetricsDisplay

    return MetricsDisplay(console, Path(metrics_file))


def _write_copy(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def signals_set(stopping: threading.Event, then: str = "stopping and judging what was measured") -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP stop the run cleanly, and a second SIGINT end it at once.

    ``then``: what the user is told at the first.
    """
    # Asked now: isatty() is false for a terminal that has been closed.
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def stop(number: int, _: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGHUP:
            _send_nowhere(terminals)
        _set_in_handler(stopping)
        # Past the buffer of stderr: what is interrupted may be just writing to it, which Python allows only once.
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), f"soak: {then} (Ctrl-C again ends at once)\n".encode())

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_in_handler(event: threading.Event) -> None:
    """Set an event in a handler of a signal, which may interrupt this thread while it holds the event's own lock.

    `Event.set` would then wait for ever. Whoever holds the lock waits no longer than the timeout that it gave.
    """
    event._flag = True  # type: ignore[attr-defined]
    changed: threading.Condition = event._cond  # type: ignore[attr-defined]
    if changed.acquire(blocking=False):
        changed.notify_all()
        changed.release()


def _send_nowhere(handles: list[int]) -> None:
    """Discard further output: the terminal may have been closed, and writing to it would raise an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for handle in handles:
        os.dup2(nowhere, handle)
    os.close(nowhere)
