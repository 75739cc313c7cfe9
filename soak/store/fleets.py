"""The folder of a fleet: its plan, one run for each cell, and the cells that are being measured."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from soak.documents import FAULTS, parse
from soak.errors import StoreError, UsageError
from soak.matrix.cells import Cell, Fleet, fleet_from_document, fleet_to_document
from soak.store.database import FILE_NAME
from soak.store.reports import REPORT, read_verdicts
from soak.store.runs import FLEET_FILE, list_runs, new_run_folder

_UNFINISHED = ".unfinished"
_STOP = "stop"
_LOOK_AGAIN_S = 0.2


def create_fleet(fleet: Fleet, now: datetime) -> Path:
    """Make the folder of a fleet that begins now, with all that it takes to go on with it. Raises UsageError."""
    folder = new_run_folder(fleet.plan.out, now)
    unfinished = folder / f".{FLEET_FILE}.part"
    unfinished.write_text(json.dumps(fleet_to_document(fleet), indent=1, default=str), encoding="utf-8")
    unfinished.replace(folder / FLEET_FILE)
    return folder


def read_fleet(folder: Path) -> Fleet:
    """Return the fleet of a folder. Raises UsageError when it holds none, StoreError when that is damaged."""
    file = folder / FLEET_FILE
    try:
        return fleet_from_document(parse(file.read_bytes()))
    except OSError as error:
        raise UsageError(f"{folder} is not the folder of a matrix: {file} cannot be read ({error.strerror})") from error
    except FAULTS as error:
        raise StoreError(f"{file} is damaged: {error!r}") from error


def count_verdicts(folder: Path) -> tuple[int, Counter[str]]:
    """Return how many cells a fleet has, and how many of them have which verdict, from its reports. Raises SoakError.

    Its own report is older than some of its runs while it goes on, or after it was killed.
    """
    cells = [cell.id for cell in read_fleet(folder).cells]
    said = dict(read_verdicts(folder / REPORT))
    done = [cell_id for cell_id in cells if is_done(folder, cell_id)]
    verdicts: Counter[str] = Counter()
    for cell_id in done:
        found = [said[cell_id]] if said.get(cell_id) else [one for _, one in read_verdicts(folder / cell_id / REPORT)]
        verdicts.update(found[:1] or ["without a report"])
    return len(cells), verdicts


def is_done(folder: Path, cell_id: str) -> bool:
    """Tell whether a cell has its run."""
    return (folder / cell_id / FILE_NAME).is_file()


def wait_until_done(folder: Path, cell_id: str, timeout_s: float) -> bool:
    """Tell whether a cell has its run; a network file system may show it some time after another host wrote it."""
    end = time.monotonic() + timeout_s
    while not is_done(folder, cell_id):
        if time.monotonic() >= end:
            return False
        os.listdir(folder)  # noqa: PTH208 - makes network file systems ask the server again
        time.sleep(_LOOK_AGAIN_S)
    return True


@contextlib.contextmanager
def unfinished_run(folder: Path, cell: Cell) -> Iterator[Path]:
    """Give an empty folder for the run of a cell; `finish_run` makes it the cell's. What is left of it is removed.

    A run becomes the cell's only when it is whole. So a kill at any moment leaves a cell with one run or with none.
    """
    above = folder / _UNFINISHED
    above.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=above, prefix=f"{cell.id}-", ignore_cleanup_errors=True) as place:
        run = Path(place, cell.id)
        run.mkdir()
        yield run


def finish_run(unfinished: Path, folder: Path) -> bool:
    """Make a whole run that of its cell, in one step. False when the cell has one already: that one stays."""
    try:
        unfinished.rename(folder / unfinished.name)
    except OSError:
        if is_done(folder, unfinished.name):
            return False
        raise
    return True


def begin_attempt(folder: Path, cell_id: str, attempt: int, host: str) -> str | None:
    """Take note that an attempt at a cell begins on a host; return the host on which the same one began before."""
    above = folder / _UNFINISHED
    with contextlib.suppress(OSError):
        above.mkdir(exist_ok=True)
    file = above / f"{cell_id}.{attempt}"
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(host)
    except FileExistsError:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None  # a host that does not see the folder says so itself
    return None


def has_begun(folder: Path, cell_id: str, attempt: int) -> bool:
    """Tell whether an attempt at a cell has begun."""
    above = folder / _UNFINISHED
    return above.is_dir() and f"{cell_id}.{attempt}" in os.listdir(above)  # noqa: PTH208 - see wait_until_done


def scratch_folder(folder: Path) -> Path:
    """Return a folder for what is removed when the fleet ends."""
    scratch = folder / _UNFINISHED / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left; only when nothing is being measured any more."""
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)


def remove_fleet_without_runs(folder: Path) -> None:
    """Remove a fleet that never began; one with a run stays."""
    if not list_runs(folder):
        shutil.rmtree(folder, ignore_errors=True)


def ask_to_stop(folder: Path) -> None:
    """Tell all hosts that see the folder to stop what they measure for it."""
    above = folder / _UNFINISHED
    above.mkdir(exist_ok=True)
    (above / _STOP).touch()


def is_asked_to_stop(folder: Path) -> bool:
    """Tell whether the cells of a fleet are to stop."""
    return (folder / _UNFINISHED / _STOP).exists()
