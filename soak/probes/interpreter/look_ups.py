"""Find the names that CPython's cache of attribute look-ups alone keeps, in a program while it runs.

C code that looks an attribute up by a string of C makes a new name each time, which the cache keeps until its entry is
used again. The cache is an array of 4,096 entries: the version of a type, the name, what was found. It is a variable of
the interpreter, but for CPython 3.10, where it is not found.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from soak.probes.mappings import Mapping
from soak.probes.memory import ProcessMemory

_ENTRIES, _ENTRY_WORDS, _NAME_WORD = 4096, 3, 1
_MOST_VARIABLES_BYTES = 64 << 20
_INTERPRETER = ("python", "libpython")
_VERSION_LIMIT = np.uint64(1 << 32)


def are_cached_names(memory: ProcessMemory, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which of some blocks ``(n,)`` are names that only the cache refers to."""
    found = np.isin(addresses, _names(memory)) if len(addresses) else np.zeros(0, np.bool_)
    for position in np.flatnonzero(found).tolist():
        references = memory.read(int(addresses[position]), 1)
        found[position] = len(references) == 1 and references[0] == 1
    return found


def _names(memory: ProcessMemory) -> NDArray[np.uint64]:
    """Return what the name of each entry refers to; nothing where the cache is not found, or the process has ended."""
    found, mappings = [np.zeros(0, np.uint64)], list[Mapping]()
    with contextlib.suppress(OSError):
        mappings = memory.mappings()
    for start, end in _variables(mappings):
        words = memory.read(start, (end - start) // 8)
        is_version = words < _VERSION_LIMIT
        for first in range(_ENTRY_WORDS):
            # Of each entry the first word is a version. No other array of the interpreter is like that for so long.
            versions = is_version[first::_ENTRY_WORDS]
            breaks = np.flatnonzero(~versions)
            lengths = np.diff(np.concatenate(([-1], breaks, [len(versions)]))) - 1
            is_long = np.repeat(lengths >= _ENTRIES, lengths + 1)[:-1] & versions
            of_entries = np.flatnonzero(is_long) * _ENTRY_WORDS + first
            of_entries = of_entries[(of_entries + _NAME_WORD < len(words)) & (words[of_entries] > 0)]
            found.append(words[of_entries + _NAME_WORD])
    return np.concatenate(found)


def _variables(mappings: list[Mapping]) -> list[tuple[int, int]]:
    """Return the ranges of the interpreter's variables: with values at its start, and behind them those without."""
    found = []
    for number, mapping in enumerate(mappings):
        is_interpreter = mapping.path.rpartition("/")[2].startswith(_INTERPRETER)
        if not is_interpreter or not mapping.permissions.startswith("rw"):
            continue
        behind = mappings[number + 1] if number + 1 < len(mappings) else None
        is_joined = behind is not None and behind.start == mapping.end and not behind.path
        end = behind.end if behind is not None and is_joined else mapping.end
        if end - mapping.start <= _MOST_VARIABLES_BYTES:
            found.append((mapping.start, end))
    return found
