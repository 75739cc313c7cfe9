"""An empty cycle, in a process that writes down its mappings before the first cycle."""

from __future__ import annotations


def setup(file: str) -> None:
    """Copy this process's ``smaps`` to a file."""
    with open("/proc/self/smaps", "rb") as maps, open(file, "wb") as copy:  # noqa: PTH123 - pathlib would be resident
        copy.write(maps.read())


def cycle(_: None) -> None:
    """Do nothing."""
