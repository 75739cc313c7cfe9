"""The folders of runs and of matrices (fleets and merges of runs): create one, find one, list or remove them."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from soak.errors import StoreError, UsageError
from soak.results import RunResult
from soak.store.database import FILE_NAME, RunStore
from soak.store.merges import MERGE_FILE, is_merge, read_merge, remove_merge

LATEST = "latest"
FLEET_FILE = "fleet.json"
"""What makes a folder that of a fleet."""
_LOCK_ATTEMPTS, _LOCK_PAUSE_S = 5, 0.02
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""The errors of file systems without locks. On these, a run is not locked."""


def new_run_folder(out: Path, now: datetime) -> Path:
    """Create the folder of a run that starts now; its name is the time. Raises UsageError when that fails."""
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
        raise UsageError(f"--out {out}: cannot write a run there ({error.strerror}); name another folder") from error
    raise UsageError(f"--out {out}: there are a thousand runs of {name} already")


def list_runs(out: Path) -> list[Path]:
    """Return the folders of all runs under ``out``, oldest first."""
    if not out.is_dir():
        return []
    return sorted((file.parent for file in out.glob(f"*/{FILE_NAME}")), key=when)


def is_fleet(folder: Path) -> bool:
    """Tell whether a folder is that of a fleet, which has a run for each cell."""
    return (folder / FLEET_FILE).is_file()


def is_matrix(folder: Path) -> bool:
    """Tell whether a folder is that of many runs: of a fleet, or of a merge."""
    return is_fleet(folder) or is_merge(folder)


def list_runs_and_matrices(out: Path) -> list[Path]:
    """Return the folders of all runs, fleets and merges under ``out``, oldest first."""
    if not out.is_dir():
        return []
    matrices = [file.parent for name in (FLEET_FILE, MERGE_FILE) for file in out.glob(f"*/{name}")]
    return sorted({*list_runs(out), *matrices}, key=when)


def when(folder: Path) -> tuple[str, int, str]:
    """Return the key by which folders are sorted: the time in their names, then the number after it (.10 follows .9).

    The user names the folder of a merge, so its time is in a file there.
    """
    name = folder.name
    if is_merge(folder):
        with contextlib.suppress(StoreError):
            name = read_merge(folder).merged
    time, _, attempt = name.partition(".")
    return time, int(attempt) if attempt.isdecimal() else 1, folder.name


def find_run(text: str, out: Path) -> Path:
    """Return the folder that ``text`` names: ``latest``, a path, or a name under ``out``. Raises UsageError."""
    folder = find_run_or_matrix(text, out)
    if is_fleet(folder):
        raise UsageError(f"{folder} is a matrix of several runs; name one of its runs: {folder}/CELL")
    if is_merge(folder):
        raise UsageError(f"{folder} is the merged report of several runs; name one of them, as its report.json does")
    return folder


def find_run_or_matrix(text: str, out: Path) -> Path:
    """Return the folder that ``text`` names, as `find_run` does; it may be that of a matrix. Raises UsageError."""
    if text == LATEST:
        folders = list_runs_and_matrices(out)
        if not folders:
            raise UsageError(f"there are no runs under {out}")
        return folders[-1]
    for folder in (Path(text), out / text):
        if (folder / FILE_NAME).is_file() or is_matrix(folder):
            return folder.resolve()
    raise UsageError(f"{text!r} is not a run: neither {text}/{FILE_NAME} nor {out / text / FILE_NAME} exists")


def open_run(folder: Path) -> RunStore:
    """Open an existing run. Raises StoreError when it cannot be read."""
    return RunStore(folder / FILE_NAME, create=False)


def create_run(folder: Path, **facts: Any) -> RunStore:
    """Create the database of a new run, with its first facts. Raises UsageError when it cannot be written.

    It gets its name when it is complete. So a kill at any moment leaves a whole run, or none.
    """
    unfinished = folder / f".{FILE_NAME}.part"
    try:
        with RunStore(unfinished, create=True) as store:
            store.write_facts(**facts)
        unfinished.replace(folder / FILE_NAME)
        return open_run(folder)
    except (OSError, StoreError) as error:
        raise UsageError(f"--out {folder.parent}: cannot write a run there ({error})") from error


def read_as_it_stands(folder: Path) -> RunResult:
    """Return a run with what can be said so far of components at work. Raises StoreError when it cannot be read."""
    is_running = is_being_measured(folder)
    with open_run(folder) as store:
        return dataclasses.replace(store.read_run(so_far=True), is_running=is_running)


def is_being_measured(folder: Path) -> bool:
    """Say whether a process measures a run now. Where the file system has no locks this is not known: False."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock a run while it is measured, so that no other process measures into it or removes it.

    The kernel releases the lock when this process ends in any way. Raises UsageError when another process has it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{folder} cannot be opened: {error.strerror}") from error
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever asks whether the run is being measured holds its lock for a moment.
            if attempt < _LOCK_ATTEMPTS - 1:
                time.sleep(_LOCK_PAUSE_S)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UsageError(f"{folder} cannot be locked: {error.strerror}") from error
            return None
    raise UsageError(f"{folder} is being measured by another soak")


def remove_run(folder: Path, *, dry_run: bool) -> None:
    """Remove the folder of a run or a matrix; with ``dry_run``, only check that it can be removed.

    Of a merge what it wrote: the user named its folder, which may have anything else in it.

    Raises StoreError when ``folder`` is a link or holds no run of soak, UsageError when the run is being measured.
    """
    if folder.is_symlink():
        raise StoreError(f"{folder} is a link")
    if not is_matrix(folder):
        open_run(folder).close()
    with claimed(folder):
        if dry_run:
            return
        try:
            if is_merge(folder):
                remove_merge(folder)
                return
            # These first: a folder that is removed only in part is then no run, and no fleet, any more.
            for name in (FLEET_FILE, FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be removed: {error.strerror}") from error
