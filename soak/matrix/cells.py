"""The cells of a fleet: what each is, its id, and the plan of its run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from typing import Any

from soak.documents import from_document
from soak.errors import UsageError
from soak.matrix.columns import Column
from soak.matrix.merged import MissingCell
from soak.settings import ComponentPlan, RunPlan, plan_from_document, plan_to_document

SETTING = "cell"
"""The name under which a run's settings say which cell it is."""


@dataclass(frozen=True)
class Cell:
    """One component with one interpreter and one choice of package versions: one run."""

    id: str
    """A hash of what it is: equal wherever and whenever the same is asked."""
    component: str
    column: Column

    @property
    def title(self) -> str:
        """The cell in a few words: ``decoder with Python 3.12, numpy 2.4.0``."""
        return f"{self.component} with {self.column.title}" if self.column.title else self.component

    def to_setting(self) -> dict[str, Any]:
        """Return what the run's settings keep of it."""
        return {"id": self.id, "python": self.column.python or "", "requirements": list(self.column.requirements)}

    def missing(self, reason: str) -> MissingCell:
        """Return the record of this cell where it has no run."""
        return MissingCell(self.id, self.component, self.column.python or "", self.column.requirements, reason)


@dataclass(frozen=True)
class Share:
    """One of several equal parts of the cells, so that independent jobs can do them without talking to each other."""

    number: int = 1
    """From 1 on."""
    of: int = 1


@dataclass(frozen=True)
class Fleet:
    """All cells that one command asks for: every component in every column."""

    plan: RunPlan
    columns: tuple[Column, ...]
    code: dict[str, str]
    """By component: a digest of its code."""
    command: str
    cache: str
    """The folder of the environments."""
    own_python: str = ""
    """Soak's own interpreter where the fleet was made: that of columns that name none."""
    build: bool = False
    """Whether releases without a wheel are built from source."""
    share: Share = Share()

    @property
    def cells(self) -> list[Cell]:
        """The cells of the share, component by component."""
        cells = [self._cell(component, column) for component in self.plan.components for column in self.columns]
        return cells[self.share.number - 1 :: self.share.of]

    def plan_of(self, cell: Cell, python: str | None) -> RunPlan:
        """Return the plan of a cell's run with an interpreter: its own, or that of the environment made with it."""
        components = tuple(one for one in self.plan.components if one.name == cell.component)
        return dataclasses.replace(self.plan, components=components, python=python, jobs=1, on_verdict=None)

    def _cell(self, component: ComponentPlan, column: Column) -> Cell:
        what = dataclasses.asdict(component)
        # Neither where the checkout lies nor what the user typed changes what is measured.
        del what["options"], what["target"]["path"]
        facts = {
            "component": what,
            "code": self.code.get(component.name),
            "python": column.python or self.own_python,
            "requirements": sorted(column.requirements),
            "build": self.build,
            "track": self.plan.track,
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
        return Cell(digest[:16], component.name, column)


def own_python() -> str:
    """Name the interpreter of this process as far as it makes a cell another one."""
    return f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"


def check_cells(fleet: Fleet) -> None:
    """Raise UsageError when two cells are the same."""
    seen: dict[str, Cell] = {}
    for cell in fleet.cells:
        if cell.id in seen:
            raise UsageError(f"{seen[cell.id].title} and {cell.title} are the same cell")
        seen[cell.id] = cell


def fleet_to_document(fleet: Fleet) -> dict[str, Any]:
    """Return a fleet as plain JSON values."""
    return {**dataclasses.asdict(fleet), "plan": plan_to_document(fleet.plan)}


def fleet_from_document(document: Any) -> Fleet:
    """Read a fleet from a document. Raises KeyError, TypeError or AttributeError when it is something else."""
    fleet = from_document(Fleet, document)
    return dataclasses.replace(fleet, plan=plan_from_document(document["plan"]))
