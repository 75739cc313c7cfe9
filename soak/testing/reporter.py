"""The report of all checks of a pytest run, and what is said of it in the terminal."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

import soak
from soak.documents import from_document
from soak.errors import SoakError
from soak.reporting.commands.check import check_sentence
from soak.reporting.words import verdict_words
from soak.reporting.write import write_reports
from soak.results import SCHEMA_VERSION, ComponentResult, RunResult
from soak.running.context import RunContext, find_library
from soak.running.environment import describe_environment
from soak.running.interpreter import find_interpreter
from soak.running.run.controls import run_controls


class Reporter:
    """Collects the results of all tests of this run, also from xdist's workers, and writes the report at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder = Path(config.getoption("--soak-report"))
        self._started = datetime.now(UTC)
        self._results: list[ComponentResult] = []
        self._error: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the results in a test's report."""
        texts = getattr(report, "soak_results", ())
        self._results += [from_document(ComponentResult, json.loads(text)) for text in texts]

    def pytest_sessionfinish(self) -> None:
        """Measure the controls and write the report."""
        interpreter = find_interpreter(None)
        library, reason = find_library(interpreter.executable)
        context = RunContext(interpreter, Path.cwd(), threading.Event(), library, reason)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            run = RunResult(
                schema=SCHEMA_VERSION,
                run=self._folder.name,
                folder=str(self._folder.resolve()),
                started=self._started.isoformat(timespec="seconds"),
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
                soak=soak.__version__,
                environment=describe_environment(interpreter),
                settings={"command": shlex.join(["pytest", *sys.argv[1:]])},
                controls=run_controls(context),
                parts=None,
                components=tuple(self._results),
            )
            write_reports(run, lambda _: (), self._folder)
        except (OSError, SoakError) as error:
            self._error = str(error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was measured and where the report is."""
        terminalreporter.section("soak")
        for result in self._results:
            terminalreporter.line(f"{verdict_words(result)}  {check_sentence(result)}")
        if self._error is not None:
            terminalreporter.line(f"the report could not be written: {self._error}", red=True)
        else:
            terminalreporter.line(f"report: {self._folder / 'report.html'}")
