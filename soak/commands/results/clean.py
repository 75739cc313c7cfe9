"""Remove the folders of old runs under --out and keep the newest. A matrix counts as one.

soak never removes the newest run or a run that is being measured. It does not touch
folders without a run.db, fleet.json or merge.json. For a merge, it removes the reports,
not the merged runs.

  soak clean --keep 10 --dry-run
  soak clean --keep 10
"""

from __future__ import annotations

import argparse

from soak.commands.arguments import add_out_argument, positive_count, runs_folder
from soak.errors import StoreError, UsageError
from soak.store.runs import list_runs_and_matrices, remove_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak clean``."""
    parser.add_argument("--keep", type=positive_count, default=10, metavar="N", help="number of runs to keep (10)")
    parser.add_argument("--dry-run", action="store_true", help="list the runs to remove, but remove nothing")
    add_out_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Remove old runs and print one line for each. Raises UsageError when a run could not be removed."""
    out = runs_folder(options)
    runs = list_runs_and_matrices(out)
    removed, refused = 0, []
    for folder in runs[: -options.keep]:
        try:
            remove_run(folder, dry_run=options.dry_run)
        except (StoreError, UsageError) as error:
            refused.append(str(error))
            continue
        removed += 1
        print(f"{'would remove' if options.dry_run else 'removed'} {folder}")
    print(f"{removed} of {len(runs)} runs under {out} {'would be removed' if options.dry_run else 'removed'}")
    if refused:
        raise UsageError("not removed: " + "; ".join(refused))
    return 0
