"""``profile.json``: the results of ``soak profile``, beside the profiles.

It holds no verdicts, so it is not a ``run.db``. For commands that read verdicts, ``latest`` is the newest run with
verdicts.
"""

from __future__ import annotations

import json
from pathlib import Path

from soak.documents import FAULTS, from_document, parse, to_document
from soak.errors import StoreError, UsageError
from soak.profiles import ProfileRun
from soak.store.profile_files import read_regular
from soak.store.runs import LATEST, list_runs_and_matrices, when

FILE_NAME = "profile.json"
_LARGEST_BYTES = 64 * 2**20


def write_profile_run(run: ProfileRun, folder: Path) -> None:
    """Write what was found so far, in place of what was written before. Raises StoreError."""
    path = folder / FILE_NAME
    unfinished = path.with_name(f".{FILE_NAME}.part")
    try:
        unfinished.write_text(json.dumps(to_document(run), indent=1), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def read_profile_run(folder: Path) -> ProfileRun:
    """Read it back. Raises SoakError when it is missing or damaged."""
    path = folder / FILE_NAME
    try:
        return from_document(ProfileRun, parse(read_regular(path, _LARGEST_BYTES)))
    except FAULTS as error:
        raise StoreError(f"{path} is damaged: {error!r}") from error


def list_viewable(out: Path) -> list[Path]:
    """Return the folders under ``out`` that hold a run, a matrix or a run of profiles, oldest first."""
    profiled = {file.parent for file in out.glob(f"*/{FILE_NAME}")}
    return sorted(profiled | set(list_runs_and_matrices(out)), key=when)


def find_viewable(text: str, out: Path) -> Path:
    """Return the folder of a run of any kind, or of a matrix, that ``text`` names. Raises UsageError."""
    if text == LATEST:
        folders = list_viewable(out)
        if not folders:
            raise UsageError(f"there are no runs under {out}; soak run or soak profile makes one")
        return folders[-1]
    for folder in (Path(text), out / text):
        if folder.resolve() in list_viewable(folder.resolve().parent):
            return folder.resolve()
    raise UsageError(f"{text!r} is not a run: there is none in {text} or {out / text}")
