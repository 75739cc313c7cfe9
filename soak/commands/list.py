"""List the runs there are, newest last: when, how long, the verdicts, the folder.

soak list
"""

from __future__ import annotations

import argparse
from collections import Counter

from soak.commands.arguments import add_out_argument, runs_folder
from soak.errors import StoreError
from soak.store.runs import list_runs, open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak list``."""
    add_out_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print one line a run; a run that cannot be read is named with the reason."""
    out = runs_folder(options)
    folders = list_runs(out)
    for folder in folders:
        try:
            with open_run(folder) as store:
                result = store.read_run()
        except StoreError as error:
            print(f"{folder.name}  cannot be read: {error}")
            continue
        counts = Counter(component.verdict.value for component in result.components)
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common()) or "no component ended"
        state = "" if result.finished else "  (not finished)"
        print(f"{folder.name}  {verdicts}{state}  {folder}")
    if not folders:
        print(f"no runs under {out}")
    return 0
