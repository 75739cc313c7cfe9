"""What was seen of the processes that a program started, as results and causes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from soak.analysis.evidence import COUNTS
from soak.attribution.causes import causes_of_sites, fingerprint, with_main_site
from soak.attribution.native.symbols import Symbols
from soak.measurements import SIGNALS
from soak.results import Cause, ProcessResult, RoleResult
from soak.running.processes.role import Member, SeenRole, growth_of_ended
from soak.verdict import Verdict

_MOST_PROCESSES = 64


def role_result(seen: SeenRole) -> RoleResult:
    """Return the result of one role."""
    growth = seen.decision.series.get("tracked")
    return RoleResult(
        command=seen.role.command,
        verdict=seen.role.verdict,
        living=len(seen.members) - seen.ended,
        ended=seen.ended,
        bytes_per_iteration=None if growth is None else growth.rate,
        low=None if growth is None else growth.low,
        high=None if growth is None else growth.high,
        processes=process_results(seen.members[: seen.ended], seen.members[seen.ended :]),
        ended_bytes_per_iteration=growth_of_ended(seen.members[: seen.ended]),
    )


def causes_of_roles(roles: Sequence[SeenRole]) -> tuple[Cause, ...]:
    """Return what grows in the processes of all roles that are not CLEAN: call sites, and counts."""
    return tuple(cause for seen in roles if seen.role.verdict is not Verdict.CLEAN for cause in _causes(seen))


def _causes(seen: SeenRole) -> Iterator[Cause]:
    name = seen.role.command if seen.role.processes == 1 else f"{seen.role.processes:,} × {seen.role.command}"
    decided_by = seen.decision.decided_by
    if seen.role.verdict is Verdict.LEAK and decided_by in COUNTS:
        kind, series = SIGNALS[decided_by].kind, seen.decision.series[decided_by]
        yield Cause(
            kind=kind,
            confirmed=True,
            state="unknown",
            fingerprint=fingerprint(kind, None, None, None),
            count_per_iteration=series.rate,
            since=series.since,
            processes=name,
        )
    sites = causes_of_sites(seen.tracked.sites, Symbols(seen.tracked.maps).frames, gc_held_off=False)
    sites = with_main_site(sites, seen.decision.leaking_bytes)
    yield from (replace(cause, processes=name) for cause in sites)


def process_results(ended: Iterable[Member], living: Iterable[Member]) -> tuple[ProcessResult, ...]:
    """Return the result of each process that was counted; of many that have ended the latest."""
    results = [_process_result(member, has_ended=True) for member in ended if member.counts]
    results += [_process_result(member, has_ended=False) for member in living if member.counts]
    return tuple(results[-_MOST_PROCESSES:])


def _process_result(member: Member, *, has_ended: bool) -> ProcessResult:
    first, last = member.counts[0], member.counts[-1]
    return ProcessResult(
        pid=member.process.pid,
        first_cycle=first.cycle,
        last_cycle=last.cycle,
        first_bytes=first.live_bytes,
        last_bytes=last.live_bytes,
        first_rss_bytes=first.rss_bytes,
        last_rss_bytes=last.rss_bytes,
        bytes_per_iteration=member.rate,
        has_ended=has_ended,
    )
