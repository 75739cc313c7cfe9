"""Decide once: from all that is known of a component to its verdict, by one table of what overrules what."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from soak.analysis.evidence import COUNTS, LEDGER, MEMORY, Evidence, Proven
from soak.analysis.sites.caches import (
    CachedSite,
    filling_modules,
    forecast,
    may_be_cached,
    maybe_filling,
    needed_cycles,
)
from soak.analysis.sites.ledger import SAME_RATE, Suspect
from soak.analysis.sites.rates import at_least, risen, together, told_closer, with_undecided
from soak.analysis.sites.streaks import (
    FEWEST_INTERVALS,
    MOST_OF_RUN,
    cycles_of_a_streak,
    is_of_run,
    rises_at_one_rate,
    rose_to_the_end,
    told_streak,
)
from soak.grounds import CYCLES_OF_OWN_CACHES, ENOUGH_N_MIN, N_MIN_OF_OWN_CACHES, VERDICTS, Ground, GroundKind, Streak
from soak.measurements import NOTABLE_RSS_BYTES, SIGNALS, Role
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_MUCH_MEMORY_BYTES = 2.0**30
_MUCH_OF_LIMIT = 0.1


@dataclass(frozen=True)
class Decision:
    """What all evidence together says."""

    verdict: Verdict
    grounds: tuple[Ground, ...]
    """All that holds, strongest first: the first one decided."""
    decided_by: str | None
    """The signal that decided; None where none did."""
    series: Mapping[str, SeriesVerdict]
    """What each signal says, completed by what other evidence knows of it."""
    needed: int | None
    """More cycles that would decide, where that can be told."""
    is_final: bool
    """Nothing that may still come in this run would change what people are told."""
    decided_at: int | None = None
    """The number of cycles after which LEAK or CLEAN stood."""

    @property
    def leaking_bytes(self) -> float:
        """Bytes a cycle by which memory leaks, by the ledger or by what decided before it; 0 where none leaks.

        On a busy machine mapped or resident memory may decide first: the ledger has fewer readings then.
        """
        if self.verdict is not Verdict.LEAK or self.decided_by not in (*LEDGER, "mapped", "rss"):
            return 0.0
        return self.series["tracked" if self.decided_by in LEDGER else self.decided_by].rate or 0.0

    @property
    def by_scan(self) -> bool:
        """Whether a scan of the memory decided."""
        return self.grounds[0].kind is GroundKind.LOST_BLOCKS


def decide(evidence: Evidence) -> Decision:
    """Return the decision of the first rule of PRECEDENCE that applies. A pure function."""
    return _decision(evidence, _grounds(evidence, PRECEDENCE))


def _grounds(evidence: Evidence, rules: Sequence[Rule]) -> tuple[Ground, ...]:
    """Return the grounds that hold, strongest first.

    A cache that may be filling in the process itself takes nothing from a leak in the processes that it started.
    """
    found = [ground for rule in rules if (ground := rule.find(evidence)) is not None]
    if found and found[0].kind in _MAYBE_CACHES:
        found.sort(key=lambda ground: ground.kind is not GroundKind.GROWING_PROCESSES)
    return tuple(found)


def _decision(evidence: Evidence, grounds: tuple[Ground, ...]) -> Decision:
    first = grounds[0]
    verdict = VERDICTS[first.kind]
    decided_by = None if first.kind in _BY_NO_SIGNAL or not first.signals else first.signals[0]
    series = _completed_series(evidence, grounds)
    if first.kind in (GroundKind.DRIVER_FAILED, GroundKind.CONTROL_FAILED):
        below = _decision(evidence, grounds[1:])
        return replace(below, verdict=verdict, grounds=grounds, is_final=False, decided_at=None)
    return Decision(
        verdict=verdict,
        grounds=grounds,
        decided_by=None if evidence.only_outside and first.kind is GroundKind.UNDECIDED else decided_by,
        series=series,
        needed=_needed(evidence, first),
        is_final=_is_final(evidence, grounds, series),
        decided_at=_decided_at(evidence, first, series),
    )


# ---- the rules, in the order of the table below ----


def _driver_failed(evidence: Evidence) -> Ground | None:
    return Ground(GroundKind.DRIVER_FAILED) if evidence.failed else None


def _control_failed(evidence: Evidence) -> Ground | None:
    if not evidence.failed_controls:
        return None
    failed = _rests_on(evidence, _grounds(evidence, _BELOW_CONTROLS)) & evidence.failed_controls
    return Ground(GroundKind.CONTROL_FAILED, tuple(name for name in SIGNALS if name in failed)) if failed else None


def _steady_count(evidence: Evidence) -> Ground | None:
    return _steady(evidence, COUNTS, GroundKind.STEADY_COUNT)


def _count_at_limit(evidence: Evidence) -> Ground | None:
    return _at_limit(evidence, GroundKind.COUNT_AT_LIMIT, is_count=True)


def _count_every_cycle(evidence: Evidence) -> Ground | None:
    """Return this ground where a count rose up to the end of the run: a count is exact, so few cycles show it.

    Before the end it holds only after n_min cycles. Until then, a pool that fills by one a cycle may still come to its
    size.
    """
    names = [name for name in COUNTS if rises_at_one_rate(evidence, name)]
    names.sort(key=lambda name: -evidence.streaks[name].cycles)
    if not names:
        return None
    return Ground(GroundKind.COUNT_EVERY_CYCLE, tuple(names), streak=evidence.streaks[names[0]])


def _lost_blocks(evidence: Evidence) -> Ground | None:
    return _proven(evidence, evidence.lost, GroundKind.LOST_BLOCKS)


def _kept_blocks(evidence: Evidence) -> Ground | None:
    return _proven(evidence, evidence.kept, GroundKind.KEPT_BLOCKS)


def _filling_cache(evidence: Evidence) -> Ground | None:
    """Return this ground where growth of memory is what would be told, and bounded caches hold all of it."""
    told, series = _growing_memory_alone(evidence)
    if series is None:
        return None
    filling = forecast(evidence.cached, series, cycles=evidence.cycles, tolerance_bytes=evidence.tolerance_bytes)
    return None if filling is None else Ground(GroundKind.FILLING_CACHE, told.signals, filling=filling)


def _filling_modules(evidence: Evidence) -> Ground | None:
    """Return this ground where growth of memory is what would be told, and new modules hold all of it."""
    told, series = _growing_memory_alone(evidence)
    if series is None:
        return None
    modules = filling_modules(evidence.cached, series, tolerance_bytes=evidence.tolerance_bytes)
    return None if modules is None else Ground(GroundKind.FILLING_MODULES, told.signals, modules=modules)


def _maybe_filling(evidence: Evidence) -> Ground | None:
    """Return this ground where bounded caches may hold all growth, and too little was looked at to know it."""
    told, series = _growing_memory_alone(evidence)
    if series is None:
        return None
    cached = evidence.cached if _may_hold_unknown_caches(evidence) else _of_known_bounds(evidence.cached)
    filling = maybe_filling(cached, series, cycles=evidence.cycles, tolerance_bytes=evidence.tolerance_bytes)
    return None if filling is None else Ground(GroundKind.MAYBE_FILLING, told.signals, filling=filling)


def _may_hold_unknown_caches(evidence: Evidence) -> bool:
    """Whether slow cycles have brought an n_min into which a cache of a program's own may not fit, and few cycles."""
    is_small = evidence.n_min is not None and evidence.n_min < N_MIN_OF_OWN_CACHES
    return evidence.is_n_min_of_slow_cycles and is_small and evidence.cycles < CYCLES_OF_OWN_CACHES


def _of_known_bounds(sites: Sequence[CachedSite]) -> list[CachedSite]:
    """Return the sites without the caches of which only the code knows the bound."""
    return [replace(s, cache=None) if s.cache is not None and s.cache.has_hidden_bound else s for s in sites]


def _few_cycles(evidence: Evidence) -> Ground | None:
    """Return this ground where memory grows at one rate, but a cache of unknown size may hold it.

    Before n_min nothing is decided anyway; there it holds at the end, where memory rose in every interval.
    """
    if not _is_n_min_small(evidence) and not _may_be_bounded(evidence):
        return None
    told = _growing_sites(evidence) or _steady_memory(evidence) or _rising_memory(evidence)
    if told is None or not may_be_cached(evidence.cached):
        return None
    is_long = _is_long_steady(evidence, told) or _is_alike_to_the_end(evidence, told)
    if is_long and not _may_be_bounded(evidence):
        return None
    if _memory_at_limit(evidence) is not None or _memory_every_cycle(evidence) is not None:
        return None  # no cache is this large
    return Ground(GroundKind.FEW_CYCLES, told.signals, streak=told.streak)


def _may_be_bounded(evidence: Evidence) -> bool:
    """Whether what grows in a watched program may go into a cache of its own, which may not be full yet.

    Of a run the process itself tells at its end what holds what grows.
    """
    is_small = evidence.n_min is not None and evidence.n_min < N_MIN_OF_OWN_CACHES
    return evidence.may_be_bounded and evidence.is_watched and is_small and evidence.cycles < CYCLES_OF_OWN_CACHES


def _is_n_min_small(evidence: Evidence) -> bool:
    """Whether slow cycles have brought an n_min into which many caches do not fit."""
    return evidence.is_n_min_of_slow_cycles and evidence.n_min is not None and evidence.n_min < ENOUGH_N_MIN


def _is_long_steady(evidence: Evidence, told: Ground) -> bool:
    """Whether memory has grown at one rate, up to now, over as many cycles as where n_min is enough.

    The latest look of the rule may be half of the cycles ago; a cache may have become full since. Sites are followed
    up to the latest checkpoint.
    """
    enough = _WINDOWS_TO_LOOK * ENOUGH_N_MIN
    if told.kind is GroundKind.UNDECIDED or evidence.cycles < enough:
        return False
    sites, whole = _leaking_sites(evidence), evidence.trusted[told.signals[0]]
    rate = sum(site.rate or 0.0 for site in sites)
    if told.kind is GroundKind.GROWING_SITES or (
        told.signals[0] == "tracked" and rate >= SAME_RATE * (whole.rate or 0)
    ):
        seen, until = sites, evidence.cycles
    else:
        seen, until = [whole], whole.judged_at or 0
    since = max((series.since or 0 for series in seen), default=until)
    return until >= enough and until - since >= MOST_OF_RUN * ENOUGH_N_MIN


def _is_alike_to_the_end(evidence: Evidence, told: Ground) -> bool:
    """Whether the ledger shows the same growth in each part of enough cycles, of what leaks: the last part too.

    Windows of the rule reach far back, so they need 2,048 cycles to tell a cache of 1,000 entries from a leak. Where
    every part has as many new blocks as all others, a cache would be full in the last of them, an eighth of the cycles.
    """
    is_known_bound = evidence.may_be_bounded  # code keeps it small, by a number that may be larger
    return evidence.cycles >= _ENOUGH_ALIKE and not is_known_bound and _is_alike_so_far(evidence, told)


def _is_alike_so_far(evidence: Evidence, told: Ground) -> bool:
    """Whether most of what leaks has grown by much the same in each part of the run."""
    if told.signals[0] != "tracked":
        return False
    leaking = _leaking_suspects(evidence)
    alike = sum(suspect.verdict.rate or 0.0 for suspect in leaking if suspect.is_alike_in_each_part)
    whole = evidence.trusted["tracked"].rate if "tracked" in evidence.trusted else None
    every = max(sum(suspect.verdict.rate or 0.0 for suspect in leaking), whole or 0.0)
    return alike >= SAME_RATE * every > 0


def _rising_memory(evidence: Evidence) -> Ground | None:
    """Return this ground where memory grows at the end of a run that has not reached n_min.

    It does where it has risen in every interval of nearly the whole run, though no look has said so yet.
    """
    told = _undecided(evidence) if evidence.is_last else None
    if told is None or told.signals[0] not in MEMORY:
        return None
    for name in dict.fromkeys(("tracked", *told.signals)):
        streak = evidence.streaks.get(name) if name in MEMORY else None
        if streak is not None and is_of_run(evidence, name, streak):
            return replace(told, signals=(name,), streak=streak)
    series = evidence.trusted[told.signals[0]]
    return told if series.state is SeriesState.EARLY and (series.low or 0.0) > 0 else None


def _replacing(evidence: Evidence) -> Ground | None:
    """Return this ground where sites grow, and as much is freed elsewhere: what was there before may be replaced.

    That comes to an end. A leak may stand beside it as well, so nothing is decided before.
    """
    growing = [suspect for suspect in _may_be_replacing(evidence) if _grows_still(suspect)]
    if not growing:
        return None
    rate = sum(suspect.verdict.rate or 0.0 for suspect in growing)
    return Ground(GroundKind.REPLACING, ("tracked",), sites=len(growing), proven_rate=rate)


def _may_be_replacing(evidence: Evidence) -> list[Suspect]:
    """Return the suspects that leak, where all memory together is known to grow by much less than they keep of it.

    The sum of a table that is doubled now and then stands still most of the time, and tells nothing.
    """
    steady = [s for s in _suspects_that_leak(evidence) if s.verdict.state is not SeriesState.MEASURED]
    whole = evidence.trusted.get("tracked")
    if not steady or whole is None or whole.verdict is Verdict.LEAK or whole.high is None:
        return []
    return steady if whole.high < _REPLACED_SHARE * sum(s.verdict.rate or 0.0 for s in steady) else []


def _growing_sites(evidence: Evidence) -> Ground | None:
    """Return this ground where sites leak and the sum of all bytes does not show it by itself."""
    leaking = _leaking_sites(evidence)
    whole = evidence.trusted.get("tracked")
    if not leaking or (whole is not None and whole.verdict is Verdict.LEAK):
        return None
    rate = sum(growth.rate or 0.0 for growth in leaking)
    return Ground(GroundKind.GROWING_SITES, ("tracked",), sites=len(leaking), proven_rate=rate)


def _steady_memory(evidence: Evidence) -> Ground | None:
    """Return this ground where a counter leaks; the heap's only where no ledger sees every block, and none stays."""
    excused = evidence.is_ledger_flat or evidence.is_heap_excused
    names = tuple(name for name in MEMORY if name != "heap" or not excused)
    return _steady(evidence, names, GroundKind.STEADY_MEMORY)


def _fragmentation(evidence: Evidence) -> Ground | None:
    """Return this ground where the audit explains what grows; mapped memory comes in steps, so RSS shows it sooner."""
    rss = evidence.judged.get("rss")
    names = ("rss", "mapped") if rss is not None and rss.is_growing else ("mapped",)
    return _steady(evidence, names, GroundKind.FRAGMENTATION) if evidence.is_fragmented else None


def _steady_mapped(evidence: Evidence) -> Ground | None:
    """Return this ground where mapped memory leaks; or resident memory, where nothing nearer is seen.

    An allocator of a library's own maps much at a time and fills it: then only resident memory grows.
    """
    rss = evidence.judged.get("rss")
    is_filled = evidence.is_rss_mapped and rss is not None and rss.is_growing and not _is_n_min_small(evidence)
    names = ("rss", "mapped") if evidence.only_outside or is_filled else ("mapped",)
    return _steady(evidence, names, GroundKind.STEADY_MAPPED)


def _memory_at_limit(evidence: Evidence) -> Ground | None:
    return _at_limit(evidence, GroundKind.MEMORY_AT_LIMIT, is_count=False)


def _memory_every_cycle(evidence: Evidence) -> Ground | None:
    """Return this ground where memory rose up to the end of the run, fast enough to reach its limit."""
    much = min(_MUCH_MEMORY_BYTES, _MUCH_OF_LIMIT * (evidence.rss_limit_bytes or float("inf")))
    rising = (name for name in ("tracked", "rss") if rose_to_the_end(evidence, name))
    names = tuple(n for n in rising if evidence.streaks[n].growth > much and evidence.streaks[n].goes_on)
    if not names:
        return None
    return Ground(GroundKind.MEMORY_EVERY_CYCLE, names, streak=evidence.streaks[names[0]])


def _steady_children(evidence: Evidence) -> Ground | None:
    """Return this ground where the RSS of children that still live grows; a few pages of it are no news."""
    children = evidence.children
    if children is None or children.growth_bytes < NOTABLE_RSS_BYTES:
        return None
    ground = _steady(evidence, ("children_rss",), GroundKind.STEADY_CHILDREN)
    return None if ground is None else replace(ground, children=children)


def _growing_processes(evidence: Evidence) -> Ground | None:
    """Return this ground where processes leak in which the tracker counts; those that keep most are told first."""
    leaking = [judged for judged in evidence.roles if judged.role.verdict is Verdict.LEAK]
    leaking.sort(key=lambda judged: -((judged.growth.rate if judged.growth is not None else None) or 0.0))
    if not leaking:
        return None
    return Ground(GroundKind.GROWING_PROCESSES, ("children_tracked",), roles=tuple(judged.role for judged in leaking))


def _open_processes(evidence: Evidence) -> Ground | None:
    decided = (Verdict.CLEAN, Verdict.LEAK)
    still_open = tuple(judged.role for judged in evidence.roles if judged.role.verdict not in decided)
    return Ground(GroundKind.OPEN_PROCESSES, roles=still_open) if still_open else None


def _no_growth(evidence: Evidence) -> Ground | None:
    deciding = evidence.deciding
    proven = tuple(name for name, series in deciding.items() if series.verdict is Verdict.CLEAN)
    if not proven or _cannot_be_clean(evidence) or evidence.needed_for_clean - deciding.keys() or evidence.open:
        return None
    if _unexplained_rss(evidence) is not None:
        return None
    first = next((name for name in _TELLING if name in proven), proven[0])
    return Ground(GroundKind.NO_GROWTH, (first, *(name for name in proven if name != first)))


def _nothing_stays(evidence: Evidence) -> Ground | None:
    """Return this ground where the ledger proves that no memory stays, and no signal says otherwise.

    Counters of memory need not prove it themselves: under a sawtooth of megabytes they never could. What the ledger
    does not see (descriptors, threads, processes) must be CLEAN by itself.
    """
    survivors, series = evidence.survivors, evidence.early
    if survivors is None or survivors.verdict is not Verdict.CLEAN or _cannot_be_clean(evidence):
        return None
    counted = tuple(name for name in series if SIGNALS[name].role is Role.DECIDES and name not in MEMORY)
    if evidence.required.difference(counted, MEMORY):
        return None
    if any(series[name].verdict is not Verdict.CLEAN for name in counted):
        return None
    if any(_objects(name, evidence) for name in series):
        return None
    return Ground(GroundKind.NOTHING_STAYS, ("tracked", *counted))


def _hidden_memory(evidence: Evidence) -> Ground | None:
    """Return this ground where all that is counted is CLEAN, and memory that nothing counts may be growing."""
    if not evidence.may_hide_growth:
        return None
    counted = replace(evidence, may_hide_growth=False)
    is_clean = _no_growth(counted) is not None or _nothing_stays(counted) is not None
    return Ground(GroundKind.HIDDEN_MEMORY, ("rss",)) if is_clean else None


def _not_read(evidence: Evidence) -> Ground | None:
    missing = evidence.needed_for_clean - evidence.deciding.keys()
    if evidence.only_outside or not missing:
        return None
    return Ground(GroundKind.NOT_READ, tuple(sorted(missing)))


def _heap_beside_ledger(evidence: Evidence) -> Ground | None:
    """Return this ground where the heap counter alone is open: it leaks, and the ledger is flat."""
    is_open = evidence.open
    only_heap = list(is_open) == ["heap"] and is_open["heap"].verdict is Verdict.LEAK
    return Ground(GroundKind.HEAP_BESIDE_LEDGER, ("heap",)) if only_heap and evidence.is_ledger_flat else None


def _slowing(evidence: Evidence) -> Ground | None:
    is_open = _open(evidence)
    settling = tuple(name for name, series in is_open.items() if series.verdict is Verdict.SETTLING)
    others = _growing(is_open) if evidence.only_outside else is_open.keys() - settling
    if not settling or others:
        return None
    return Ground(GroundKind.SLOWING, settling if evidence.only_outside else _most_telling_first(evidence, settling))


def _undecided(evidence: Evidence) -> Ground | None:
    is_open = list(_open(evidence))
    if not is_open:
        return None
    names = _most_telling_first(evidence, is_open)
    return Ground(GroundKind.UNDECIDED, names, streak=told_streak(evidence, names[0]))


def _unexplained_rss(evidence: Evidence) -> Ground | None:
    """Return this ground while an alarm sounds: pages that malloc took at first, and no more, are no news."""
    if evidence.only_outside:
        return None
    sounding = [
        name
        for name, series in evidence.judged.items()
        if SIGNALS[name].role is Role.ALARMS
        and series.verdict is Verdict.LEAK
        and series.is_growing
        and not (name == "rss" and evidence.is_rss_explained)
    ]
    return Ground(GroundKind.UNEXPLAINED_RSS, tuple(sounding)) if sounding else None


def _uncounted_children(evidence: Evidence) -> Ground | None:
    if not evidence.has_uncounted_children:
        return None
    return Ground(GroundKind.UNCOUNTED_CHILDREN, children=evidence.children)


def _only_outside(evidence: Evidence) -> Ground | None:
    return Ground(GroundKind.ONLY_OUTSIDE) if evidence.only_outside else None


def _nothing_read(_: Evidence) -> Ground:
    return Ground(GroundKind.NOTHING_READ)


class Rule(NamedTuple):
    """A row of the table: a kind of ground, and when it holds."""

    kind: GroundKind
    find: Callable[[Evidence], Ground | None]


PRECEDENCE: tuple[Rule, ...] = (
    Rule(GroundKind.DRIVER_FAILED, _driver_failed),
    Rule(GroundKind.CONTROL_FAILED, _control_failed),
    # What leaks descriptors or threads mostly leaks memory with them: the count explains the memory.
    Rule(GroundKind.STEADY_COUNT, _steady_count),
    Rule(GroundKind.COUNT_AT_LIMIT, _count_at_limit),
    Rule(GroundKind.COUNT_EVERY_CYCLE, _count_every_cycle),
    # Blocks that nothing points to can never be freed, whatever a cache does.
    Rule(GroundKind.LOST_BLOCKS, _lost_blocks),
    # A list grows for ever where no code removes anything from it.
    Rule(GroundKind.KEPT_BLOCKS, _kept_blocks),
    # A cache that fills grows at one rate for as long as it fills; here its bound is known.
    Rule(GroundKind.FILLING_CACHE, _filling_cache),
    # There are only so many modules to import.
    Rule(GroundKind.FILLING_MODULES, _filling_modules),
    # What was not looked at to the end is not known.
    Rule(GroundKind.MAYBE_FILLING, _maybe_filling),
    # A cache of unknown size would look the same.
    Rule(GroundKind.FEW_CYCLES, _few_cycles),
    # A small leak hides in the sum of all sites under the sawteeth of others.
    Rule(GroundKind.GROWING_SITES, _growing_sites),
    Rule(GroundKind.STEADY_MEMORY, _steady_memory),
    Rule(GroundKind.FRAGMENTATION, _fragmentation),
    Rule(GroundKind.STEADY_MAPPED, _steady_mapped),
    Rule(GroundKind.MEMORY_AT_LIMIT, _memory_at_limit),
    Rule(GroundKind.MEMORY_EVERY_CYCLE, _memory_every_cycle),
    # What the process itself leaks is told before what its children leak, and what is counted before RSS.
    Rule(GroundKind.GROWING_PROCESSES, _growing_processes),
    Rule(GroundKind.STEADY_CHILDREN, _steady_children),
    # What sites keep is no growth where as much is freed, and may be a leak all the same.
    Rule(GroundKind.REPLACING, _replacing),
    Rule(GroundKind.NO_GROWTH, _no_growth),
    # Exact, and sooner than the counters; but where those are CLEAN too, they bound the growth of all there is.
    Rule(GroundKind.NOTHING_STAYS, _nothing_stays),
    # Neither says anything of blocks that an allocator of a library's own hands out.
    Rule(GroundKind.HIDDEN_MEMORY, _hidden_memory),
    Rule(GroundKind.NOT_READ, _not_read),
    # malloc's own caches count as in use; what is not explained by them may still be no block of the program's.
    Rule(GroundKind.HEAP_BESIDE_LEDGER, _heap_beside_ledger),
    Rule(GroundKind.SLOWING, _slowing),
    Rule(GroundKind.UNDECIDED, _undecided),
    Rule(GroundKind.UNEXPLAINED_RSS, _unexplained_rss),
    Rule(GroundKind.UNCOUNTED_CHILDREN, _uncounted_children),
    Rule(GroundKind.OPEN_PROCESSES, _open_processes),
    Rule(GroundKind.ONLY_OUTSIDE, _only_outside),
    Rule(GroundKind.NOTHING_READ, _nothing_read),
)
"""What overrules what: the first row whose ground holds decides, and nothing changes the verdict afterwards."""

_ORDER = [rule.kind for rule in PRECEDENCE]
_BELOW_CONTROLS = PRECEDENCE[_ORDER.index(GroundKind.CONTROL_FAILED) + 1 :]
_BELOW_CACHES = PRECEDENCE[_ORDER.index(GroundKind.FEW_CYCLES) + 1 :]
_WHAT_A_CACHE_MAY_BE = (
    GroundKind.GROWING_SITES,
    GroundKind.STEADY_MEMORY,
    GroundKind.MEMORY_EVERY_CYCLE,
    GroundKind.UNDECIDED,
)
_MAYBE_CACHES = (
    GroundKind.FILLING_CACHE,
    GroundKind.FILLING_MODULES,
    GroundKind.MAYBE_FILLING,
    GroundKind.FEW_CYCLES,
)
_BY_NO_SIGNAL = (GroundKind.NOT_READ,)
_LATER_SHARE = 0.5
"""What grew until three quarters of the cycles were over has half of its rate in the later half of them."""
_REPLACED_SHARE = 0.5
"""Where all memory grows by less than this share of what sites keep, the rest of that is freed elsewhere."""
_WINDOWS_TO_LOOK = 2
"""The first look that decides needs this many times n_min."""
_ENOUGH_ALIKE = ENOUGH_N_MIN * 5 // 4
"""Cycles of which each part is alike: a cache of as many entries as fill 0.6 of two windows is full before the last."""
_TELLING = ("tracked", "heap", "python_blocks")
"""Of several signals that do not grow, the one whose bound says most about memory."""


# ---- what the rules have in common ----


def _proven(evidence: Evidence, proven: Proven | None, kind: GroundKind) -> Ground | None:
    """Return this ground where call sites are proven to keep more than is accepted."""
    if proven is None or not proven.growth.rate or proven.growth.rate < 0:
        return None
    if not evidence.exceeds_tolerance(proven.growth):
        return None
    rate = proven.growth.rate
    return Ground(kind, ("tracked",), sites=proven.sites, proven_rate=rate, keeper=proven.keeper)


def _deciding_proof(evidence: Evidence, kind: GroundKind) -> Proven | None:
    """Return what a ground of this kind rests on; None of other kinds."""
    return {GroundKind.LOST_BLOCKS: evidence.lost, GroundKind.KEPT_BLOCKS: evidence.kept}.get(kind)


def _steady(evidence: Evidence, names: Sequence[str], kind: GroundKind) -> Ground | None:
    leaking = tuple(n for n in names if n in evidence.judged and evidence.judged[n].verdict is Verdict.LEAK)
    return Ground(kind, leaking) if leaking else None


def _growing_memory_alone(evidence: Evidence) -> tuple[Ground, dict[str, SeriesVerdict] | None]:
    """Return what would be told without caches; with the series where that is memory, and nothing else grows."""
    told = _grounds(evidence, _BELOW_CACHES)[0]
    may_fill = told.kind in _WHAT_A_CACHE_MAY_BE
    tracked = _tracked(evidence)
    if not may_fill or told.signals[0] not in MEMORY or tracked is None:
        return told, None
    series = {**evidence.trusted, "tracked": tracked}
    growing = {n for n, s in series.items() if SIGNALS[n].role is Role.DECIDES and _is_above_zero(s)}
    return told, (series if growing <= set(MEMORY) else None)


def _at_limit(evidence: Evidence, kind: GroundKind, *, is_count: bool) -> Ground | None:
    """Return this ground where the signal rose until a guard stopped the component, though the rule has no verdict."""
    stop = evidence.stop
    if stop is None or (stop.signal in COUNTS) is not is_count:
        return None
    grew = stop.limit.last > stop.limit.first and stop.limit.cycles > 0
    return Ground(kind, (stop.signal,), limit=stop.limit) if grew else None


def _leaking_sites(evidence: Evidence) -> list[SeriesVerdict]:
    """Return the growth of the sites that leak; where n_min is small, of those that still grow."""
    return [suspect.verdict for suspect in _leaking_suspects(evidence)]


def _leaking_suspects(evidence: Evidence) -> list[Suspect]:
    replacing = {suspect.site for suspect in _may_be_replacing(evidence)}
    return [suspect for suspect in _suspects_that_leak(evidence) if suspect.site not in replacing]


def _suspects_that_leak(evidence: Evidence) -> list[Suspect]:
    leaking = [s for s in evidence.suspects if s.is_leak and evidence.exceeds_tolerance(s.verdict)]
    if _is_n_min_small(evidence):
        leaking = [suspect for suspect in leaking if suspect.verdict.is_growing and _is_no_full_table(suspect)]
    is_n_min_large = evidence.n_min is None or evidence.n_min >= N_MIN_OF_OWN_CACHES
    if not is_n_min_large and (evidence.is_n_min_of_slow_cycles or evidence.may_be_bounded):
        leaking = [suspect for suspect in leaking if _grows_still(suspect)]
    return leaking


def _is_no_full_table(suspect: Suspect) -> bool:
    """Whether a site goes on to grow, where caches of a thousand may not be full yet.

    The table of a dict in which entries come and go is made larger once more after up to twice that many cycles.
    """
    if suspect.verdict.state is SeriesState.MEASURED:
        return (suspect.verdict.decided_at or 0) >= _WINDOWS_TO_LOOK * ENOUGH_N_MIN
    return suspect.goes_on


def _grows_still(suspect: Suspect) -> bool:
    """Whether a site has grown over the later half of the cycles too: a look may have called a cache a leak before."""
    if suspect.verdict.state is SeriesState.MEASURED:  # the table of a dict, which is made larger now and then
        return (suspect.verdict.decided_at or 0) >= CYCLES_OF_OWN_CACHES
    recent = suspect.recent_bytes_per_cycle
    return recent is None or recent >= _LATER_SHARE * (suspect.verdict.rate or 0.0)


def _open(evidence: Evidence) -> dict[str, SeriesVerdict]:
    if not evidence.only_outside:
        return evidence.open
    return {
        name: evidence.series[name]
        for name in (*COUNTS, "rss", "mapped")
        if name in evidence.series and evidence.series[name].verdict is not Verdict.CLEAN
    }


def _most_telling_first(evidence: Evidence, names: Sequence[str]) -> tuple[str, ...]:
    """Put first the strongest evidence of growth: a count that rose in each cycle, then any signal that grows.

    Of several that grow, counts come before memory. Where nothing grows, it is the signal that needs most cycles, and
    of several one that speaks of memory. From outside: one that grows, else RSS.
    """
    series = _open(evidence)
    if evidence.only_outside:
        first = (_growing(series) or [name for name in ("rss", *names) if name in names])[0]
    else:
        first = max(names, key=lambda name: _strength(evidence, name, series[name]))
    return (first, *(name for name in names if name != first))


def _strength(evidence: Evidence, name: str, series: SeriesVerdict) -> tuple[bool, bool, bool, int, bool]:
    """Return by what signals that are open are ordered: the largest is told."""
    grows = series.is_growing and (series.low or 0.0) > 0
    is_count = name in COUNTS
    return told_streak(evidence, name) is not None, grows, grows and is_count, series.needed or 0, name in _TELLING


def _growing(series: Mapping[str, SeriesVerdict]) -> list[str]:
    return [n for n, s in series.items() if s.verdict is not Verdict.SETTLING and (s.low or 0.0) > 0]


def _cannot_be_clean(evidence: Evidence) -> bool:
    return (
        evidence.only_outside
        or evidence.may_hide_growth
        or evidence.has_uncounted_children
        or any(judged.role.verdict is not Verdict.CLEAN for judged in evidence.roles)
    )


def _objects(name: str, evidence: Evidence) -> bool:
    """Whether a signal grows, and not only as pages grow under a heap that itself goes up just now.

    Resident memory that settles is waited for while readings follow: it is what the allocators take at first. One that
    grows at one rate is none where audits explain all of it: garbage may wait longer for its collection.
    """
    series = evidence.early
    role, seen, heap = SIGNALS[name].role, series[name], series.get("heap")
    if role is Role.INFORMS or not seen.is_growing:
        return False
    if name == "heap":
        return not evidence.is_only_tcache(series)
    if name in LEDGER and evidence.is_within_drops:
        return False
    is_explained = evidence.is_rss_explained and (evidence.is_last or seen.verdict is Verdict.LEAK)
    if name == "rss" and (is_explained or (evidence.is_last and seen.verdict is Verdict.SETTLING)):
        return False
    heap_rate = heap.rate if heap is not None and heap.rate is not None else 0.0
    return role is Role.DECIDES or (seen.low or 0.0) > heap_rate


def _goes_on_for_caches(evidence: Evidence) -> bool:
    """Whether a run goes on until a container that the code keeps small could be full.

    Which one holds the objects only the process itself can tell, after its last cycle. Where it is one of these, a run
    that ended here would have no verdict, so from half-way on it goes on where objects of Python become more.
    """
    objects = evidence.series.get("python_blocks")
    is_half_way = 2 * evidence.cycles >= CYCLES_OF_OWN_CACHES
    return evidence.may_be_bounded or (is_half_way and objects is not None and _is_above_zero(objects))


def _is_above_zero(series: SeriesVerdict) -> bool:
    return series.verdict is not Verdict.CLEAN and (series.low or 0.0) > 0


def _rests_on(evidence: Evidence, grounds: tuple[Ground, ...]) -> set[str]:
    """Return the signals without which the verdict would not stand: LEAK on one, CLEAN on all that were proven."""
    decision = _decision(evidence, grounds)
    if decision.verdict is Verdict.LEAK and decision.decided_by is not None:
        is_ledger = decision.decided_by in (*LEDGER, "children_tracked")
        return {"tracked" if is_ledger else decision.decided_by}
    if decision.verdict is Verdict.CLEAN:
        return {
            name
            for name, series in decision.series.items()
            if SIGNALS[name].role is Role.DECIDES and series.verdict is Verdict.CLEAN
        }
    return set()


# ---- from grounds to a decision ----


def _completed_series(evidence: Evidence, grounds: tuple[Ground, ...]) -> dict[str, SeriesVerdict]:
    """Return what each signal says, with what the sites, a scan, the survivors or a guard know of it."""
    first = grounds[0]
    if first.kind is GroundKind.NOTHING_STAYS and evidence.survivors is not None:
        series = {**evidence.early, "tracked": evidence.survivors}
    else:
        series = evidence.trusted
        if (tracked := _tracked(evidence)) is not None:
            series["tracked"] = tracked
        if first.limit is not None:
            limit = first.limit
            at = max(limit.cycles, evidence.cycles)
            series[first.signals[0]] = risen(limit.last - limit.first, since=0, cycles=limit.cycles, at=at)
        if first.kind is GroundKind.GROWING_PROCESSES:
            series["children_tracked"] = together(_leaking_processes(evidence))
        if first.streak is not None:
            series[first.signals[0]] = _with_streak(evidence, first, first.streak)
    return {name: series[name] for name in SIGNALS if name in series}


def _tracked(evidence: Evidence) -> SeriesVerdict | None:
    """Return what is known of the memory that was asked for and stays: by its sum, its sites, or a scan."""
    whole, leaking = evidence.trusted.get("tracked"), _leaking_sites(evidence)
    parts = together([*leaking, evidence.steady] if evidence.steady is not None else leaking) if leaking else None
    if whole is not None and whole.verdict is Verdict.LEAK:
        return told_closer(whole, parts)
    if parts is not None and (whole is None or whole.rate is None):
        return with_undecided(parts, evidence.suspects, evidence.steady)
    if parts is not None:
        others = (_steady_count, _steady_memory)
        is_leak = any(find(evidence) is not None for find in others)
        return at_least(whole, parts) if is_leak and whole is not None else parts
    for ground in (_lost_blocks(evidence), _kept_blocks(evidence)):
        proof = None if ground is None else _deciding_proof(evidence, ground.kind)
        if proof is not None:
            return replace(proof.total, decided_at=proof.at_cycle)
    return whole


def _leaking_processes(evidence: Evidence) -> list[SeriesVerdict]:
    leaking = [j.growth for j in evidence.roles if j.role.verdict is Verdict.LEAK and j.growth is not None]
    return leaking or [SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED)]


def _with_streak(evidence: Evidence, ground: Ground, streak: Streak) -> SeriesVerdict:
    """Return what a signal that rose in each cycle says: its exact rate, of an undecided one where none is known."""
    if VERDICTS[ground.kind] is Verdict.LEAK:
        until = streak.since + streak.cycles
        return risen(streak.growth, since=streak.since, cycles=streak.cycles, at=until)
    series, rate = evidence.series[ground.signals[0]], streak.rate
    return series if series.rate is not None else replace(series, rate=rate, low=rate, high=rate, is_growing=True)


def _needed(evidence: Evidence, first: Ground) -> int | None:
    if first.kind in (GroundKind.FILLING_CACHE, GroundKind.MAYBE_FILLING) and first.filling is not None:
        if first.filling.cache.has_hidden_bound:
            return max(CYCLES_OF_OWN_CACHES - evidence.cycles, 1)
        return needed_cycles(first.filling, evidence.cycles, evidence.n_min)
    if first.kind is GroundKind.FEW_CYCLES:
        return _needed_for_enough(evidence, first)
    if first.kind is GroundKind.REPLACING and evidence.falling_bytes is not None and first.proven_rate:
        # Until all of it is replaced, and as many cycles again that show that nothing grows any more.
        return math.ceil(evidence.cycles + 2 * evidence.falling_bytes / first.proven_rate)
    if first.kind is GroundKind.OPEN_PROCESSES:
        return max((judged.needed for judged in evidence.roles if judged.needed), default=None)
    if first.kind is GroundKind.UNDECIDED and first.streak is not None:
        missing = cycles_of_a_streak(evidence.cycles) - first.streak.cycles
        if missing > 0:
            return math.ceil(missing)
    if first.kind in (GroundKind.SLOWING, GroundKind.UNDECIDED, GroundKind.NOT_READ):
        is_open = _open(evidence)
        if evidence.only_outside:
            return is_open[first.signals[0]].needed
        return max((series.needed for series in is_open.values() if series.needed), default=None)
    return None


def _needed_for_enough(evidence: Evidence, first: Ground) -> int:
    if _may_be_bounded(evidence):
        return max(CYCLES_OF_OWN_CACHES - evidence.cycles, 1)
    is_early = evidence.cycles < _ENOUGH_ALIKE and not evidence.may_be_bounded
    is_sooner = is_early and _is_alike_so_far(evidence, first)
    enough = _ENOUGH_ALIKE if is_sooner else _WINDOWS_TO_LOOK * ENOUGH_N_MIN
    return max(enough - evidence.cycles, 1)


def _is_final(evidence: Evidence, grounds: tuple[Ground, ...], series: Mapping[str, SeriesVerdict]) -> bool:
    first = grounds[0]
    if VERDICTS[first.kind] is Verdict.CLEAN:
        return True
    if VERDICTS[first.kind] is not Verdict.LEAK:
        return False
    proof = _deciding_proof(evidence, first.kind)
    if proof is not None:
        rest = grounds[1:]
        is_settled = proof.is_settled and not _a_count_rises(evidence)
        return is_settled or (bool(rest) and _decision(evidence, rest).is_final)
    if first.limit is not None or evidence.only_outside:
        return True
    may_be_cached = _may_hold_unknown_caches(evidence) and _goes_on_for_caches(evidence)
    if first.kind in _WHAT_A_CACHE_MAY_BE and may_be_cached:
        return False
    if first.kind is GroundKind.GROWING_PROCESSES:
        return all(judged.is_final for judged in evidence.roles if judged.role.verdict is Verdict.LEAK)
    if first.kind is GroundKind.GROWING_SITES and not any(g.kind is GroundKind.STEADY_MEMORY for g in grounds):
        return True
    return not _something_nearer_may_still_decide(evidence, first.signals[0], series)


def _a_count_rises(evidence: Evidence) -> bool:
    """Whether a count (descriptors, what is left behind) has risen in each of the last cycles and has no verdict yet.

    It explains more than memory, which may only be the list of what was opened.
    """
    rising = [name for name in COUNTS if name in evidence.series and name in evidence.streaks]
    return any(
        evidence.series[name].verdict is Verdict.INCONCLUSIVE and evidence.streaks[name].intervals >= FEWEST_INTERVALS
        for name in rising
    )


def _something_nearer_may_still_decide(
    evidence: Evidence, decided_by: str, series: Mapping[str, SeriesVerdict]
) -> bool:
    """Whether a signal that explains more (it stands before in SIGNALS) grows too, but has no verdict yet."""
    for name, verdict in series.items():
        if name == decided_by:
            return False
        may_decide = SIGNALS[name].role is not Role.INFORMS and name in evidence.judged
        counts = may_decide and not (name == "heap" and evidence.is_heap_excused)
        if counts and verdict.verdict is Verdict.INCONCLUSIVE and verdict.rate is not None and verdict.rate > 0:
            return True
    return False


def _decided_at(evidence: Evidence, first: Ground, series: Mapping[str, SeriesVerdict]) -> int | None:
    verdict = VERDICTS[first.kind]
    proof = _deciding_proof(evidence, first.kind)
    if proof is not None:
        return proof.at_cycle
    if verdict is Verdict.LEAK:
        return series[first.signals[0]].decided_at
    if verdict is Verdict.CLEAN:
        return max(series[name].decided_at or 0 for name in first.signals)
    return None
