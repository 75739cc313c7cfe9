"""List the runs and matrices, newest last: name, verdicts and folder.

soak list
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from soak.commands.arguments import add_out_argument, runs_folder
from soak.errors import SoakError
from soak.store.database import FILE_NAME
from soak.store.fleets import count_verdicts
from soak.store.merges import count_merged, is_merge
from soak.store.profiles import list_viewable, read_profile_run
from soak.store.runs import is_being_measured, is_fleet, read_as_it_stands
from soak.units import format_count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak list``."""
    add_out_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print one line per run. For a run that cannot be read, print the reason."""
    out = runs_folder(options)
    folders = list_viewable(out)
    for folder in folders:
        try:
            found = _describe(folder)
        except SoakError as error:
            found = f"cannot be read: {error}"
        print(f"{folder.name}  {found}  {folder}")
    if not folders:
        print(f"no runs under {out}")
    return 0


def _describe(folder: Path) -> str:
    if is_fleet(folder):
        return _describe_fleet(folder)
    if is_merge(folder):
        counts = count_merged(folder)
        return f"merge of {_cells(counts.total())}: {_counted(counts)}"
    if not (folder / FILE_NAME).is_file():
        return f"{len(read_profile_run(folder).components)} profiles"
    result = read_as_it_stands(folder)
    verdicts = _counted(Counter(component.verdict.value for component in result.components)) or "no component ended"
    if result.is_running:
        return f"{verdicts} (so far; it goes on)"
    return verdicts if result.finished else f"{verdicts} (interrupted)"


def _describe_fleet(folder: Path) -> str:
    cells, counts = count_verdicts(folder)
    found = f"matrix of {_cells(cells)}: {_counted(counts) or 'no cell is done'}"
    if counts.total() == cells:
        return found
    return f"{found} ({'so far; it goes on' if is_being_measured(folder) else 'interrupted'})"


def _cells(count: int) -> str:
    return f"{format_count(count)} {'cell' if count == 1 else 'cells'}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
