"""Whose memory a line of text tells: its process or its worker, where the line names one."""

from __future__ import annotations

import re

_PID = re.compile(r"(?i:\bpid[ =:]*|\bprocess[ =:#]+|\w\[|^\[)(\d{1,7})\b\]?")
_WORKER = re.compile(r"(?i:\b(?:worker|rank|gpu|replica|shard)[-_ #=:]*\d{1,6}\b)")


def speakers_of(line: str) -> dict[str, str]:
    """Return the pid and the worker that a line names: ``app[4711]: worker-3 …``; empty if it names none."""
    pid, worker = _PID.search(line), _WORKER.search(line)
    return ({"pid": pid[1]} if pid else {}) | ({"worker": worker[0]} if worker else {})
