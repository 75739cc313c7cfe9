"""The folders of runs: a new one, the newest one, all of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from soak.errors import StoreError, UsageError
from soak.store.database import FILE_NAME, RunStore

LATEST = "latest"


def new_run_folder(out: Path, now: datetime) -> Path:
    """Make the folder of a run that starts now, named by the time. Raises UsageError where nothing can be written."""
    name = now.strftime("%Y-%m-%dT%H-%M-%S")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):
            folder = out / (name if attempt == 1 else f"{name}.{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageError(f"--out {out}: no run can be kept there ({error.strerror}); name another folder") from error
    raise UsageError(f"--out {out}: a thousand runs of {name} are there already")


def list_runs(out: Path) -> list[Path]:
    """Return the folders of all runs under ``out``, oldest first."""
    if not out.is_dir():
        return []
    return sorted((file.parent for file in out.glob(f"*/{FILE_NAME}")), key=_when)


def _when(folder: Path) -> tuple[str, int, str]:
    """Order folders by the time in their names, then by the number behind it: .10 follows .9."""
    time, _, attempt = folder.name.partition(".")
    return time, int(attempt) if attempt.isdecimal() else 1, folder.name


def find_run(text: str, out: Path) -> Path:
    """Return the folder that ``text`` names: ``latest``, a path, or a name under ``out``. Raises UsageError."""
    if text == LATEST:
        runs = list_runs(out)
        if not runs:
            raise UsageError(f"there are no runs under {out}")
        return runs[-1]
    for folder in (Path(text), out / text):
        if (folder / FILE_NAME).is_file():
            return folder.resolve()
    raise UsageError(f"{text!r} is no run: neither {text}/{FILE_NAME} nor {out / text / FILE_NAME} exists")


def open_run(folder: Path) -> RunStore:
    """Open an existing run. Raises StoreError when it cannot be read."""
    return RunStore(folder / FILE_NAME, create=False)


def create_run(folder: Path) -> RunStore:
    """Make the database of a new run. Raises UsageError where it cannot be written."""
    try:
        return RunStore(folder / FILE_NAME, create=True)
    except StoreError as error:
        raise UsageError(f"--out {folder.parent}: no run can be kept there ({error})") from error
