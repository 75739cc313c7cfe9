"""Scan a watched program in copies of it, and tell whether what stays there is lost, or who holds it.

The program makes each copy itself, in the tracker, at its next allocation at a site that grows: one thread of it waits
while the kernel copies page tables, and nothing is ever stopped. The copy is read in a thread of ours. As in a run, two
scans some cycles apart are needed for "lost".
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.ledger import Suspect
from soak.attribution.holders import UNSCANNED, Memory, Reachability, SiteScan, judge_scans
from soak.attribution.object_answers import Link, SiteAnswer
from soak.native.layout import EPOCH_BITS
from soak.probes.ledgers.shadow import Blocks
from soak.probes.ledgers.tables import OneProcess, WatchedTables, own_number
from soak.results import Unseen
from soak.running.clock import Clock
from soak.running.scanning.allowed import AllowedScans
from soak.running.scanning.copies import end_copy, let_go_first
from soak.running.scanning.copy_reading import CopyRead, UnreadableError, read_copy
from soak.running.scanning.first_seen import FirstSeen, date_by_marks, positions_of
from soak.running.time_share import TimeShare
from soak.units import format_duration

_NEXT_AFTER, _NEXT_AFTER_ALL_IS_KNOWN = 1.25, 4
_APART_S, _SHARE, _SHARE_OF_PAUSES = 1.0, 0.2, 0.02
"""Between two copies; the part of the time that reading them may take, and that threads of the program may wait."""
_MOST_SCANS_KEPT, _SCANS_FOR_NAME = 4, 3
_MOST_SITES = 64
_JOINED_WITHIN_S = 10.0
_LAST_COPY_WITHIN_S, _LOOK_EACH_S = 2.0, 0.01
"""How long the last copy is waited for, and how often it is looked for."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

_UNKNOWN = "soak does not know whether the blocks are lost or held"
_NOT_ALLOWED = f"{_UNKNOWN}: a scan would keep a thread waiting for about {{expected}}. Allow it with --scan {{most}}."
_EXCEEDED = "soak made no more scans: they kept a thread waiting for longer than the {most} that --scan allows."
_REFUSED = f"{_UNKNOWN}: the system did not allow a copy of the program for a scan."
_ELSEWHERE = f"{_UNKNOWN}: the program runs in its own PID namespace, where soak does not copy it."
_NEVER_CAME = f"{_UNKNOWN}: the code that grows did not allocate again, so soak made no copy for a scan."
_UNREADABLE = "A scan could not be finished: {why}."


class _Reading(threading.Thread):
    """Reads one copy, and ends it."""

    def __init__(self, copy: int, process: OneProcess, cycle: int, date: _Dating, named: Collection[int]) -> None:
        super().__init__(daemon=True)
        self.process, self.cycle = process, cycle
        self._copy, self._date, self._named = copy, date, named
        self.read: CopyRead | None = None
        self.error: str | None = None
        self.begun_s, self.took_s = 0.0, 0.0

    def run(self) -> None:
        """Read it."""
        begun_s = time.thread_time()
        try:
            tables = self.process.tables.of_copy(self._copy)
            with contextlib.closing(tables):
                self.read = read_copy(tables, self.process.numbers, self._date.cycle, self._date, self._named)
        except (OSError, UnreadableError) as error:
            self.error = str(error)
        finally:
            end_copy(self._copy)
            self.took_s = time.thread_time() - begun_s


class _Dating:
    """Tells in which cycle the blocks of one process were born: by its marks, or by when they were first seen."""

    def __init__(self, process: OneProcess, cycle: int, first_mark: int | None, seen: FirstSeen) -> None:
        self._first_mark, self._seen, self._process = first_mark, seen, process
        self.cycle = cycle if first_mark is None else process.tables.marks() - first_mark

    def __call__(self, blocks: Blocks, sites: NDArray[np.uint32], newest: int) -> Blocks:
        if self._first_mark is not None:
            return date_by_marks(blocks, first=self._first_mark, newest=newest, period=1 << EPOCH_BITS)
        return self._seen.date(blocks, positions_of(sites, self._process.numbers), self.cycle)


class WatchScanner:
    """Decides when to copy a process of a watched ledger, has it copied and read, and keeps what the scans say."""

    def __init__(self, tables: WatchedTables, allowed: AllowedScans, clock: Clock) -> None:
        """Copy nothing yet."""
        self._tables, self._allowed, self._clock = tables, allowed, clock
        self._time = TimeShare(_SHARE)
        self._scans: dict[int, list[SiteScan]] = {}
        self._answers: dict[int, SiteAnswer] = {}
        self._lost: dict[int, Reachability] = {}
        self._process: int | None = None
        self._seen, self._first_mark, self._next_cycle = FirstSeen(), 0, 0
        self._asked: tuple[OneProcess, int, int, float, _Dating] | None = None
        self._reading: _Reading | None = None
        self._due_s = 0.0
        self._why_not = ""
        self._ended_early = ""
        self.memory: Memory | None = None
        """What was mapped at the last scan."""

    def step(self, cycle: int, suspects: Sequence[Suspect], *, has_marks: bool) -> bool:
        """Do what is due: ask for a copy, take it, or take in what stood in it. Return whether more is known now.

        ``suspects``: the sites that grow, by the ledger's numbers. ``has_marks``: cycles are the program's marks.
        """
        if self._reading is not None:
            return self._take_in(self._reading) if not self._reading.is_alive() else False
        if self._asked is not None:
            self._take_copy(*self._asked)
        elif suspects and cycle >= self._next_cycle and self._is_due(self._clock.now_s()):
            self._ask(cycle, suspects, has_marks=has_marks)
        return False

    def look_once_more(self, cycle: int, leaking: Sequence[Suspect], *, has_marks: bool) -> None:
        """Make one more scan at the end of a watch, where it is not known what became of a leak or who holds it.

        A leak may be told after few scans: the first may come before enough of its blocks are old, or while the
        container that holds them is just being made larger.
        """
        self._finish_reading()
        if all(map(self._is_known, (suspect.site for suspect in leaking))):
            return
        if self._asked is None and self._process is not None:
            self._ask(cycle, leaking, has_marks=has_marks)
        ends_at_s = self._clock.now_s() + _LAST_COPY_WITHIN_S
        while self._asked is not None and self._clock.now_s() < ends_at_s:
            self._take_copy(*self._asked)
            time.sleep(_LOOK_EACH_S)
        self._finish_reading()

    def finish(self) -> None:
        """Take in the copy that is being read, and end one that was made but not read."""
        if self._asked is not None:
            process, wish, *_ = self._asked
            made = process.tables.copy_made(wish)
            if made is not None and made.pid is not None:
                end_copy(made.pid)
            elif not self._scans:
                self._why_not = self._why_not or _NEVER_CAME
            self._asked = None
        self._finish_reading()

    def _finish_reading(self) -> None:
        if self._reading is not None:
            self._reading.join(_JOINED_WITHIN_S)
            if not self._reading.is_alive():
                self._take_in(self._reading)

    def reachability(self, site: int) -> Reachability:
        """Return what became of a site's blocks, as far as it is known."""
        if site in self._lost:
            return self._lost[site]
        scans = self._scans.get(site)
        if not scans:
            return UNSCANNED if not self._why_not else Reachability("unknown", Unseen.NOT_READABLE, self._why_not)
        found = judge_scans(scans)
        answer = self._answers.get(site)
        return replace(found, answer=answer) if answer is not None and found.state == "held" else found

    def _is_known(self, site: int) -> bool:
        """Whether another scan would hardly tell more; a container that is just being made larger has no name."""
        found = self.reachability(site)
        is_named = bool(found.answer.chain) or len(self._scans.get(site, ())) >= _SCANS_FOR_NAME
        return found.state == "lost" or (found.state == "held" and is_named)

    def messages(self) -> Iterator[str]:
        """Give what is to be said of scans that were not made or not finished, a sentence each."""
        if self._why_not:
            yield self._why_not
        elif self._ended_early and not self._scans:
            yield _UNREADABLE.format(why=self._ended_early)
        if self._allowed.is_exceeded:
            yield _EXCEEDED.format(most=format_duration(self._allowed.longest_pause_s))

    def _is_due(self, now_s: float) -> bool:
        return now_s >= self._due_s and self._time.is_due(now_s)

    def _ask(self, cycle: int, suspects: Sequence[Suspect], *, has_marks: bool) -> None:
        """Have a process copied, where that is allowed."""
        process = self._tables.process_of([suspect.site for suspect in suspects[:_MOST_SITES]], self._process)
        if process is None:
            return
        tables = process.tables
        if tables.pid != self._process:
            self._begin(process, cycle, has_marks=has_marks)
            return
        rss_bytes = _rss_bytes(tables.pid)
        expected_s, most_s = self._allowed.expected_s(rss_bytes), self._allowed.longest_pause_s
        self._due_s = self._clock.now_s() + _APART_S
        if self._allowed.is_exceeded:
            return
        self._why_not = ""
        if expected_s > most_s:
            enough = format_duration(_rounded(expected_s))
            self._why_not = _NOT_ALLOWED.format(expected=format_duration(expected_s), most=enough)
        elif own_number(tables.pid) != tables.pid:
            self._why_not = _ELSEWHERE
        else:
            dating = _Dating(process, cycle, self._first_mark if has_marks else None, self._seen)
            self._asked = process, tables.want_copy(os.getpid()), cycle, rss_bytes, dating

    def _begin(self, process: OneProcess, cycle: int, *, has_marks: bool) -> None:
        """Begin with another process: what is alive in it now is not old yet."""
        self._process, self._first_mark = process.tables.pid, process.tables.marks()
        self._scans, self._answers, self._seen = {}, {}, FirstSeen()
        self._next_cycle = cycle + max(1, int(cycle * (_NEXT_AFTER - 1)))
        checkpoint = process.tables.read()
        if checkpoint is not None and not has_marks:
            wanted = np.flatnonzero(np.isin(checkpoint.site_table.owners, list(process.numbers)))
            self._seen.see(np.sort(process.tables.addresses(wanted.tolist())), cycle)

    def _take_copy(self, process: OneProcess, wish: int, cycle: int, rss_bytes: float, dating: _Dating) -> None:
        made = process.tables.copy_made(wish)
        if made is None:
            if not process.tables.is_there():
                self._asked, self._process = None, None
            return
        self._asked = None
        self._allowed.spend(rss_bytes, made.took_s, made.busy_s)
        self._due_s = self._clock.now_s() + max(_APART_S, made.took_s / _SHARE_OF_PAUSES)
        if made.pid is None:
            self._why_not, self._due_s = _REFUSED, float("inf")
            return
        let_go_first(made.pid)
        named = [own for own, site in process.numbers.items() if site in self._answers]
        self._reading = _Reading(made.pid, process, cycle, dating, named)
        self._reading.begun_s = self._clock.now_s()
        self._reading.start()

    def _take_in(self, reading: _Reading) -> bool:
        self._reading = None
        self._time.spend(reading.begun_s, reading.took_s)
        self._next_cycle = max(reading.cycle + 1, int(reading.cycle * _NEXT_AFTER))
        if reading.read is None:
            self._ended_early = reading.error or ""
            return False
        process, read = reading.process, reading.read
        self.memory = read.memory
        number = partial(_number_of, process)
        best: dict[int, SiteScan] = {}
        for own, scan in read.sites.items():
            site = process.numbers[own]
            if site not in best or scan.survivors > best[site].survivors:
                best[site] = _renumbered(scan, number, reading.cycle)
                if own in read.answers:
                    self._answers[site] = SiteAnswer(tuple(map(partial(_numbered, number), read.answers[own].chain)))
        for site, scan in best.items():
            self._scans.setdefault(site, []).append(scan)
            del self._scans[site][:-_MOST_SCANS_KEPT]
            found = judge_scans(self._scans[site])
            if found.state == "lost":
                self._lost[site] = found
        if best and all(map(self._is_known, best)):
            self._next_cycle = reading.cycle * _NEXT_AFTER_ALL_IS_KNOWN
        return True


def _rss_bytes(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        return float(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    return 0.0


def _rounded(seconds: float) -> float:
    """Return a time that is surely enough, in steps of 10 ms."""
    return (int(1.5 * seconds / 0.01) + 1) * 0.01


def _number_of(process: OneProcess, site: int | None) -> int | None:
    return None if site is None else process.number_of(site) or None


def _renumbered(scan: SiteScan, number: partial[int | None], cycle: int) -> SiteScan:
    """Return a scan with the ledger's numbers of sites, as that of a cycle of the watch."""
    holders = tuple(replace(holder, site=number(holder.site)) for holder in scan.holders)
    return replace(scan, cycle=cycle, holders=holders, lost_with=number(scan.lost_with))


def _numbered(number: partial[int | None], link: Link) -> Link:
    return replace(link, site=number(link.site) or 0)
