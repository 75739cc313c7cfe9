"""Profiles on disk: read by a guarded process, added up, written."""

from __future__ import annotations

import json
import os
import pstats
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from soak.errors import SoakError
from soak.profiles import Statistics
from soak.store import profile_reader

_LONGEST_S = 60.0


def load_profile(path: Path) -> Statistics:
    """Return what a .prof holds, without ever unmarshalling it in this process (see `profile_reader`).

    ``path`` itself must be a regular file, no link. Raises SoakError with the reason when it cannot be read, is too
    large, is no profile, or asks for more than the reader may use.
    """
    descriptor = _open_regular(path)
    try:
        if os.fstat(descriptor).st_size > profile_reader.FILE_BYTES:
            raise SoakError(f"{path} is not opened: it is larger than {profile_reader.FILE_BYTES >> 20} MiB")
        return _read_guarded(descriptor, path)
    finally:
        os.close(descriptor)


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return a file's content. Raises SoakError when it is not a regular file, is larger, or cannot be read."""
    with os.fdopen(_open_regular(path), "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise SoakError(f"{path} is not opened: it is larger than {most_bytes >> 20} MiB")
    return content


def add_profiles(profiles: Iterable[Statistics]) -> Statistics:
    """Return the sum of profiles, by pstats."""
    merged = pstats.Stats()
    for profile in profiles:
        merged.add(to_pstats(profile))
    return merged.stats  # type: ignore[attr-defined,no-any-return]  # the stubs leave it out


def to_pstats(profile: Statistics) -> pstats.Stats:
    """Return the profile as the standard library's class."""
    stats: Any = pstats.Stats()
    stats.stats = dict(profile)
    stats.get_top_level_stats()
    return stats  # type: ignore[no-any-return]  # Any, for the stubs leave its attributes out


def write_profile(profile: Statistics, path: Path) -> None:
    """Write a .prof for pstats, SnakeViz and everybody else."""
    try:
        to_pstats(profile).dump_stats(path)
    except OSError as error:
        raise SoakError(f"{path} cannot be written: {error.strerror}") from error


def _open_regular(path: Path) -> int:
    try:
        # A named pipe would block the opening, and a link could lead anywhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SoakError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SoakError(f"{path} is not opened: it is not a regular file")
    return descriptor


def _read_guarded(descriptor: int, path: Path) -> Statistics:
    with tempfile.TemporaryFile() as answer:
        try:
            reader = subprocess.run(
                [sys.executable, "-I", "-S", profile_reader.__file__],
                stdin=descriptor,
                stdout=answer,
                stderr=subprocess.PIPE,
                timeout=_LONGEST_S,
                check=False,
                env={},
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SoakError(f"{path} cannot be read: its reader {type(error).__name__}") from error
        if reader.returncode:
            lines = reader.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = lines[-1] if reader.returncode == 1 and lines else "its reader was ended by a limit"
            raise SoakError(f"{path} cannot be read: {reason}")
        answer.seek(0)
        return statistics_of(answer.read(profile_reader.OUTPUT_BYTES + 1))


def statistics_of(answer: bytes) -> Statistics:
    """Return the profile that `soak.store.profile_reader` wrote."""
    rows = json.loads(answer)
    keys = [(file, line, name) for file, line, name, *_ in rows]
    return {
        key: (*row[3:7], {keys[caller]: (*share,) for caller, *share in row[7]})
        for key, row in zip(keys, rows, strict=True)
    }
