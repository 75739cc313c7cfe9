"""Sets runs into a matrix; says what changes from version to version, and on what hosts disagree."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from soak.analysis.comparison import Change, Kind, compare_components
from soak.matrix.columns import name_of, version_of
from soak.matrix.merged import CellRun, ColumnKey, Matrix, MatrixCell, MissingCell
from soak.results import NEVER_RAN, ComponentResult
from soak.verdict import Verdict

INTERPRETER = "Python"
"""The axis of interpreters; every other axis is a package."""
_DECIDED = (Verdict.CLEAN, Verdict.LEAK, Verdict.FAILED)
_TOLD = (Kind.NEW, Kind.GONE, Kind.WORSE, Kind.BETTER)


@dataclass(frozen=True)
class VersionChange:
    """What became of components from one version to a later one, all else being equal."""

    axis: str
    """A package, or ``INTERPRETER``."""
    before: str
    after: str
    undecided: tuple[str, ...]
    """The versions between the two that cannot be judged."""
    changes: tuple[Change, ...]
    """One for each component, all of the same kind."""
    results: tuple[ComponentResult, ...]
    """Of each component: what has changed, so of what is gone the result before, else the one after."""
    columns: tuple[ColumnKey, ...]
    """Those of the later version in which it is seen."""

    @property
    def kind(self) -> Kind:
        """What happened."""
        return self.changes[0].kind


def set_into_matrix(
    runs: Iterable[CellRun],
    missing: Iterable[MissingCell] = (),
    *,
    run: str,
    folder: str,
    soak: str,
    command: str,
    problems: Sequence[str] = (),
) -> Matrix:
    """Set runs into a matrix, rows in the order in which they come, columns by interpreter and version."""
    runs, missing = list(runs), list(missing)
    keys = _merged_keys([one.key for one in runs])
    by_place: dict[tuple[str, ColumnKey], list[CellRun]] = {}
    for one in runs:
        by_place.setdefault((one.result.name, keys[one.key]), []).append(one)
    without: dict[tuple[str, ColumnKey], MissingCell] = {}
    for cell in missing:
        key = _column_like(cell, list(keys.values()))
        keys.setdefault(key, key)
        without[cell.component, key] = cell
    columns = sorted(set(keys.values()), key=_column_order)
    components = tuple(dict.fromkeys([one.result.name for one in runs] + [cell.component for cell in missing]))
    places = [(component, column) for component in components for column in columns]
    cells = tuple(
        MatrixCell(*place, tuple(by_place.get(place, ())), None if place in by_place else without.get(place))
        for place in places
        if place in by_place or place in without
    )
    return Matrix(run, folder, soak, command, components, tuple(columns), cells, tuple(problems))


def repeated_runs(matrix: Matrix) -> list[tuple[MatrixCell, list[CellRun]]]:
    """Return the cells that one host has measured more than once, with those runs."""
    found = []
    for cell in matrix.cells:
        by_host: dict[Hashable, list[CellRun]] = {}
        for run in cell.runs:
            by_host.setdefault(run.host, []).append(run)
        found += [(cell, runs) for runs in by_host.values() if len(runs) > 1]
    return found


def find_changes(matrix: Matrix) -> list[VersionChange]:
    """Return what changes between two neighbouring versions of one package, or of CPython, all else being equal.

    A version that is not decided, or that hosts disagree on, tells nothing: its neighbours are compared.
    """
    found: list[VersionChange] = []
    for axis in varying_axes(matrix.columns):
        for row in _rows_along(axis, matrix.columns):
            for component in matrix.components:
                found += _changes_in_row(matrix, axis, row, component)
    return _put_together(found)


@functools.lru_cache
def varying_axes(columns: tuple[ColumnKey, ...]) -> list[str]:
    """Return what differs between columns: packages in their order, then the interpreter."""
    names = list(dict.fromkeys(package_of(each) for column in columns for each in column.requirements))
    varying = [name for name in names if len({requirement_for(name, column) for column in columns}) > 1]
    pythons = {(column.asked_python, column.minor) for column in columns}
    return varying + ([INTERPRETER] if len(pythons) > 1 else [])


package_of = functools.cache(name_of)
"""The name of the package that a requirement is for."""


def requirement_for(name: str, column: ColumnKey) -> str | None:
    """Return a column's requirement for a package; None if it has none."""
    return next((each for each in column.requirements if package_of(each) == name), None)


def version_on(axis: str, column: ColumnKey, run: CellRun | None = None) -> str:
    """Return the version that a column stands for on an axis: ``2.4.0``; what was installed, where that is known."""
    if axis == INTERPRETER:
        return column.minor.rpartition(" ")[2] or column.asked_python
    installed = None if run is None else run.installed.get(axis)
    requirement = requirement_for(axis, column)
    if installed or requirement is None:
        return installed or ""
    return version_of(requirement)


def _merged_keys(keys: Sequence[ColumnKey]) -> dict[ColumnKey, ColumnKey]:
    """Map each key to its column: a run that found no interpreter belongs to those that found the one it asked for."""
    known = list(dict.fromkeys(keys))
    found = {}
    for key in known:
        same = [replace(each, minor="") == replace(key, minor="") and bool(each.minor) for each in known]
        alike = [each for each, is_same in zip(known, same, strict=True) if is_same]
        found[key] = alike[0] if not key.minor and len(alike) == 1 else key
    return found


def _column_like(cell: MissingCell, columns: Sequence[ColumnKey]) -> ColumnKey:
    wanted = (cell.asked_python, cell.requirements)
    alike = [column for column in columns if (column.asked_python, column.requirements) == wanted]
    return alike[0] if alike else ColumnKey(cell.asked_python, "", cell.requirements)


def _column_order(column: ColumnKey) -> tuple[object, ...]:
    return (not column.minor, natural(column.minor), column.asked_python, [natural(one) for one in column.requirements])


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that orders numbers in texts as numbers: 3.9 before 3.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _rows_along(axis: str, columns: Sequence[ColumnKey]) -> list[list[ColumnKey]]:
    """Return the columns that differ in one axis only, from the oldest version to the newest."""
    rows: dict[Hashable, list[ColumnKey]] = {}
    for column in columns:
        if axis == INTERPRETER:
            rest: Hashable = column.requirements
        else:
            others = tuple(each for each in column.requirements if package_of(each) != axis)
            rest = (column.asked_python, column.minor, others)
        rows.setdefault(rest, []).append(column)
    return [sorted(row, key=lambda column: natural(version_on(axis, column))) for row in rows.values() if len(row) > 1]


def _changes_in_row(matrix: Matrix, axis: str, row: Sequence[ColumnKey], component: str) -> list[VersionChange]:
    before: tuple[ColumnKey, CellRun] | None = None
    skipped: list[str] = []
    found = []
    for column in row:
        cell = matrix.cell(component, column)
        run = None if cell is None else cell.worst
        if cell is None or run is None or cell.is_disputed or not _is_decided(run.result):
            skipped += [version_on(axis, column, run)] if before is not None else []
            continue
        if before is not None:
            versions = version_on(axis, before[0], before[1]), version_on(axis, column, run)
            change = next(iter(compare_components(before[1].result, run.result, run.known)))
            if change.kind in _TOLD and versions[0] != versions[1]:
                told = before[1].result if change.kind is Kind.GONE else run.result
                found.append(VersionChange(axis, *versions, tuple(skipped), (change,), (told,), (column,)))
        before, skipped = (column, run), []
    return found


def _is_decided(result: ComponentResult) -> bool:
    return result.verdict in _DECIDED and result.tracker.reason != NEVER_RAN


def _put_together(found: Sequence[VersionChange]) -> list[VersionChange]:
    """Make one of the changes that are alike: several components at once, the same in several columns."""
    groups: dict[Hashable, VersionChange] = {}
    for one in found:
        key = (one.axis, one.before, one.after, one.undecided, one.kind, one.changes[0].verdict_after)
        same = groups.get(key)
        groups[key] = one if same is None else _joined(same, one)
    return sorted(groups.values(), key=lambda one: _TOLD.index(one.kind))


def _joined(some: VersionChange, more: VersionChange) -> VersionChange:
    names = {change.component for change in some.changes}
    is_new = [change.component not in names for change in more.changes]
    return replace(
        some,
        changes=some.changes + tuple(itertools.compress(more.changes, is_new)),
        results=some.results + tuple(itertools.compress(more.results, is_new)),
        columns=tuple(dict.fromkeys(some.columns + more.columns)),
    )
