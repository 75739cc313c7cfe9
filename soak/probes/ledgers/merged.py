"""The ledgers of several processes as that of one: their live blocks added up, call site by call site.

A site has another number in each process, and a native one another address. Here a site is what it is in the source:
the Python instruction, or the place in a module. Modules get addresses of their own, which `MergedLedger.maps` tells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soak.analysis.notes import PairedNotes
from soak.analysis.sites.labels import LabelledBlocks
from soak.native.layout import (
    NATIVE_SITE,
    PYTHON_SITE,
    RANGE,
    ROW,
    SITE,
    STACK_SITE,
    STATE_NO_PYTHON,
    STATE_PYTHON_DOMAINS,
    UNKNOWN_SITE,
)
from soak.native.ledger import Checkpoint, Frame, SiteTable
from soak.probes.ledgers.ended import EndedGrowth, Life
from soak.probes.ledgers.tables import CountedProcess, LiveTables, OneProcess, WatchedTables
from soak.probes.mappings import Mapping, parse_maps

_MODULES_FROM, _MODULE_SIZE = 1 << 50, 1 << 32
"""Above all addresses of processes, so that an address of no module stays what it is."""
_NOT_YET = 1 << 60
"""More marks than there will ever be."""
_SUMS = ("live_blocks", "live_bytes", "unlisted_blocks", "unlisted_bytes", "lost_blocks", "lost_sites", "lost_mappings")


class Modules:
    """One address space for the modules of several processes."""

    def __init__(self) -> None:
        self._bases: dict[str, int] = {}

    def base_of(self, path: str) -> int:
        """Return where a module is."""
        return self._bases.setdefault(path, _MODULES_FROM + len(self._bases) * _MODULE_SIZE)

    def maps(self) -> str:
        """Return the modules as /proc/PID/maps would list them."""
        lines = (f"{base:x}-{base + _MODULE_SIZE:x} r-xp 0 00:00 0 {path}\n" for path, base in self._bases.items())
        return "".join(lines)


class _Member:
    """One process: its ledger, and what its sites are in all of them."""

    def __init__(self, ledger: WatchedTables, modules: Modules, all_marks: int) -> None:
        self.ledger = ledger
        self.first_marks = self.marks = ledger.marks()
        self.notes = PairedNotes()
        """At each reading: how often it had marked since it was added, and how often all processes had."""
        self.notes.add(0, all_marks)
        self.numbers = np.zeros(0, np.int64)
        """By its own number of a site: the merged one; 0 where it was not asked for yet."""
        self.buckets: NDArray[np.int64] | None = None
        """By its own number of a bucket: the merged one, as of the latest checkpoint; None where they are the same."""
        self._modules = modules
        self._mappings: list[Mapping] = []
        self._starts: list[int] = []
        self._first: dict[str, int] = {}
        self.life = Life()

    def note_marks(self, of_all: int) -> None:
        """Take note of how often all processes had marked when this one had as often as was read last."""
        own = self.marks - self.first_marks
        if own > self.notes.first[-1]:
            self.notes.add(own, of_all)

    def spans(self, checkpoint: Checkpoint, first: int) -> NDArray[np.int64]:
        """Return between which marks of all processes the blocks of each bucket were born, ``(buckets, 2)``.

        Marks are counted from mark ``first``. Bucket 0 holds the blocks from before it.
        """
        own = self.notes.first
        before = np.searchsorted(own, checkpoint.births_from, side="left") - 1
        after = np.searchsorted(own, checkpoint.births_end, side="right")
        ends = np.array([*self.notes.second, _NOT_YET], np.int64)
        spans: NDArray[np.int64] = np.maximum(np.stack([ends[np.maximum(before, 0)], ends[after]], 1) - first, 0)
        spans[0] = 0
        return spans

    def forget_mappings(self) -> None:
        """Read the mappings again where they are wanted: modules may have been added."""
        self._mappings = []

    def frame(self, frame: Frame) -> Frame:
        """Return a frame with its address in the space of all processes."""
        return frame if frame.address is None else replace(frame, address=self._shared(frame.address))

    def numbers_of(self, sites: Collection[int]) -> list[int]:
        """Return its own numbers of merged sites."""
        found: list[int] = np.flatnonzero(np.isin(self.numbers, list(sites)) & (self.numbers > UNKNOWN_SITE)).tolist()
        return found

    def number_of(self, site: int) -> int:
        """Return the merged number of one of its own sites; 0 where it was not asked for yet."""
        return int(self.numbers[site]) if site < len(self.numbers) else 0

    def _shared(self, address: int) -> int:
        if not self._mappings:
            self._mappings = parse_maps(self.ledger.maps())
            self._starts = [mapping.start for mapping in self._mappings]
            self._first = {}
            for mapping in self._mappings:
                self._first.setdefault(mapping.path, mapping.start)
        position = bisect_right(self._starts, address) - 1
        if position < 0 or address > self._mappings[position].end:
            return address
        path = self._mappings[position].path
        return self._modules.base_of(path) + address - self._first[path] if path.startswith("/") else address


class MergedLedger(WatchedTables):
    """The ledgers of processes that come and go. What a process holds is not held any more when it is removed."""

    def __init__(self) -> None:
        self.cycle = 0
        """The cycle of the next checkpoint."""
        self._members: dict[Hashable, _Member] = {}
        self._modules = Modules()
        self._known: dict[Hashable, int] = {}
        self._sites = np.zeros(UNKNOWN_SITE + 1, SITE)
        self._sites["kind"][UNKNOWN_SITE] = UNKNOWN_SITE
        self._count = UNKNOWN_SITE + 1
        self._places: dict[int, Frame | None] = {}
        self._stacks: dict[int, list[Frame]] = {}
        self._state, self._sequence = 0, 0
        self._marks_before = self._removed = 0
        self._births_from: int | None = None
        self._told_cycle = 0
        self._files: set[str] = set()
        self.ended = EndedGrowth()
        """What the processes that are counted no longer grew by."""
        self.latest: dict[Hashable, Checkpoint] = {}
        """What each process held at the latest checkpoint."""

    @property
    def members(self) -> frozenset[Hashable]:
        """The processes that are counted now."""
        return frozenset(self._members)

    def add(self, member: Hashable, ledger: WatchedTables) -> None:
        """Count a process from the next checkpoint on."""
        self._members[member] = added = _Member(ledger, self._modules, self.marks())
        if self._births_from is not None:
            ledger.count_births_from(added.first_marks)
        elif self._told_cycle:
            ledger.set_cycle(self._told_cycle)

    def remove(self, member: Hashable) -> None:
        """Count a process no longer, and close its ledger."""
        removed = self._members.pop(member)
        self._marks_before += removed.marks - removed.first_marks
        self._removed += 1
        self.ended.add(removed.life)
        removed.ledger.close()

    @property
    def processes(self) -> int:
        """See WatchedTables."""
        return len(self._members)

    def counted(self, checkpoint: Checkpoint) -> list[CountedProcess]:  # noqa: ARG002
        """See WatchedTables."""
        return [
            process._replace(number_of=member.number_of)
            for identity, member in self._members.items()
            if identity in self.latest
            for process in member.ledger.counted(self.latest[identity])
        ]

    @property
    def removed(self) -> int:
        """See WatchedTables."""
        return self._removed

    def kept_per_mark(self, sites: Collection[int]) -> float | None:
        """See WatchedTables; of the lives of all processes, each in its own marks."""
        return self.ended.per_mark(sites) if self._removed else None

    def marks(self) -> int:
        """Return how often all processes have marked since each was added."""
        for member in self._members.values():
            member.marks = max(member.marks, member.ledger.marks())
        of_all = self._marks_before + sum(member.marks - member.first_marks for member in self._members.values())
        for member in self._members.values():
            member.note_marks(of_all)
        return of_all

    def count_births_from(self, mark: int) -> None:
        """See WatchedTables. Births are told in marks of all processes; before this is called in those of each one."""
        self._births_from = mark
        for member in self._members.values():
            member.ledger.count_births_from(member.first_marks)

    def own_mapped(self) -> int:
        """Return the bytes that the tracker itself has mapped in all processes."""
        return sum(member.ledger.own_mapped() for member in self._members.values())

    @property
    def state(self) -> int:
        """What is recorded of every process. A program that is no Python has no blocks of Python to record."""
        return self._state

    def read(self) -> Checkpoint | None:
        """Count what is alive in all processes; None where there are none, or one of them cannot be read now."""
        found = {member: self._members[member].ledger.read() for member in self._members}
        checkpoints = {member: checkpoint for member, checkpoint in found.items() if checkpoint is not None}
        if not checkpoints or len(checkpoints) < len(found):
            return None
        self.latest = checkpoints
        rows = [self._rows_of(self._members[member], checkpoint) for member, checkpoint in checkpoints.items()]
        states = [_coverage(member.ledger.state) for member in self._members.values()]
        self._state = int(np.bitwise_and.reduce(np.array(states)))
        self._sequence += 1
        table = SiteTable(self._sites[: self._count].copy())
        for (identity, _), own in zip(checkpoints.items(), rows, strict=True):
            member = self._members[identity]
            member.life.see(member.marks - member.first_marks, table.owners, own)
        spans = None if self._births_from is None else self._with_spans(checkpoints, rows, self._births_from)
        each = list(checkpoints.values())
        sums: dict[str, Any] = {name: sum(getattr(checkpoint, name) for checkpoint in each) for name in _SUMS}
        return replace(
            each[0],
            sequence=self._sequence,
            cycle=self.cycle,
            shift=0,
            rows=np.concatenate(rows),
            births=np.zeros(0, np.uint64),
            site_table=table,
            ranges=np.zeros(0, RANGE),
            spans=spans,
            **sums,
        )

    def set_cycle(self, cycle: int) -> None:
        """See WatchedTables."""
        self._told_cycle = cycle
        for member in self._members.values():
            member.ledger.set_cycle(cycle)

    def process_of(self, sites: Collection[int], before: int | None = None) -> OneProcess | None:
        """See WatchedTables."""
        found: dict[int, tuple[OneProcess, int]] = {}
        for identity, member in self._members.items():
            own, checkpoint = member.numbers_of(sites), self.latest.get(identity)
            if isinstance(member.ledger, LiveTables) and own and checkpoint is not None:
                rows, numbers = checkpoint.rows, {site: int(member.numbers[site]) for site in own}
                here = np.isin(checkpoint.site_table.owners[rows["site"]], own)
                blocks = int(rows["live_blocks"][here].sum())
                found[member.ledger.pid] = OneProcess(member.ledger, numbers, member.number_of), blocks
        chosen = found.get(before or 0) or max(found.values(), key=lambda process: process[1], default=None)
        return chosen[0] if chosen is not None and chosen[1] else None

    def labelled(self, sites: Collection[int], first: int) -> list[LabelledBlocks]:  # noqa: ARG002
        """See WatchedTables; of each process the marks since it was added."""
        found = []
        for member in self._members.values():
            own = member.numbers_of(sites)
            found += member.ledger.labelled(own, member.first_marks) if own else []
        return found

    def unheld(self, sites: Collection[int]) -> NDArray[np.void]:
        """See WatchedTables."""
        found = [np.zeros(0, ROW)]
        for identity, member in self._members.items():
            own = member.numbers_of(sites) if identity in self.latest else []
            rows = member.ledger.unheld(own) if own else found[0]
            rows["site"] = member.numbers[rows["site"]]
            if member.buckets is not None:
                rows["bucket"] = member.buckets[rows["bucket"]]
            found.append(rows)
        return np.concatenate(found)

    def free_tuples(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """See WatchedTables."""
        found: Counter[int] = Counter()
        for member in self._members.values():
            own: dict[int, Collection[int]] = {number: member.numbers_of(sites) for number, sites in groups.items()}
            found.update(member.ledger.free_tuples(own))
        return dict(found)

    def in_use(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        """See WatchedTables; only what is known of all processes."""
        found: Counter[int] = Counter()
        unknown: set[int] = set()
        for member in self._members.values():
            own = {number: member.numbers_of(sites) for number, sites in groups.items()}
            used = member.ledger.in_use({number: sites for number, sites in own.items() if sites})
            unknown |= {number for number, sites in own.items() if sites and number not in used}
            found.update(used)
        return {number: count for number, count in found.items() if number not in unknown}

    def request_flags(self, sites: list[int]) -> None:
        """Ask every process for stacks at these sites."""
        for member in self._members.values():
            own = member.numbers_of(sites)
            if own:
                member.ledger.request_flags(own)

    def release_flags(self, sites: list[int]) -> bool:
        """Ask every process for no more stacks at these sites."""
        for member in self._members.values():
            member.ledger.release_flags(member.numbers_of(sites))
        return True

    def close(self) -> None:
        """Close the ledgers of all processes."""
        for member in list(self._members):
            self.remove(member)

    def place(self, checkpoint: Checkpoint, site: int) -> Frame | None:  # noqa: ARG002
        """Return where a site is."""
        return self._places.get(site)

    def place_of(self, site: int) -> Frame | None:
        """Return where a site is, also when no process lives any more."""
        return self._places.get(site)

    def stack(self, checkpoint: Checkpoint, site: int) -> list[Frame]:  # noqa: ARG002
        """Return the frames of the site of a stack."""
        return self._stacks.get(site, [])

    def maps(self) -> str:
        """Return where the modules are, as /proc/PID/maps would list them."""
        return self._modules.maps()

    def python_files(self, checkpoint: Checkpoint) -> tuple[str, ...]:  # noqa: ARG002
        """Return the files of all Python sites of all processes, also of those that have ended."""
        for identity, member in self._members.items():
            if identity in self.latest:
                self._files.update(member.ledger.python_files(self.latest[identity]))
        return tuple(sorted(self._files))

    def _string(self, offset: int) -> str:  # noqa: ARG002
        return ""  # places are kept

    def _stack_words(self, at: int) -> tuple[int, ...]:  # noqa: ARG002
        return ()  # stacks are kept

    def _rows_of(self, member: _Member, checkpoint: Checkpoint) -> NDArray[np.void]:
        """Return the rows of one process under the merged numbers."""
        rows: NDArray[np.void] = checkpoint.rows.astype(ROW)
        member.numbers = np.pad(member.numbers, (0, max(len(checkpoint.sites) - len(member.numbers), 0)))
        is_new = member.numbers == 0
        new = np.unique(rows["site"][is_new[rows["site"]]]).tolist()
        if new:
            member.forget_mappings()
            for site in new:
                self._number_of(member, checkpoint, site)
        rows["site"] = member.numbers[rows["site"]]
        return rows

    def _with_spans(
        self, checkpoints: dict[Hashable, Checkpoint], rows: list[NDArray[np.void]], first: int
    ) -> NDArray[np.int64]:
        """Give the rows of each process buckets of marks of all processes after mark ``first``; return their spans."""
        each = [self._members[identity].spans(checkpoint, first) for identity, checkpoint in checkpoints.items()]
        spans = np.concatenate(each)
        order = np.argsort(spans[:, 1], kind="stable")
        number_of = np.argsort(order, kind="stable")
        buckets_of = np.split(number_of, np.cumsum([len(own) for own in each])[:-1])
        for identity, own, buckets in zip(checkpoints, rows, buckets_of, strict=True):
            self._members[identity].buckets = buckets
            own["bucket"] = buckets[own["bucket"]]
        return spans[order]

    def _number_of(self, member: _Member, checkpoint: Checkpoint, site: int) -> int:
        """Return the merged number of a site of a process."""
        if site >= len(checkpoint.sites):
            return UNKNOWN_SITE
        if member.numbers[site]:
            return int(member.numbers[site])
        own, kind = checkpoint.sites[site], int(checkpoint.sites[site]["kind"])
        place, parent = None, 0
        stack: list[Frame] = []
        key: Hashable = kind
        if kind in (NATIVE_SITE, PYTHON_SITE):
            found = member.ledger.place(checkpoint, site)
            place = None if found is None else member.frame(found)
            key = (kind, place, int(own["instruction"]))
        elif kind == STACK_SITE:
            parent = self._number_of(member, checkpoint, int(own["parent"]))
            place = self._places.get(parent)
            stack = [member.frame(frame) for frame in member.ledger.stack(checkpoint, site)]
            key = (kind, parent, tuple(stack))
        number = UNKNOWN_SITE if kind == UNKNOWN_SITE or key == kind else self._known.get(key, 0)
        if not number:
            number = self._known[key] = self._new_site(kind, parent, place, int(own["instruction"]))
            self._stacks[number] = stack
        member.numbers[site] = number
        return number

    def _new_site(self, kind: int, parent: int, place: Frame | None, instruction: int) -> int:
        if self._count == len(self._sites):
            self._sites = np.concatenate([self._sites, np.zeros(len(self._sites) + 64, SITE)])
        number = self._count
        row = self._sites[number : number + 1]
        row["kind"], row["parent"], row["instruction"] = kind, parent, instruction
        self._places[number] = place
        self._count += 1
        return number


def _coverage(state: int) -> int:
    return state | STATE_PYTHON_DOMAINS if state & STATE_NO_PYTHON else state
