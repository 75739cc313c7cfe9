"""What a measured process creates in its cycles and does not remove: counted from outside, with who created it."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from soak.attribution.causes import Call
from soak.attribution.opened_causes import StillOpen
from soak.native.layout import CREATED_MOVED, CREATED_PATH, CREATED_REPLACING
from soak.native.ledger import Creation
from soak.probes.inventory import MOST_LISTED, OpenItem
from soak.probes.left_behind import LEFT_BEHIND, Presence, name_of, type_of
from soak.running.clock import Clock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.time_share import TimeShare

_SHARE, _FREE_S = 0.02, 0.5
"""Of the time that asking for what is there may take, in CPU time; the process waits meanwhile."""
_MOST_FOLLOWED, _MOST_FILES = 65_536, 4096
_PATHS = (CREATED_PATH, CREATED_MOVED, CREATED_REPLACING)
_Key = tuple[int, str]
"""What tells a thing from others: its path, or its kind and name."""


class LeftBehind:
    """Takes over what the tracker recorded, and counts at checkpoints what of it is still there."""

    def __init__(self, ledger: LedgerReader, clock: Clock, working_folder: str) -> None:
        """Begin with nothing. Files below ``working_folder`` count only by their names (see docs/verdict.md)."""
        self._ledger = ledger
        self._clock = clock
        self._working_folder = working_folder
        self._asking = TimeShare(_SHARE, free_s=_FREE_S)
        self._things: dict[_Key, Creation] = {}
        self._types: dict[_Key, str] = {}
        """Of those that count; the others are files that the program may be meant to keep."""
        self._more_files = 0
        """How many of these were created and are not followed, because there are so many."""
        self._has_begun = False
        self.lost = 0
        """How many creations were not recorded, for want of room."""

    def read(self, cycle: int) -> dict[str, float]:
        """Return how many things there are, by signal; nothing if that is not recorded or would take too long."""
        if not self._take(cycle) or len(self._things) > _MOST_FOLLOWED:
            return {}
        begun_s, begun_cpu_s = self._clock.now_s(), time.thread_time()
        if not self._asking.is_due(begun_s):
            return {}
        self._forget_what_is_gone()
        self._asking.spend(begun_s, time.thread_time() - begun_cpu_s)
        return {"left_behind": float(len(self._types)), "kept_files": float(self.kept_files)}

    @property
    def kept_files(self) -> int:
        """How many files are there that the program may be meant to keep; of some thousands, how many were created."""
        return len(self._things) - len(self._types) + self._more_files

    def look(self, cycle: int) -> None:
        """Take stock of what is there now, however long it takes."""
        if self._take(cycle):
            self._forget_what_is_gone()

    def still_there(self) -> tuple[StillOpen, ...]:
        """Return what was there at the last look, oldest first, with who created it; the ledger must be open."""
        stacks: dict[int, tuple[Call, ...]] = {}
        found = []
        for key, type_ in list(self._types.items())[-MOST_LISTED:]:
            creation = self._things[key]
            if creation.site not in stacks:
                stacks[creation.site] = self._ledger.stack_of(creation.site) if creation.site else ()
            item = OpenItem(LEFT_BEHIND, creation.number, type_, name_of(creation))
            found.append(StillOpen(item, stacks[creation.site]))
        return tuple(found)

    def _take(self, cycle: int) -> bool:
        """Take over what is new; return whether that is recorded at all."""
        taken = self._ledger.take_creations()
        if taken is None:
            return False
        self.lost = taken.lost
        known = self._inodes() if any(each.kind == CREATED_MOVED for each in taken.new) else frozenset()
        for creation in taken.new:
            # A forked child does not know the cycle; what it created before the first one is no part of the cycles.
            if self._has_begun or not creation.is_forked:
                self._add(creation if not creation.is_forked else replace(creation, cycle=cycle), known)
        self._has_begun = True
        return True

    def _add(self, creation: Creation, known: frozenset[tuple[int, int]]) -> None:
        """Take in one thing. ``known``: the inodes of what the process has created before."""
        if creation.kind in _PATHS:
            creation = replace(creation, name=os.path.normpath(creation.name))
        key = _key(creation)
        # What is moved, or replaces something, may be of another program.
        is_moved = creation.kind == CREATED_MOVED and _inode(creation) in known
        if creation.kind in (CREATED_MOVED, CREATED_REPLACING) and not is_moved and key not in self._things:
            return
        if creation.kind in _PATHS and self._is_inside_of_another(creation):
            return
        self._drop(key)  # so that the newest comes last
        type_ = type_of(creation, self._working_folder)
        if type_ is not None:
            self._types[key] = type_
        elif len(self._things) - len(self._types) >= _MOST_FILES:
            self._more_files += 1
            return
        self._things[key] = creation

    def _inodes(self) -> frozenset[tuple[int, int]]:
        return frozenset(_inode(creation) for key, creation in self._things.items() if key[0] == CREATED_PATH)

    def _is_inside_of_another(self, creation: Creation) -> bool:
        """Whether it is in a folder that the same cycle created: they are one thing."""
        folder = creation.name
        while folder := folder.rpartition("/")[0]:
            outer = self._things.get((CREATED_PATH, folder))
            if outer is not None and outer.cycle == creation.cycle:
                return True
        return False

    def _forget_what_is_gone(self) -> None:
        presence = Presence()
        for key in [key for key, creation in self._things.items() if not presence.has(creation)]:
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        self._things.pop(key, None)
        self._types.pop(key, None)


def _inode(creation: Creation) -> tuple[int, int]:
    return creation.device, creation.number


def _key(creation: Creation) -> _Key:
    return (CREATED_PATH if creation.kind in _PATHS else creation.kind, name_of(creation))
