"""Watch the processes that a watched program starts: each role as one subject, beside the program itself."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import LEDGER
from soak.attribution.causes import place_of
from soak.attribution.native.symbols import Symbols
from soak.grounds import Ground, GroundKind, ProcessRole
from soak.probes.descendants import Descendant, read_descendants
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.followed import Followed
from soak.probes.ledgers.merged import MergedLedger
from soak.probes.ledgers.tables import LiveTables
from soak.probes.outside import open_reader, read_cpu_s
from soak.results import Cause, ComponentResult, Place, RoleResult
from soak.running.component.reading.checkpoints import ChildProcesses
from soak.running.component.reading.ledger_reader import known_call
from soak.running.processes.report import process_results
from soak.running.processes.role import Count, Identity, Member, RoleKey, growth_of_ended, key_of, opened
from soak.running.watch.plan import WatchPlan
from soak.running.watch.result import no_mark
from soak.running.watch.subject import CPU_S
from soak.running.watch.watch import Watch
from soak.running.watch.work_marks import WorkMarks
from soak.verdict import Verdict

_LOOK_EVERY_S, _JOINED_WITHIN_S = 0.5, 30.0
_LOOKS_TO_STAY = 2
"""A process that is seen at this many looks in a row is not a tool that runs for a moment."""
_MOST_PROCESSES = 32
OnSample = Callable[[str, int, dict[str, float], Decision | None], None]


class RoleSubject:
    """The processes of one role as what a Watch samples: their sums. They come and go."""

    def __init__(self, command: str) -> None:
        """Begin with none. ``command``: what the processes are, in short."""
        self.name = command
        self.members: dict[Identity, Member] = {}
        self.ended: list[Member] = []
        self._merged = MergedLedger()
        self._changes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._latest: dict[str, float] = {}
        self.samples = 0
        """How often the processes were read."""

    def join(self, identity: Identity, process: Descendant, tables: LiveTables) -> None:
        """Count one more process from the next sample on."""

        def take() -> None:
            self.members[identity] = Member(process, tables, open_reader(process.pid))
            self._merged.add(identity, tables)

        self._changes.put(take)

    def leave(self, identity: Identity) -> None:
        """Count a process no longer from the next sample on."""

        def let_go() -> None:
            self.ended.append(self.members.pop(identity))
            self._merged.remove(identity)

        self._changes.put(let_go)

    def read(self) -> dict[str, float]:
        """See Subject; while no process lives, or one of them is just ending, what was read before."""
        while not self._changes.empty():
            self._changes.get()()
        counts = [member.reader.read_counts() for member in self.members.values()]
        if counts and all(each.get("mapped") for each in counts):
            names = set(counts[0]).intersection(*counts[1:])
            self._latest = {name: sum(each[name] for each in counts) for name in sorted(names)}
            used_s = [read_cpu_s(member.process.pid) for member in self.members.values()]
            if None not in used_s:
                self._latest[CPU_S] = sum(filter(None, used_s))
            self._note(counts)
        return dict(self._latest) or {"mapped": 0.0}

    def _note(self, counts: Sequence[dict[str, float]]) -> None:
        self.samples += 1
        for (identity, member), count in zip(self.members.items(), counts, strict=True):
            live = self._merged.latest.get(identity)
            if live is not None:
                member.add(Count(self.samples, float(live.live_bytes), count["rss"]))

    def program(self) -> str:
        """See Subject."""
        return self.name

    def describe_fds(self) -> dict[str, int]:
        """See Subject."""
        return {}

    def has_huge_pages(self) -> bool:
        """See Subject."""
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        return None

    def tables(self) -> MergedLedger | None:
        """See Subject."""
        return self._merged

    def why_not_tracked(self) -> str | None:
        """See Subject."""
        return None

    def grown_when_ended(self) -> tuple[Place, float] | None:
        """Return where those that have ended grew most, and by how many bytes a mark of theirs; None without marks."""
        most = self._merged.ended.most()
        frame = None if most is None else self._merged.place_of(most.site)
        if most is None or frame is None or not most.marks:
            return None
        return place_of(known_call(frame), Symbols(self._merged.maps()).frames), most.bytes / most.marks

    def close(self) -> None:
        """Let go of all processes."""
        self._merged.close()


class _WatchedRole:
    """A role with the watch that judges it, in a thread of its own."""

    def __init__(
        self, subject: RoleSubject, plan: WatchPlan, stopping: threading.Event, on_sample: OnSample, work: WorkMarks
    ) -> None:
        self.subject = subject
        self.result: ComponentResult | None = None
        own = replace(plan, stop_at_leak=False, marks=())
        self._watch = Watch(subject, own, stopping, on_sample=partial(on_sample, subject.name), work=work)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.result = self._watch.run()


class WatchedProcesses:
    """Finds the processes that a program starts and that live on, and watches them by role."""

    def __init__(
        self,
        root: int,
        announcements: Announcements,
        plan: WatchPlan,
        on_sample: OnSample = lambda *_: None,
        work: WorkMarks | None = None,
    ) -> None:
        """Begin in a thread of its own.

        ``announcements``: where processes tell where their tables are. ``on_sample`` is called in threads of ours with
        the name of a role, the number of a sample of it, its values, and what stands. ``work``: the marks of all
        processes that are watched together.
        """
        self._root, self._plan, self._on_sample = root, plan, on_sample
        self._work = work or WorkMarks()
        self._followed = Followed(announcements)
        self._stopping = threading.Event()
        self._roles: dict[RoleKey, _WatchedRole] = {}
        self._role_of: dict[Identity, RoleKey] = {}
        self._tables: dict[Identity, LiveTables] = {}
        self._looks: dict[Identity, int] = {}
        self._others = ChildProcesses()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self, result: ComponentResult) -> ComponentResult:
        """End all watches; return the result of the program with what was seen of its processes."""
        self._stopping.set()
        self._thread.join(_JOINED_WITHIN_S)
        for role in self._roles.values():
            role.thread.join(_JOINED_WITHIN_S)
        found = [
            (role.subject, _without_hidden_growth(role.subject, role.result))
            for role in self._roles.values()
            if role.result is not None
        ]
        for subject, _ in found:
            subject.close()
        said = no_mark(self._plan.marks)
        is_missing = said in result.messages and all(each.cycle_noun != "mark" for _, each in found)
        result = _together(result, found, self._others, is_complete=len(found) == len(self._roles))
        messages = (*(message for message in result.messages if message != said), *([said] if is_missing else []))
        result = replace(result, messages=messages)
        return result if self._plan.scans is None else replace(result, pauses=self._plan.scans.pauses())

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            self._look(read_descendants(self._root))

    def _look(self, living: Sequence[Descendant]) -> None:
        """Take in who lives; what is there for the first time may be gone at the next look."""
        stays, seen = [], set()
        for process in living:
            identity = process.pid, process.started
            self._looks[identity] = self._looks.get(identity, 0) + 1
            seen.add(identity)
            if self._is_counted(identity, process):
                continue
            if self._looks[identity] >= _LOOKS_TO_STAY and not self._begin(identity, process):
                stays.append(process)
        for identity in set(self._role_of) - seen:
            self._end(identity)
        self._looks = {identity: looks for identity, looks in self._looks.items() if identity in seen}
        self._others.update(stays)
        self._followed.forget_ended({self._root, *(process.pid for process in living)})

    def _is_counted(self, identity: Identity, process: Descendant) -> bool:
        """Whether a process is counted, and still runs the program that it ran."""
        places = self._followed.places(process)
        if identity not in self._role_of:
            return False
        if places is not None and places.started_ns == self._tables[identity].places.started_ns:
            return True
        self._end(identity)
        return False

    def _begin(self, identity: Identity, process: Descendant) -> bool:
        """Begin to count a process; return whether the tracker is in it."""
        places = self._followed.places(process)
        tables = None if places is None or len(self._role_of) >= _MOST_PROCESSES else opened(places)
        if tables is None:
            return False
        key = key_of(process, tables, self._role_of)
        if not tables.is_there():  # it has just ended, so the key may be that of no role
            tables.close()
            return True
        is_new = key not in self._roles
        subject = RoleSubject(process.command) if is_new else self._roles[key].subject
        subject.join(identity, process, tables)
        if is_new:
            subject.read()
            self._roles[key] = _WatchedRole(subject, self._plan, self._stopping, self._on_sample, self._work)
        self._role_of[identity], self._tables[identity] = key, tables
        return True

    def _end(self, identity: Identity) -> None:
        self._roles[self._role_of.pop(identity)].subject.leave(identity)
        del self._tables[identity]


def _together(
    result: ComponentResult,
    found: Sequence[tuple[RoleSubject, ComponentResult]],
    others: ChildProcesses,
    *,
    is_complete: bool,
) -> ComponentResult:
    """Return the result of a program with that of its processes: the leak of one of them, or what is open there.

    ``is_complete``: every role has a result.
    """
    roles = tuple(_role_result(subject, each) for subject, each in found)
    leaking = [(subject, each) for subject, each in found if each.verdict is Verdict.LEAK]
    leaking.sort(key=lambda pair: -_rate(pair[1]))
    undecided = [(subject, each) for subject, each in found if each.verdict not in (Verdict.LEAK, Verdict.CLEAN)]
    is_more = bool(leaking) and (result.verdict is not Verdict.LEAK or _rate(leaking[0][1]) > _rate(result))
    if is_more and result.verdict is not Verdict.FAILED:
        return _told(result, leaking, GroundKind.GROWING_PROCESSES, roles)
    if undecided and (result.verdict is Verdict.CLEAN or _do_the_work(result, undecided)):
        return _told(result, undecided, GroundKind.OPEN_PROCESSES, roles)
    causes = (*result.causes, *(cause for pair in leaking for cause in _causes(*pair)))
    result = replace(result, causes=causes, roles=roles)
    if (others.living is not None or not is_complete) and result.verdict is Verdict.CLEAN:
        ground = Ground(GroundKind.UNCOUNTED_CHILDREN, children=others.living)
        return replace(result, verdict=Verdict.INCONCLUSIVE, decided_by=None, growth=None, grounds=(ground,))
    return result


def _do_the_work(result: ComponentResult, roles: Sequence[tuple[RoleSubject, ComponentResult]]) -> bool:
    """Whether the cycles are those of the processes of some role, and the program itself only waits for them."""
    marks_itself = result.cycle_noun == "mark" or result.verdict in (Verdict.LEAK, Verdict.FAILED)
    return not marks_itself and any(each.cycle_noun == "mark" for _, each in roles)


def _told(
    result: ComponentResult,
    told: Sequence[tuple[RoleSubject, ComponentResult]],
    kind: GroundKind,
    roles: tuple[RoleResult, ...],
) -> ComponentResult:
    """Return what the first of some roles says as the result of the program."""
    first = told[0][1]
    ground = Ground(
        kind,
        ("children_tracked",) if kind is GroundKind.GROWING_PROCESSES else (),
        roles=tuple(_process_role(*pair) for pair in told),
    )
    return replace(
        first,
        name=result.name,
        target=result.target,
        stopped_by=result.stopped_by,
        failure=result.failure,
        started=result.started,
        grounds=(ground, *first.grounds),
        causes=(*(cause for pair in told for cause in _causes(*pair)), *result.causes),
        roles=roles,
    )


def _process_role(subject: RoleSubject, result: ComponentResult) -> ProcessRole:
    """Return what is told of the processes of a role. The rate is in bytes where these are known, so of memory."""
    signal = result.growth.signal if result.growth is not None else next(iter(result.grounds[0].signals), None)
    if signal in LEDGER and result.growth is not None and result.growth.bytes_per_iteration:
        signal = "tracked"
    return ProcessRole(
        subject.name, len(subject.members) or len(subject.ended), result.verdict, signal, _rate(result) or None
    )


def _rate(result: ComponentResult) -> float:
    growth = result.growth
    return 0.0 if growth is None else growth.bytes_per_iteration or growth.per_iteration or 0.0


def _causes(subject: RoleSubject, result: ComponentResult) -> tuple[Cause, ...]:
    count = len(subject.members) or len(subject.ended)
    name = subject.name if count == 1 else f"{count:,} × {subject.name}"
    return tuple(replace(cause, processes=name) for cause in result.causes)


def _role_result(subject: RoleSubject, result: ComponentResult) -> RoleResult:
    tracked = result.signals.get("tracked")
    grown = subject.grown_when_ended() if subject.ended and result.verdict is not Verdict.LEAK else None
    return RoleResult(
        command=subject.name,
        verdict=result.verdict,
        living=len(subject.members),
        ended=len(subject.ended),
        bytes_per_iteration=None if tracked is None else tracked.per_iteration,
        low=None if tracked is None else tracked.low,
        high=None if tracked is None else tracked.high,
        processes=process_results(subject.ended, subject.members.values()),
        ended_bytes_per_iteration=_growth_of_ended(subject, result),
        ended_grew_in=None if grown is None else grown[0],
        ended_grew_there=None if grown is None else grown[1],
    )


def _growth_of_ended(subject: RoleSubject, result: ComponentResult) -> float | None:
    """Return what each process that has ended still grew by a cycle when it ended."""
    per_sample = growth_of_ended(subject.ended)
    return None if per_sample is None or not result.iterations else per_sample * subject.samples / result.iterations


def _without_hidden_growth(subject: RoleSubject, result: ComponentResult) -> ComponentResult:
    """Take back CLEAN of processes that are replaced while they grow.

    Their sum does not grow, because each frees its memory when it ends.
    """
    hidden = _growth_of_ended(subject, result) or 0.0
    if result.verdict is not Verdict.CLEAN or hidden <= result.tolerance_bytes:
        return result
    return replace(result, verdict=Verdict.INCONCLUSIVE, decided_by=None, growth=None)
