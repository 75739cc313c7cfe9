"""The folder that ``soak merge`` writes: its reports, and from which folders they were made."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from soak.documents import FAULTS, from_document, parse
from soak.errors import StoreError, UsageError
from soak.store.reports import REPORT

MERGE_FILE = "merge.json"
"""What makes a folder that of a merge."""
MATRIX_REPORTS = ("report.html", REPORT, "report.md", "junit.xml", "leaks.sarif")
"""What is written of a matrix, one file a format."""
NOT_MEASURED = "not measured"
_LINK = re.compile(r'href="([^"]+/report\.html)"')


@dataclass(frozen=True)
class Merge:
    """What a merge was made from."""

    merged: str
    """When, as the folders of runs are named: it has the place among them that a run of that time has."""
    command: str
    folders: tuple[str, ...]
    """Seen from the folder of the merge, so that all may be moved together."""


def is_merge(folder: Path) -> bool:
    """Tell whether a folder is that of a merge."""
    return (folder / MERGE_FILE).is_file()


def write_merge(folder: Path, command: str, merged: Sequence[Path], now: datetime) -> None:
    """Write down from which folders a merge is made. Raises UsageError when that cannot be written."""
    folders = tuple(os.path.relpath(each, folder) for each in merged)
    record = Merge(now.strftime("%Y-%m-%dT%H-%M-%S"), command, folders)
    unfinished = folder / f".{MERGE_FILE}.part"
    try:
        unfinished.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        unfinished.replace(folder / MERGE_FILE)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written ({error.strerror}); name another folder") from error


def read_merge(folder: Path) -> Merge:
    """Return from what a merge was made. Raises StoreError."""
    file = folder / MERGE_FILE
    try:
        return from_document(Merge, parse(file.read_bytes()))
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    except FAULTS as error:
        raise StoreError(f"{file} is damaged: {error!r}") from error


def count_merged(folder: Path) -> Counter[str]:
    """Return how many cells of a merge have which verdict, or were not measured. Raises StoreError."""
    file = folder / REPORT
    try:
        return Counter(str(cell["verdict"] or NOT_MEASURED) for cell in parse(file.read_bytes())["cells"])
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    except FAULTS as error:
        raise StoreError(f"{file} is not the report of a merge: {error!r:.200}") from error


def merged_folders(folder: Path) -> list[Path]:
    """Return the folders that a merge was made from. Raises StoreError, UsageError when one is not there any more."""
    folders = [Path(os.path.normpath(folder / each)) for each in read_merge(folder).folders]
    gone = [each for each in folders if not each.is_dir()]
    if gone:
        lost = f"{gone[0]}, which is not there any more"
        raise UsageError(f"{folder} was merged from {lost}; only its report.html is left")
    return folders


def linked_reports(page: str, folder: Path) -> tuple[str, list[Path]]:
    """Return a merge's page with a number in place of each link to a run's report, and those reports by number.

    The runs of a merge may be anywhere, and a server has no link to them.
    """
    links = list(dict.fromkeys(_LINK.findall(page)))
    numbered = _LINK.sub(lambda found: f'href="{links.index(found[1])}/report.html"', page)
    return numbered, [Path(os.path.normpath(folder / unquote(unescape(link)))) for link in links]


def remove_merge(folder: Path) -> None:
    """Remove what a merge wrote, and its folder if nothing else is in it. Raises OSError."""
    for name in (MERGE_FILE, *MATRIX_REPORTS):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
