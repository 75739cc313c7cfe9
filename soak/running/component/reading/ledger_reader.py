"""The allocation tracker beside a measured process: preloaded, its ledger read at checkpoints, its sites explained."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soak.analysis.falls import Drop
from soak.analysis.sites.later_growth import PARTS, later_growth
from soak.analysis.sites.ledger import Falling, LedgerJudge, Suspect
from soak.analysis.sites.rest import ended_after
from soak.analysis.sites.survivors import SETTLED, WARMED_UP, Cohorts, HalfEmptyTable, SurvivorJudge
from soak.analysis.sites.work import WorkOfOthers
from soak.attribution.causes import Call, GrowingSite, place_of
from soak.attribution.holders import UNSCANNED, Memory, Reachability
from soak.attribution.native.symbols import Symbols
from soak.native.layout import (
    MAPPING,
    PYTHON_MEM,
    PYTHON_OBJ,
    PYTHON_SITE,
    REQUESTS,
    STACK_SITE,
    STATE_FILTERED,
    STATE_NATIVE,
    STATE_OBJECTS,
    STATE_PYTHON_DOMAINS,
)
from soak.native.ledger import Checkpoint, Creations, Frame, Ledger, Opening, Packing
from soak.probes.ledgers.tables import WatchedTables
from soak.results import Place, TrackerState
from soak.running.time_share import TimeShare
from soak.verdict import SeriesVerdict

_BLOCK_DOMAINS = MAPPING  # native, Python mem and Python obj; mappings and pymalloc's arenas come after them
PYTHON_DOMAINS = (1, 2)
_FLAG_AFTER_CYCLES = 24
_FIRST_UNHELD_CYCLE, _UNHELD_SHARE, _MOST_BLOCKS = 448, 0.05, 4_000_000
"""From here on it is asked at looks what no program holds, for this part of a processor. All blocks are read for that,
which takes a hundred bytes each, so not where there are more."""
_STEADY_SHARE, _QUARTERS = 0.5, 4
_MOST_STACKS = 4
_RESIDENT = frozenset(("rss", "pss", "uss"))
_LARGE_BYTES, _MOST_LARGE = 1024, 4
"""A table that is smaller changes no verdict."""
FindHalfEmpty = Callable[[Checkpoint, Collection[int]], list[HalfEmptyTable]]


@dataclass(frozen=True)
class Tracked:
    """What the tracker saw of one component."""

    state: TrackerState
    complete: bool
    """Nothing was lost for want of room, so the ledger can prove that nothing grows."""
    sites: tuple[GrowingSite, ...]
    maps: str
    """/proc/PID/maps of the measured process while it ran."""
    memory: Memory | None = None
    """What was mapped when the memory was last scanned."""
    places: Mapping[int, Call | None] = field(default_factory=dict)
    """Where the sites are that were asked for."""


class LedgerReader:
    """Reads one process's ledger while it runs."""

    def __init__(
        self,
        open_ledger: Callable[[], Ledger | None],
        read_maps: Callable[[], str],
        tolerance_bytes: float,
        *,
        flag_after_cycles: int = _FLAG_AFTER_CYCLES,
        settled: float = SETTLED,
        work: WorkOfOthers | None = None,
        find_half_empty: FindHalfEmpty | None = None,
    ) -> None:
        """Prepare. ``open_ledger`` returns None until the process has one; ``read_maps`` its /proc/PID/maps.

        ``flag_after_cycles``: when stacks of the sites that grow are asked for. ``settled`` and ``work`` are those of
        SurvivorJudge.
        ``find_half_empty``: finds the tables of dicts that are half empty among the blocks of some sites.
        """
        self._find_half_empty, self._half_empty = find_half_empty, list[HalfEmptyTable]()
        self._flag_after_cycles = flag_after_cycles
        self._open_ledger = open_ledger
        self._read_maps = read_maps
        self._file: Ledger | None = None
        self._latest: Checkpoint | None = None
        self._cycle = 0
        self._judge = LedgerJudge(tolerance_bytes)
        self._mappings = LedgerJudge(tolerance_bytes)
        self._settled, self._survivors = settled, SurvivorJudge(tolerance_bytes, settled=settled, work=work)
        self._asking_what_is_unheld = TimeShare(_UNHELD_SHARE)
        self._sites_unheld = set[int]()  # once asked, always: what older blocks grow by is told from two looks
        self.has_new_look = False
        """Whether `survivors` looked at the checkpoint that was read last."""
        self._growing_mappings: list[Suspect] = []
        self._flagged: set[int] = set()
        self._maps = ""
        self._state = 0
        self._files: tuple[str, ...] = ()
        self._files_of = 0
        self._live = np.zeros(0, np.int64)  # blocks of each site, of the checkpoint of this number
        self._live_of = -1

    def read(self) -> tuple[int | None, dict[str, float]]:
        """Take in the checkpoint that the child has just written; return its cycle and the sums as signals.

        None and nothing when there is no new one. ``own_mapped`` is not a signal: the bytes the tracker itself has
        mapped, to be taken out of what is measured.
        """
        checkpoint = self.look()
        self.has_new_look = False
        if checkpoint is None or (self._latest is not None and checkpoint.sequence == self._latest.sequence):
            return None, {}
        self.take_births(checkpoint, checkpoint.cycle)
        return checkpoint.cycle, self.take(checkpoint, checkpoint.cycle)

    def look(self) -> Checkpoint | None:
        """Return the latest checkpoint, whether it has been taken in or not; None before there is one."""
        self.open()
        return None if self._file is None else self._file.read()

    def read_beside(self, read: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Return what ``read`` returns of the outside, with resident memory as it were if no table had been packed.

        Resident memory falls when tables are packed, and rises when the program then uses their pages again. Neither is
        the program's. Where tables were packed meanwhile, nothing is said of resident memory.
        """
        self.open()
        before = self.packing
        values = dict(read())
        after = self.packing
        is_changing = before.turn != after.turn or after.turn % 2
        for name in _RESIDENT.intersection(values):
            if is_changing:
                del values[name]
            else:
                values[name] += after.saved_bytes
        return values

    @property
    def packing(self) -> Packing:
        """What packed tables save now."""
        return Packing() if self._file is None else self._file.packing()

    def open(self) -> None:
        """Open the file, if the process has made it by now."""
        if self._file is None:
            self._file = self._open_ledger()
            if self._file is not None:
                self._keep_maps()

    def take_births(self, checkpoint: Checkpoint, cycle: int) -> None:
        """Take in the births of what is alive at a cycle, where they are cycles too: `survivors` looks at them."""
        self.has_new_look = self._survivors.is_due(cycle)
        if self.has_new_look:
            found = self._cohorts(checkpoint, cycle)
            if self._find_half_empty is not None:
                large = _sites_of_large_objects(checkpoint, cycle)
                self._half_empty = self._find_half_empty(checkpoint, large) if large else []
            self._survivors.add(replace(found, half_empty=self._half_empty))

    def _cohorts(self, checkpoint: Checkpoint, cycle: int, *, at_end: bool = False) -> Cohorts:
        """Return what is alive by birth; of a program that is only watched also which of it is in use."""
        found = _cohorts(checkpoint, cycle)
        if not isinstance(self._file, WatchedTables):
            return found
        # Each object takes some ten microseconds, and readings wait for it.
        begun_s, begun_cpu_s, asking = time.monotonic(), time.thread_time(), self._asking_what_is_unheld
        is_due = at_end or (cycle >= _FIRST_UNHELD_CYCLE and asking.is_due(begun_s))
        if is_due and checkpoint.live_blocks <= _MOST_BLOCKS:
            staying = self._with_stacks(checkpoint, found.survivors(self._settled))
            self._sites_unheld.update(site for group in staying.values() for site in group)
            sites = self._sites_unheld
            found = _cohorts(_without(checkpoint, self._file.unheld(sites)), cycle) if sites else found
            asking.spend(begun_s, time.thread_time() - begun_cpu_s)
        groups = self._with_stacks(checkpoint, {*found.small_survivors(self._settled), *self._survivors.looked_at})
        return replace(found, in_use=self._file.in_use(groups)) if groups else found

    @staticmethod
    def _with_stacks(checkpoint: Checkpoint, sites: Iterable[int]) -> dict[int, Collection[int]]:
        """Return each site with the sites of its stacks."""
        table = checkpoint.sites
        return {
            site: {site, *np.flatnonzero((table["kind"] == STACK_SITE) & (table["parent"] == site)).tolist()}
            for site in sites
        }

    def read_sums(self) -> tuple[int | None, dict[str, float]]:
        """Return what `read` does, and take nothing in: for a process whose call sites nobody judges."""
        checkpoint = self.look()
        if checkpoint is None or (self._latest is not None and checkpoint.sequence == self._latest.sequence):
            return None, {}
        self._latest = checkpoint
        rows, _ = _rows_of_blocks(checkpoint)
        return checkpoint.cycle, _sums(checkpoint, rows["live_blocks"].sum(), rows["live_bytes"].sum())

    def take(self, checkpoint: Checkpoint, cycle: int) -> dict[str, float]:
        """Take in a checkpoint as that of a cycle; return the sums as `read` does."""
        assert self._file is not None
        self._latest, self._cycle = checkpoint, cycle
        self._state = self._file.state
        rows, numbers = _rows_of_blocks(checkpoint)
        sites = len(checkpoint.sites)
        blocks = np.bincount(numbers, rows["live_blocks"], sites).astype(np.int64)
        sizes = np.bincount(numbers, rows["live_bytes"], sites).astype(np.int64)
        self._judge.add(cycle, blocks, sizes)
        if not checkpoint.lost_mappings:  # from then on it is blind, and a site would seem to grow no more
            rows, numbers = _rows_of(checkpoint, checkpoint.rows["domain"] == MAPPING)
            self._mappings.add(
                cycle,
                np.bincount(numbers, rows["live_blocks"], sites).astype(np.int64),
                np.bincount(numbers, rows["live_bytes"], sites).astype(np.int64),
            )
        return _sums(checkpoint, blocks.sum(), sizes.sum())

    def suspects(self, cycles: int, n_min: int, *, at_end: bool = False, beside: Iterable[int] = ()) -> list[Suspect]:
        """Return the sites that grow, and ask the child for the stacks of new ones, and of some sites ``beside``."""
        found = self._judge.suspects(n_min, at_end=at_end)
        self._growing_mappings = self._mappings.suspects(n_min, at_end=at_end)
        growing = [*self._growing_mappings[:_MOST_STACKS], *found]
        if self._file is not None and cycles >= self._flag_after_cycles:
            sites = dict.fromkeys([*beside, *(suspect.site for suspect in growing)])
            self._flag(self._file, list(sites)[:REQUESTS])
        return found

    def growing_sites(self) -> list[int]:
        """Return all sites that grow, also those that are too many to be judged."""
        return self._judge.growing_sites()

    def _flag(self, ledger: Ledger, sites: list[int]) -> None:
        """Ask for the stacks of these sites, and for no others: each takes the program some time."""
        over = self._flagged.difference(sites)
        if over and ledger.release_flags(sorted(over)):
            self._flagged -= over
        if not self._flagged.issuperset(sites):
            self._flagged.update(sites)
            ledger.request_flags(sites)
            self._keep_maps()

    def survivors(self, n_clean: float, *, at_end: bool = False) -> SeriesVerdict | None:
        """Return what the births of all live blocks say; None if they cannot say that nothing stays.

        ``n_clean``: the fewest cycles for CLEAN. With ``at_end`` there is one more look at the latest checkpoint.
        """
        covered = STATE_NATIVE | STATE_PYTHON_DOMAINS
        if self._latest is None or not self._latest.is_complete or self._state & covered != covered:
            return None
        if not at_end:
            return self._survivors.judge(n_clean)
        # The process may have ended; what was found in its memory at the look before still tells of the same blocks.
        newest = replace(self._cohorts(self._latest, self._cycle, at_end=True), half_empty=self._half_empty)
        return self._survivors.judge(n_clean, newest)

    @property
    def state(self) -> int:
        """Bits of what is recorded, as in the ledger."""
        return self._state

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost for want of room so far."""
        return self._latest is None or self._latest.is_complete

    @property
    def latest(self) -> Checkpoint | None:
        """The checkpoint that was read last."""
        return self._latest

    @property
    def maps(self) -> str:
        """The process's /proc/PID/maps as they were read last."""
        return self._maps

    @property
    def grows_by_free_objects(self) -> bool:
        """Whether memory grows by objects that an interpreter keeps free, and what is in use does not."""
        return self._survivors.grows_by_free_objects

    @property
    def has_python(self) -> bool:
        """Whether any live block is Python's."""
        return self._latest is not None and bool(np.isin(self._latest.rows["domain"], PYTHON_DOMAINS).any())

    def sites_of_python(self) -> set[int]:
        """Return the sites that have allocated objects of Python; those of a stack are told of its parent too."""
        if self._latest is None:
            return set()
        rows, sites = self._latest.rows, self._latest.sites
        # Without the counts np.unique would import numpy.ma.
        found, _ = np.unique(rows["site"][np.isin(rows["domain"], PYTHON_DOMAINS)], return_counts=True)
        return {*found.tolist(), *sites["parent"][found][sites["kind"][found] == STACK_SITE].tolist()}

    def young_bytes(self, site: int | None, cycle: int) -> float:
        """Return the live bytes of Python objects that were born after a cycle, at a site, or with None at all sites.

        Births are known by spans of cycles: it may be some more.
        """
        if self._latest is None:
            return 0.0
        rows, sites = _rows_of_blocks(self._latest)
        ends = self._latest.births_end
        last = ends[np.searchsorted(ends, cycle, side="right") - 1]
        chosen = np.isin(rows["domain"], PYTHON_DOMAINS) & (ends[rows["bucket"]] > last)
        return float(rows["live_bytes"][chosen if site is None else chosen & (sites == site)].sum())

    def falling(self) -> Falling:
        """Return what is left at the sites that have less than at half of the cycles, and how fast they lose it."""
        return self._judge.falling()

    def drop(self, site: int | None) -> Drop:
        """Return the largest drop of a site's live bytes, or with None of those of all sites together."""
        return self._judge.drop(site)

    def forget_drops(self) -> None:
        """Count drops from the next checkpoint on: memory went with a process that has ended."""
        self._judge.forget_drops()

    def locate(self, site: int) -> Place:
        """Return the call that a site is: of a mapping, the one that made it."""
        call = self._call_of(site)
        return Place("an unknown place", None, None) if call is None else place_of(call, Symbols(self._maps).frames)

    def growth(self, sites: list[int], parts: int = PARTS) -> SeriesVerdict | None:
        """Return what these sites together grow by, over the later half of the cycles; None before there is one."""
        series = [self._judge.series(site) for site in sites]
        return later_growth(series[0][0], np.sum([sizes for _, _, sizes in series], axis=0), parts) if series else None

    def mean_growth(self, site: int) -> float:
        """Return the bytes a cycle by which a site has grown since the first checkpoint."""
        return self._judge.mean_growth(site)

    def total_growth(self, lost: list[int], suspects: Sequence[Suspect]) -> SeriesVerdict | None:
        """Return what the ``lost`` sites and all others that have grown steadily so far grow by together.

        Steadily: in no quarter of the later half by less than half of the mean, or with as many new blocks in each part
        of the run. A sawtooth that happens to rise, or a table that doubled and nothing else, is no part of it.
        """
        steady = [suspect.site for suspect in suspects if self.grows_steadily(suspect.site)]
        return self.growth(sorted({*lost, *steady}))

    def grows_steadily(self, site: int) -> bool:
        """Whether a site has grown in each quarter of the later half, or, in blocks, in each part of the run.

        The nodes of a table stand beside the table at one call site: its bytes double now and then, its blocks do not.
        """
        return _is_steady(self.growth([site], _QUARTERS)) or self.grows_in_each_cycle(site)

    def grows_in_each_cycle(self, site: int) -> bool:
        """Whether a site has grown from the first cycles to the last at one rate, in blocks."""
        return self._judge.grows_in_each_cycle(site)

    def goes_on(self, site: int) -> bool:
        """Whether a site has grown in each part of the run, by what chance allows where cycles are of several kinds."""
        return self._judge.goes_on(site)

    def ended_after(self, site: int) -> int | None:
        """Return after which cycle a site's live blocks became no more; None if they still may."""
        cycles, blocks, _ = self._judge.series(site)
        return ended_after(cycles, blocks)

    def has_fallen(self, site: int) -> bool:
        """Whether a site has many fewer live blocks than it has had."""
        return self._judge.has_fallen(site)

    def stacks_of(self, site: int) -> list[tuple[Call, ...]]:
        """Return the captured stacks of a site, the one with most live blocks first."""
        if self._file is None or self._latest is None:
            return []
        latest, file = self._latest, self._file
        return [tuple(map(known_call, file.stack(latest, stack))) for stack in self.main_stacks(site)]

    def main_stacks(self, site: int) -> list[int]:
        """Return the numbers of the stacks that `stacks_of` returns."""
        live = {} if self._latest is None else self._stacks_with_blocks(site)
        return sorted(live, key=lambda stack: -live[stack])[:_MOST_STACKS]

    def python_files(self) -> tuple[str, ...]:
        """Return the files of all Python code that has allocated anything since the tracker began."""
        if self._file is None or self._latest is None:
            return ()
        if self._files_of != len(self._latest.sites):
            self._files_of = len(self._latest.sites)
            self._files = self._file.python_files(self._latest)
        return self._files

    def has_kept(self, file: str, first: int, last: int) -> bool:
        """Tell whether lines of a file, these and those between, have allocated Python's memory that is still there."""
        if self._file is None or self._latest is None:
            return False
        sites = self._latest.sites
        may_be = (sites["kind"] == PYTHON_SITE) & (sites["line"] >= first) & (sites["line"] <= last)
        here = [site for site in np.flatnonzero(may_be).tolist() if self._line_file(site) == file]
        return any(self._live_blocks(site) for site in here)

    def _line_file(self, site: int) -> str | None:
        assert self._file is not None
        assert self._latest is not None
        place = self._file.place(self._latest, site)
        return None if place is None else place.file

    def _live_blocks(self, site: int) -> int:
        """Return the live blocks of a site, with those of the stacks that split it."""
        live = self._live_by_site()
        return int(live[site]) + sum(int(live[stack]) for stack in self.stacks_in(site))

    def steady_growth(self, suspects: Sequence[Suspect]) -> SeriesVerdict | None:
        """Return what the suspects that are no leak yet, but have grown steadily so far, grow by together."""
        others = [suspect.site for suspect in suspects if not suspect.is_leak]
        return self.growth([site for site in others if self.grows_steadily(site)])

    def finish(
        self,
        suspects: list[Suspect],
        reason: str | None,
        reachability: Callable[[int], Reachability],
        memory: Memory | None,
        asked: Iterable[int] = (),
        kept: Collection[int] = (),
    ) -> Tracked:
        """Return what was seen.

        ``reason``: why the tracker was not there. ``asked``: sites whose places are wanted. ``kept``: sites whose
        blocks a container keeps that only grows.
        """
        if self._file is None or self._latest is None:
            return Tracked(TrackerState(False, reason or "the tracker did not report"), False, (), "")
        self._keep_maps()
        names = (("native", STATE_NATIVE), ("python", STATE_PYTHON_DOMAINS))
        covers = tuple(name for name, bit in names if self._state & bit)
        return Tracked(
            TrackerState(
                True,
                None,
                covers,
                "python" not in covers or bool(self._state & STATE_OBJECTS),
                bool(self._state & STATE_FILTERED),
            ),
            self._latest.is_complete,
            (
                *(self._explain(s, reachability(s.site), is_kept=s.site in kept) for s in suspects),
                *(self._explain(s, UNSCANNED) for s in self._growing_mappings),
            ),
            self._maps,
            memory,
            {site: self._call_of(site) for site in asked},
        )

    def openings(self) -> tuple[dict[int, Opening], dict[int, Opening]]:
        """Return who opened each descriptor, and who started each thread and process, by the kernel's numbers."""
        return ({}, {}) if self._file is None else self._file.openings()

    def take_creations(self) -> Creations | None:
        """Take over what was created since the last time; None if that is not recorded."""
        return None if self._file is None else self._file.take_creations()

    def stack_of(self, site: int) -> tuple[Call, ...]:
        """Return the stack of a site, innermost first, or its place alone; nothing when neither is known."""
        if self._file is None or self._latest is None:
            return ()
        frames = self._file.stack(self._latest, site)
        place = None if frames else self._file.place(self._latest, site)
        return tuple(map(known_call, frames)) if place is None else (known_call(place),)

    def close(self) -> None:
        """Unmap the ledger."""
        if self._file is not None:
            self._file.close()

    def _explain(self, suspect: Suspect, reachability: Reachability, *, is_kept: bool = False) -> GrowingSite:
        assert self._file is not None
        assert self._latest is not None
        rows = self._latest.rows
        own = rows[rows["site"] == suspect.site]
        live = self._stacks_with_blocks(suspect.site)
        domain = int(own["domain"][0]) if len(own) else 0
        if not len(own) and live:
            most = max(live, key=lambda stack: live[stack])
            domain = int(rows["domain"][rows["site"] == most][0]) if live[most] else 0
        return GrowingSite(
            suspect,
            domain,
            _call(self._file.place(self._latest, suspect.site)),
            tuple(self.stacks_of(suspect.site)),
            reachability,
            {site: self._line_of(site) for site in reachability.sites},
            self.growth([suspect.site]) if is_kept or reachability.state == "lost" else None,
            is_kept,
        )

    def stacks_in(self, site: int) -> list[int]:
        """Return the numbers of the stacks that split a site."""
        if self._latest is None:
            return []
        sites = self._latest.sites
        found: list[int] = np.flatnonzero((sites["kind"] == STACK_SITE) & (sites["parent"] == site)).tolist()
        return found

    def _stacks_with_blocks(self, site: int) -> dict[int, int]:
        """Return the numbers of the stacks that split a site, each with its live blocks."""
        live = self._live_by_site()
        return {stack: int(live[stack]) for stack in self.stacks_in(site)}

    def _live_by_site(self) -> NDArray[np.int64]:
        """Return the live blocks of each site, without those of the stacks that split it ``(sites,)``."""
        assert self._latest is not None
        if self._live_of != self._latest.sequence:
            rows = self._latest.rows
            self._live = np.bincount(rows["site"], rows["live_blocks"], len(self._latest.sites)).astype(np.int64)
            self._live_of = self._latest.sequence
        return self._live

    def _call_of(self, site: int) -> Call | None:
        assert self._file is not None
        assert self._latest is not None
        return _call(self._file.place(self._latest, site)) if site < len(self._latest.sites) else None

    def _line_of(self, site: int) -> Call | None:
        """Return the innermost Python call of a stack; of another site the call that it is."""
        in_python = (call for call in self.stack_of(site) if call.file is not None)
        return next(in_python, None) or self._call_of(site)

    def _keep_maps(self) -> None:
        self._maps = self._read_maps() or self._maps  # of a process that has just ended there are none


def _rows_of_blocks(checkpoint: Checkpoint) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the rows of live blocks, and the site of each.

    A flagged site's blocks stand under the stack that made them; the ledger's site is their parent. What CPython up to
    3.10 keeps of the bytecode of a function from its 1,024th call on is left out: it is part of the code, made once,
    and in a program of slow cycles the functions come to it one by one, so that something grows for thousands of them.
    """
    is_code = (checkpoint.rows["domain"] == PYTHON_MEM) & checkpoint.site_table.at_entry[checkpoint.rows["site"]]
    return _rows_of(checkpoint, (checkpoint.rows["domain"] < _BLOCK_DOMAINS) & ~is_code)


def _rows_of(checkpoint: Checkpoint, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    rows = checkpoint.rows[chosen]
    return rows, checkpoint.site_table.owners[rows["site"]]


def _sums(checkpoint: Checkpoint, blocks: np.integer[Any], live_bytes: np.integer[Any]) -> dict[str, float]:
    own = float((checkpoint.ranges["end"] - checkpoint.ranges["start"]).sum())
    return {"tracked": float(live_bytes), "tracked_blocks": float(blocks), "own_mapped": own}


def _without(checkpoint: Checkpoint, gone: NDArray[np.void]) -> Checkpoint:
    """Return a checkpoint without some blocks: rows of ``ROW`` that were read a moment later."""
    rows = checkpoint.rows.copy()
    of_key = {(row["site"], row["domain"], row["bucket"]): row for row in gone}
    for position in np.flatnonzero(np.isin(rows["site"], gone["site"])).tolist():
        row = rows[position]
        less = of_key.get((row["site"], row["domain"], row["bucket"]))
        if less is not None:
            row["live_blocks"] -= min(row["live_blocks"], less["live_blocks"])
            row["live_bytes"] -= min(row["live_bytes"], less["live_bytes"])
    return replace(checkpoint, rows=rows[rows["live_blocks"] > 0])


def _cohorts(checkpoint: Checkpoint, cycle: int) -> Cohorts:
    rows, sites = _rows_of_blocks(checkpoint)
    return Cohorts(
        cycle,
        sites,
        checkpoint.births_from[rows["bucket"]],
        checkpoint.births_end[rows["bucket"]],
        rows["live_blocks"].astype(np.int64),
        rows["live_bytes"].astype(np.int64),
        checkpoint.births_end,
    )


def _sites_of_large_objects(checkpoint: Checkpoint, cycle: int) -> list[int]:
    """Return where Python allocated the largest blocks that were not there when the program had warmed up."""
    rows, sites = _rows_of(checkpoint, checkpoint.rows["domain"] == PYTHON_OBJ)
    sizes = rows["live_bytes"].astype(np.int64)
    is_new = checkpoint.births_from[rows["bucket"]] > cycle * WARMED_UP
    is_large = is_new & (sizes >= _LARGE_BYTES * np.maximum(rows["live_blocks"], 1))
    largest = np.argsort(-sizes[is_large], kind="stable")[:_MOST_LARGE]
    found: list[int] = sites[is_large][largest].tolist()
    return found


def _call(frame: Frame | None) -> Call | None:
    return None if frame is None else known_call(frame)


def known_call(frame: Frame) -> Call:
    """Return a frame of the ledger as a call."""
    return Call(frame.address, frame.file, frame.function, frame.line, frame.is_entry)


def _is_steady(growth: SeriesVerdict | None) -> bool:
    return growth is not None and growth.rate is not None and (growth.low or 0.0) >= _STEADY_SHARE * growth.rate > 0
