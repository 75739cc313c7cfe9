"""Makes folders of fleets whose cells have runs that FAILED, for these need no process; calls commands beside them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from command_builder import Answer

from soak.__main__ import main
from soak.commands.matrices.cell import write_cell_reports
from soak.matrix.cells import Cell, Fleet
from soak.matrix.columns import make_columns
from soak.request import Request
from soak.running.fleet.cell_run import write_failed_cell
from soak.settings import make_plan


def call(place: Path, *arguments: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*arguments])
    return Answer(code, out.getvalue(), err.getvalue())


def a_fleet(place: Path) -> Fleet:
    for name in ("a", "b"):
        (place / f"drive_{name}.py").write_text("def cycle(state): pass\n", encoding="utf-8")
    plan = make_plan(Request(targets=(".",), out=place / "reports"), place)
    return Fleet(plan, make_columns([], ["numpy==1", "numpy==2"]), {}, "soak matrix", str(place))


def measure(fleet: Fleet, folder: Path, *cells: Cell) -> None:
    """Give cells a run, which FAILED."""
    for cell in cells:
        write_failed_cell(fleet, folder, cell, "as scripted", {}, write_cell_reports, {"host": "n1"})
