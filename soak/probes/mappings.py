"""The mappings of a process, as /proc/PID/maps and /proc/PID/smaps list them (Linux)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LINE = r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)$"
_MAPPING = re.compile(_LINE, re.MULTILINE)
_MAPPING_WITH_RSS = re.compile(_LINE + r"\n(?:[A-Z].*\n)*?Rss: +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Mapping:
    """One mapping of a process."""

    start: int
    end: int
    permissions: str
    """As the kernel writes them: ``rw-p``."""
    path: str
    """The mapped file, or a name such as ``[stack]``; empty for anonymous memory."""


def maps_reader(pid: int) -> Callable[[], str]:
    """Return a function that reads /proc/PID/maps: nothing of a process that has ended."""

    def read() -> str:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
        return ""

    return read


def parse_maps(text: str) -> list[Mapping]:
    """Return what /proc/PID/maps lists, by address."""
    return [_mapping(*fields) for fields in _MAPPING.findall(text)]


def parse_smaps(text: str) -> list[tuple[Mapping, int]]:
    """Return what /proc/PID/smaps lists, by address, each with its resident bytes."""
    return [(_mapping(*fields), int(rss) * 1024) for *fields, rss in _MAPPING_WITH_RSS.findall(text)]


def _mapping(start: str, end: str, permissions: str, path: str) -> Mapping:
    return Mapping(int(start, 16), int(end, 16), permissions, path)
