"""The runs and profiles that the server may show: the runs of one folder, or the files of the command line.

A request names an entry. The server looks the name up in this list and never makes a path of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soak.errors import SoakError
from soak.profiles import MERGED, ComponentProfile, ProfileRun, Statistics
from soak.results import AT_WORK, ComponentResult
from soak.store.database import FILE_NAME, RunStore
from soak.store.fleets import count_verdicts, read_fleet
from soak.store.merges import count_merged, is_merge, linked_reports
from soak.store.profile_files import add_profiles, load_profile, read_regular
from soak.store.profiles import list_viewable, read_profile_run
from soak.store.reports import REPORT, read_verdicts
from soak.store.runs import is_being_measured, is_matrix
from soak.verdict import WORST_FIRST

FILES = "files"
"""The name of the entry for the files of the command line."""
_LARGEST_REPORT_BYTES = 64 * 2**20
_MOST_CURRENT = 8
_SUFFIX = ".prof"
REPORT_PAGE = "report.html"


@dataclass(frozen=True)
class Profile:
    """One profile that the server may show; it is the sum of the files ``parts``, mostly of one."""

    name: str
    parts: tuple[Path, ...]

    def load(self) -> Statistics:
        """Return its data. Raises SoakError."""
        statistics = [load_profile(part) for part in self.parts]
        return statistics[0] if len(statistics) == 1 else add_profiles(statistics)


@dataclass(frozen=True)
class Entry:
    """A run, or the files of the command line."""

    name: str
    profiles: tuple[Profile, ...]
    report: Path | None = None
    is_running: bool = False
    """It is being measured."""
    verdicts: tuple[tuple[str, str], ...] = ()
    """(component, verdict) of each component, of a matrix (count, verdict); empty for a run of ``soak profile``."""
    at_work: frozenset[str] = frozenset()
    """The components that are at work, or were when the run was interrupted: their verdict is that so far."""
    cells: int | None = None
    """Of a matrix; None for any other run."""
    is_merge: bool = False
    profiled: ProfileRun | None = None

    def component(self, profile: Profile) -> ComponentProfile | None:
        """Return the record of the component that a profile belongs to."""
        components = self.profiled.components if self.profiled else ()
        return next((component for component in components if component.file == profile.name), None)


class Catalogue:
    """Reads the folder again at each request, so that new runs appear."""

    def __init__(self, out: Path, *, only: str | None = None, files: Sequence[Path] = ()) -> None:
        """Show the runs in ``out`` (or only the run ``only``); or, if there are ``files``, these and their sum."""
        self._out = out.resolve()
        self._only = only
        self._files = tuple(file.resolve() for file in files)

    def entries(self) -> list[Entry]:
        """Return all entries, newest first."""
        if self._files:
            return [self._named_files()]
        folders = [folder for folder in list_viewable(self._out) if self._only in (None, folder.name)]
        # A link would lead out of the folder.
        return [_read_run(folder) for folder in reversed(folders) if not folder.is_symlink()]

    def find_profile(self, entry: str, name: str) -> Profile | None:
        """Return the profile of that name, or None."""
        profiles = [profile for found in self._named(entry) for profile in found.profiles]
        return next((profile for profile in profiles if profile.name == name), None)

    def current_runs(self) -> list[Path]:
        """Return the folders of the runs that go on, and of the newest run, at most `_MOST_CURRENT`, newest first."""
        if self._files:
            return []
        soaked = [entry for entry in self.entries() if self.find_run(entry.name) is not None]
        chosen = [entry for at, entry in enumerate(soaked) if entry.is_running or at == 0]
        return [self._out / entry.name for entry in chosen[:_MOST_CURRENT]]

    def find_run(self, entry: str) -> Path | None:
        """Return the folder of a soak run, or None; its database must be a file there, not a link out of it."""
        if self._files or entry not in [found.name for found in self.entries()]:
            return None
        database = self._out / entry / FILE_NAME
        return database.parent if database.is_file() and not database.is_symlink() else None

    def read_report(self, entry: str) -> bytes | None:
        """Return a run's report.html, or None when there is none or it cannot be read."""
        with contextlib.suppress(SoakError):
            for found in self._named(entry):
                if found.report is not None:
                    page = read_regular(found.report, _LARGEST_REPORT_BYTES)
                    return self._linked(entry, page)[0].encode() if found.is_merge else page
        return None

    def read_report_of_cell(self, entry: str, cell: str) -> bytes | None:
        """Return the report.html of a fleet's cell, or of a merge's run by its number in the page of the merge.

        None when there is none or it cannot be read.
        """
        with contextlib.suppress(SoakError):
            for found in self._named(entry):
                if found.is_merge and found.report is not None:
                    linked = self._linked(entry, read_regular(found.report, _LARGEST_REPORT_BYTES))[1]
                    number = int(cell) if cell.isdecimal() and len(cell) < 9 else len(linked)
                    return read_regular(linked[number], _LARGEST_REPORT_BYTES) if number < len(linked) else None
                page = self._out / entry / cell / REPORT_PAGE
                is_cell = found.cells and cell in [one.id for one in read_fleet(self._out / entry).cells]
                if is_cell and not page.parent.is_symlink():
                    return read_regular(page, _LARGEST_REPORT_BYTES)
        return None

    def _linked(self, entry: str, page: bytes) -> tuple[str, list[Path]]:
        return linked_reports(page.decode("utf-8", "replace"), self._out / entry)

    def _named(self, entry: str) -> list[Entry]:
        return [found for found in self.entries() if found.name == entry]

    def _named_files(self) -> Entry:
        several = len(self._files) > 1
        names = [f"{number}-{file.name}" if several else file.name for number, file in enumerate(self._files, 1)]
        single = [Profile(name, (file,)) for name, file in zip(names, self._files, strict=True)]
        merged = [Profile(f"{MERGED}{_SUFFIX}", self._files)] if several else []
        return Entry(FILES, (*merged, *single))


def _read_run(folder: Path) -> Entry:
    names = sorted(file.name for file in folder.glob(f"*{_SUFFIX}") if not file.is_symlink())
    names.sort(key=lambda name: name != f"{MERGED}{_SUFFIX}")
    report = folder / REPORT_PAGE
    profiled = None
    with contextlib.suppress(SoakError):
        profiled = read_profile_run(folder)
    is_running = is_being_measured(folder)
    verdicts, cells = _verdicts(folder)
    so_far = _components_so_far(folder) if cells is None and (is_running or not verdicts) else ()
    return Entry(
        folder.name,
        tuple(Profile(name, (folder / name,)) for name in names),
        report if report.is_file() and not report.is_symlink() else None,
        is_running,
        tuple((component.name, component.verdict.value) for component in so_far) or verdicts,
        frozenset(component.name for component in so_far if component.stopped_by == AT_WORK),
        cells,
        is_merge(folder),
        profiled,
    )


def _components_so_far(folder: Path) -> tuple[ComponentResult, ...]:
    """Return what the database says of a run that has not come to its report; nothing if it cannot be read."""
    database = folder / FILE_NAME
    if database.is_symlink():
        return ()
    with contextlib.suppress(SoakError), RunStore(database, create=False, read_only=True) as store:
        return store.read_run(so_far=True).components
    return ()


def _verdicts(folder: Path) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """Return the verdicts of a run, or how often a matrix has each, and how many cells it has."""
    if not is_matrix(folder):
        return read_verdicts(folder / REPORT), None
    with contextlib.suppress(SoakError):
        if is_merge(folder):
            verdicts = count_merged(folder)
            cells = verdicts.total()
        else:
            cells, verdicts = count_verdicts(folder)
        return tuple((str(verdicts[verdict]), verdict) for verdict in WORST_FIRST if verdicts[verdict]), cells
    return (), 0
