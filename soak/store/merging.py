"""Finds and reads the runs of folders that are to be merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from soak.documents import parse
from soak.errors import SoakError, UsageError
from soak.matrix.cells import SETTING, Cell
from soak.matrix.columns import name_of
from soak.matrix.merged import CellRun, Host
from soak.results import RunResult
from soak.store.database import FILE_NAME, RunStore
from soak.store.fleets import is_done, read_fleet
from soak.store.merges import is_merge, merged_folders
from soak.store.reports import REPORT, read_report
from soak.store.runs import is_fleet


class Merging:
    """The runs of the folders that were added, and what was wrong with folders."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        """Those that were added and have runs, or cells without."""
        self.runs: list[CellRun] = []
        self.missing: list[Cell] = []
        """Cells of fleets that have no run."""
        self.problems: list[str] = []
        """A line for each folder that is no run, or cannot be read."""
        self._seen: set[Path] = set()

    def add(self, folder: Path) -> None:
        """Add a run, all cells of a fleet, all that a merge was made from, or the runs and fleets in a folder."""
        if is_merge(folder):
            self._add_merge(folder)
            return
        before = len(self.runs) + len(self.missing)
        self._add(folder)
        if len(self.runs) + len(self.missing) > before:
            self.folders.append(folder)

    def _add(self, folder: Path) -> None:
        if is_fleet(folder):
            self._add_fleet(folder)
        elif _is_run(folder):
            self._add_run(folder)
        else:
            inside = sorted(each for each in folder.glob("*") if is_fleet(each) or _is_run(each))
            for each in inside:
                self._add(each)
            if not inside:
                there = "it has neither run.db nor report.json" if folder.is_dir() else "there is no such folder"
                self.problems.append(f"{folder} is not a run: {there}")

    def _add_fleet(self, folder: Path) -> None:
        try:
            cells = read_fleet(folder).cells
        except SoakError as error:
            self.problems.append(str(error))
            return
        for cell in cells:
            if is_done(folder, cell.id):
                self._add_run(folder / cell.id)
            else:
                self.missing.append(cell)

    def _add_merge(self, folder: Path) -> None:
        try:
            folders = merged_folders(folder)
        except SoakError as error:
            self.problems.append(str(error))
            return
        if self._is_new(folder):
            for each in folders:
                self.add(each)

    def _add_run(self, folder: Path) -> None:
        if not self._is_new(folder):
            return
        try:
            self.runs += cell_runs(read_run(folder))
        except SoakError as error:
            self.problems.append(str(error))

    def _is_new(self, folder: Path) -> bool:
        if folder.resolve() in self._seen:
            self.problems.append(f"{folder} is named twice")
            return False
        self._seen.add(folder.resolve())
        return True


def read_run(folder: Path) -> RunResult:
    """Return the run of a folder, from its database or, where that did not come with it, its report."""
    if (folder / FILE_NAME).is_file():
        with RunStore(folder / FILE_NAME, create=False, read_only=True) as store:
            return store.read_run()
    return replace(read_report(folder / REPORT), folder=str(folder))


def cell_runs(run: RunResult) -> Iterable[CellRun]:
    """Return what a run has found, one for each component."""
    cell, environment = _table(run.settings.get(SETTING)), _table(run.environment)
    host = Host(
        str(environment.get("host") or ""),
        str(environment.get("system") or ""),
        str(environment.get("libc") or ""),
        str(environment.get("processor") or ""),
        _whole(environment.get("processors")),
        _whole(environment.get("memory_bytes")),
    )
    known = frozenset(str(fingerprint) for fingerprint in run.settings.get("known") or ())
    for result in run.components:
        yield CellRun(
            result,
            run.run,
            run.folder,
            run.started,
            host,
            str(environment.get("python") or ""),
            str(cell.get("python") or ""),
            _requirements(cell.get("requirements"), run.folder),
            {str(name): str(version) for name, version in _table(run.settings.get("installed")).items()},
            str(cell.get("id") or ""),
            run.controls,
            known,
            _number(environment.get("load")),
            run.soak,
        )


def _is_run(folder: Path) -> bool:
    return (folder / FILE_NAME).is_file() or ((folder / REPORT).is_file() and not _is_matrix(folder / REPORT))


def _is_matrix(report: Path) -> bool:
    """Tell whether a report is that of a matrix, which an earlier merge wrote."""
    try:
        document = parse(report.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "cells" in document


def _requirements(value: Any, folder: str) -> tuple[str, ...]:
    texts = tuple(map(str, value)) if isinstance(value, list) else ()
    try:
        for text in texts:
            name_of(text)
    except UsageError as error:
        raise UsageError(f"{folder} is not a run of a matrix: {error}") from error
    return texts


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
