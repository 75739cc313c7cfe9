"""The records of many runs set into one matrix: rows are components, columns interpreters and versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from soak.results import ComponentResult, Controls
from soak.verdict import WORST_FIRST, Verdict


@dataclass(frozen=True)
class Host:
    """The machine that measured a run, as far as it can change a verdict."""

    name: str
    system: str = ""
    """Kernel and architecture."""
    libc: str = ""
    processor: str = ""
    processors: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class CellRun:
    """What one run found about one component."""

    result: ComponentResult
    run: str
    folder: str
    started: str
    host: Host
    python: str = ""
    """``CPython 3.12.4``; empty if no interpreter was found."""
    asked_python: str = ""
    """The interpreter as the user named it; empty for soak's own."""
    requirements: tuple[str, ...] = ()
    installed: dict[str, str] = field(default_factory=dict)
    """Versions by distribution, where an environment was made for the run."""
    id: str = ""
    """That of the cell; empty for a run that no fleet made."""
    controls: Controls | None = None
    known: frozenset[str] = frozenset()
    load: float | None = None
    """Processes that wanted to run when it began, on average over a minute."""
    soak: str = ""

    @property
    def key(self) -> ColumnKey:
        """The column that it belongs to."""
        return ColumnKey(self.asked_python, _minor(self.python), self.requirements)


@dataclass(frozen=True)
class ColumnKey:
    """What a column is. ``minor``: CPython's version without its last part, because hosts may differ in that."""

    asked_python: str
    minor: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class MissingCell:
    """A cell without a run, and why."""

    id: str
    component: str
    asked_python: str
    requirements: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class MatrixCell:
    """One component in one column. Without runs there is a reason; several runs are of several hosts, or repeated."""

    component: str
    column: ColumnKey
    runs: tuple[CellRun, ...]
    missing: MissingCell | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict of its runs; None if there is none."""
        found = {run.result.verdict for run in self.runs}
        return next((verdict for verdict in WORST_FIRST if verdict in found), None)

    @property
    def worst(self) -> CellRun | None:
        """The first of the runs with the worst verdict."""
        return next((run for run in self.runs if run.result.verdict is self.verdict), None)

    @property
    def is_disputed(self) -> bool:
        """Whether hosts disagree on its verdict."""
        return len({run.result.verdict for run in self.runs}) > 1 and len({run.host for run in self.runs}) > 1


@dataclass(frozen=True)
class Matrix:
    """All that many runs found."""

    run: str
    folder: str
    soak: str
    command: str
    components: tuple[str, ...]
    columns: tuple[ColumnKey, ...]
    cells: tuple[MatrixCell, ...]
    """Component by component, in the order of the columns; where nothing was asked there is no cell."""
    problems: tuple[str, ...] = ()
    """What could not be merged, a line each."""

    def cell(self, component: str, column: ColumnKey) -> MatrixCell | None:
        """Return a cell; None if nothing was asked."""
        return self._by_place.get((component, column))

    def row(self, component: str) -> list[MatrixCell]:
        """Return the cells of a component."""
        return self._rows.get(component, [])

    def runs_of(self, column: ColumnKey) -> list[CellRun]:
        """Return the runs of a column."""
        return self._runs_by_column.get(column, [])

    @property
    def runs(self) -> list[CellRun]:
        """All runs of all cells."""
        return [run for cell in self.cells for run in cell.runs]

    @cached_property
    def _by_place(self) -> dict[tuple[str, ColumnKey], MatrixCell]:
        return {(cell.component, cell.column): cell for cell in self.cells}

    @cached_property
    def _rows(self) -> dict[str, list[MatrixCell]]:
        rows: dict[str, list[MatrixCell]] = {}
        for cell in self.cells:
            rows.setdefault(cell.component, []).append(cell)
        return rows

    @cached_property
    def _runs_by_column(self) -> dict[ColumnKey, list[CellRun]]:
        columns: dict[ColumnKey, list[CellRun]] = {}
        for cell in self.cells:
            columns.setdefault(cell.column, []).extend(cell.runs)
        return columns


def _minor(python: str) -> str:
    """Return ``CPython 3.12`` of ``CPython 3.12.4``."""
    name, _, version = python.partition(" ")
    return f"{name} {'.'.join(version.split('.')[:2])}" if version else python
