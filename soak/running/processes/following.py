"""Follow the processes that a program has started: find the tracker's tables in each, and count them by role."""

from __future__ import annotations

import time
from collections.abc import Sequence

from soak.analysis.evidence import JudgedRole
from soak.probes.descendants import Descendant
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.followed import Followed
from soak.probes.ledgers.tables import LiveTables
from soak.running.clock import Clock
from soak.running.processes.role import Identity, Role, RoleKey, SeenRole, key_of, opened
from soak.running.time_share import TimeShare
from soak.settings import ComponentPlan
from soak.verdict import Verdict

_COUNT_SHARE, _FREE_S = 0.5, 5.0
"""Part of the time that counting in other processes may take, while the program waits at its checkpoint.

Mostly it is done at each checkpoint, like the counting in the program itself: it takes some 5 ms for a process, and the
loop spaces its checkpoints by what they take. This limit is for large processes. What counting takes is processor time:
on a busy machine it waits for its turn, and readings that are left out then leave roles undecided.
"""
_EARLY_CYCLES, _EARLY_SPACING, _LARGEST_SPACING = 48, 8, 40
"""The rule needs readings no further apart than a 34th of the cycles; the first of them it hardly looks at."""
_MOST_PROCESSES = 32


class FollowedProcesses:
    """The processes in which the tracker counts, by role."""

    def __init__(self, announcements: Announcements | None, root: int, clock: Clock, plan: ComponentPlan) -> None:
        """Begin with none.

        ``announcements``: where processes tell where their tables are; None to follow none.

        ``root``: the number of the process whose descendants are followed.
        """
        self._root = root
        self._followed = None if announcements is None else Followed(announcements)
        self._clock, self._tolerance_bytes = clock, plan.tolerance_bytes
        self._counting = TimeShare(_COUNT_SHARE, free_s=_FREE_S)
        self._roles: dict[RoleKey, Role] = {}
        self._role_of: dict[Identity, RoleKey] = {}
        self._n_min: tuple[int, bool] | None = None
        self._spacing = _Spacing()
        self.has_new_look = False
        """Whether the proof of CLEAN of some role looked at what was read at this checkpoint."""
        self.cycle = 0
        """The cycle of the checkpoint at which processes are taken in and counted."""

    def fix_n_min(self, n_min: int, *, asked_for: bool) -> None:
        """Fix n_min, or lower it, for all roles. ``asked_for``: it is the user's."""
        self._n_min = n_min, asked_for
        for role in self._roles.values():
            role.fix_n_min(n_min, asked_for=asked_for)

    def update(self, living: Sequence[Descendant]) -> list[Descendant]:
        """Take in who lives, parents first; return those in which the tracker does not count."""
        if self._followed is None:
            return list(living)
        uncounted, seen = [], set()
        for process in living:
            identity = process.pid, process.started
            places = self._followed.places(process)
            if places is not None and identity in self._role_of:
                known = self._roles[self._role_of[identity]].members[identity]
                if known.tables.places.started_ns == places.started_ns:
                    seen.add(identity)
                    continue
            tables = None if places is None or len(self._role_of) >= _MOST_PROCESSES else opened(places)
            if tables is None:
                uncounted.append(process)
                continue
            self._forget(identity)
            self._join(identity, process, tables)
            seen.add(identity)
        for identity in set(self._role_of) - seen:
            self._forget(identity)
        self._followed.forget_ended({self._root, *(process.pid for process in living)})
        return uncounted

    @property
    def sums(self) -> dict[str, float]:
        """What all processes held when they were counted last, as a signal; nothing before there are any."""
        return {"children_tracked": sum(role.tracked_bytes for role in self._roles.values())} if self._roles else {}

    def read(self, at_s: float) -> None:
        """Count in all processes, where that is due."""
        begun_s, begun_cpu_s = self._clock.now_s(), time.thread_time()
        self.has_new_look = False
        if self._roles and self._counting.is_due(begun_s) and self._spacing.is_due(self.cycle):
            for role in self._roles.values():
                role.read(self.cycle, at_s, collect=True)
            self.has_new_look = any(role.has_new_look for role in self._roles.values())
            self._counting.spend(begun_s, time.thread_time() - begun_cpu_s)

    def judge(self, longest: int, *, is_last: bool = False) -> tuple[JudgedRole, ...]:
        """Decide on each role: on one of which no process lives any more, only where it leaked."""
        judged = [(role, role.judge(longest, is_last=is_last)) for role in self._roles.values()]
        return tuple(one for role, one in judged if role.members or one.role.verdict is Verdict.LEAK)

    def finish(self) -> tuple[SeenRole, ...]:
        """Return what was seen of each role, as it was judged last."""
        found = (role.finish() for role in self._roles.values())
        return tuple(seen for seen in found if seen is not None)

    def close(self) -> None:
        """Close all tables."""
        for role in self._roles.values():
            role.close()

    def _join(self, identity: Identity, process: Descendant, tables: LiveTables) -> None:
        key = key_of(process, tables, self._role_of)
        if key not in self._roles:
            role = self._roles[key] = Role(process.command, self.cycle, self._tolerance_bytes)
            if self._n_min is not None:
                n_min, asked_for = self._n_min
                role.fix_n_min(n_min, asked_for=asked_for)
        self._roles[key].join(identity, process, tables, self.cycle)
        self._role_of[identity] = key

    def _forget(self, identity: Identity) -> None:
        key = self._role_of.pop(identity, None)
        if key is not None:
            self._roles[key].leave(identity)


class _Spacing:
    """Chooses checkpoints at which other processes are counted: as many as the rule needs, and no more."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._before = self._counted = 0

    def is_due(self, cycle: int) -> bool:
        """Tell whether to count at this checkpoint: the next one, as far away as the last, would be too late."""
        if self._first is None:
            self._first = self._before = self._counted = cycle
            return True
        since, following = cycle - self._first, cycle + (cycle - self._before)
        self._before = cycle
        widest = _EARLY_SPACING if since < _EARLY_CYCLES else since / _LARGEST_SPACING
        if following - self._counted <= widest:
            return False
        self._counted = cycle
        return True
