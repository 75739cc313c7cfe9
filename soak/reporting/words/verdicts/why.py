"""Why a component has its verdict, in sentences: from its grounds, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from soak.attribution.fragmentation import is_mapped_by_program, may_be_fragmentation
from soak.grounds import MODULES, VERDICTS, Ground, GroundKind, LiveChildren, ProcessRole
from soak.measurements import NOTABLE_RSS_BYTES, SIGNALS
from soak.reporting.words.audit import part_name, size_words
from soak.reporting.words.causes.holders import cache_words
from soak.reporting.words.causes.owners import spot
from soak.reporting.words.verdicts.failures import where_it_failed
from soak.reporting.words.verdicts.gobjects import gobjects_sentence
from soak.reporting.words.verdicts.labels import labels_sentence
from soak.reporting.words.verdicts.left_behind import left_behind_sentence
from soak.reporting.words.verdicts.series import (
    CACHE_FITS_INTO_N_MIN,
    lookalike,
    needed_words,
    series_sentence,
    signal_sentence,
)
from soak.reporting.words.vocabulary import (
    capitalised,
    count_words,
    printable,
    rate_number,
    short_number,
    signal_title,
    unit_of,
)
from soak.results import ComponentResult
from soak.units import format_count, format_size
from soak.verdict import Verdict

RSS_LIMIT = "Resident memory never proves CLEAN: freed heap that stays resident can hide a leak for a long time."
_MOST_COMMANDS = 3
_MOST_PART = 0.95
"""What is more than this share of all growth is as good as all of it."""
_BY_COUNTING = (
    GroundKind.STEADY_COUNT,
    GroundKind.GROWING_SITES,
    GroundKind.STEADY_MEMORY,
    GroundKind.STEADY_MAPPED,
    GroundKind.STEADY_CHILDREN,
    GroundKind.GROWING_PROCESSES,
)

_NOUNS_OF_A_WATCH = ("mark", "sample")
_IN_EACH_CYCLE = (GroundKind.COUNT_EVERY_CYCLE, GroundKind.MEMORY_EVERY_CYCLE)


def why_words(component: ComponentResult) -> str:
    """Say all of why: what failed, what decided, what would look the same, and what is missing to decide."""
    parts = (failure_sentence(component), why_sentence(component), lookalike_sentence(component))
    return " ".join(part for part in parts if part)


def failure_sentence(component: ComponentResult) -> str:
    """Say what failed; empty if nothing did."""
    failure, noun = component.failure, component.cycle_noun
    if failure is None:
        return ""
    subject = "The driver" if noun == "call" else "The program"
    return f"{subject} failed {where_it_failed(failure, noun)}: {failure.detail}."


def why_sentence(component: ComponentResult) -> str:
    """Say what decided, and what is missing where nothing did; of a component that failed, what it was until then.

    Empty if it failed before its first cycle ended, and where an earlier version wrote the result.
    """
    grounds = component.grounds
    if not grounds:
        return ""
    if grounds[0].kind is GroundKind.DRIVER_FAILED:
        rest = grounds[1:] if component.iterations else ()
        return f"Its verdict until then: {VERDICTS[rest[0].kind]}. {_sentence(component, rest)}" if rest else ""
    sentence = f"{_sentence(component, grounds)}{_beside_children(component, grounds)}"
    details = (labels_sentence(component), gobjects_sentence(component))
    sentence = " ".join((sentence, *filter(None, details)))
    needed = component.needed_iterations
    is_open = component.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING)
    if is_open and needed and grounds[0].kind is not GroundKind.CONTROL_FAILED:
        return f"{sentence} {needed_words(needed, component.cycle_noun, component.cycle_s)}"
    return sentence


def lookalike_sentence(component: ComponentResult) -> str | None:
    """Say what would look the same as a leak that rests on counting; None for any other verdict."""
    decided = component.grounds[0].kind if component.grounds else None
    if decided in _IN_EACH_CYCLE:
        return _lookalike_of_streak(component.grounds[0])
    is_lost = any(cause.confirmed and cause.state == "lost" for cause in component.causes)
    is_proven = is_lost or _is_kept_by_processes(component.grounds)
    if decided not in _BY_COUNTING or component.n_min is None or is_proven:
        return None
    if decided is GroundKind.STEADY_COUNT:
        n_min = SIGNALS[component.grounds[0].signals[0]].own_n_min(component.n_min)
        cycles = format_count(round(CACHE_FITS_INTO_N_MIN * n_min))
        return f"A pool that takes more than about {cycles} {component.cycle_noun}s to fill would look the same."
    return lookalike(component.n_min, component.cycle_noun)


def _sentence(component: ComponentResult, grounds: Sequence[Ground]) -> str:  # noqa: C901  # a case for each kind
    first, noun = grounds[0], component.cycle_noun
    match first.kind:
        case GroundKind.DRIVER_FAILED:
            return ""  # it is told on its own
        case GroundKind.CONTROL_FAILED:
            rest = f" {_sentence(component, grounds[1:])}" if grounds[1:] else ""
            return f"Not proven: the control of {_titles(first.signals)} failed.{rest}"
        case GroundKind.STEADY_COUNT if first.signals[0] == "left_behind":
            return left_behind_sentence(component)
        case GroundKind.STEADY_COUNT | GroundKind.STEADY_MEMORY | GroundKind.STEADY_MAPPED:
            return _signal(component, first.signals[0]) if first.signals else ""
        case GroundKind.COUNT_AT_LIMIT | GroundKind.MEMORY_AT_LIMIT:
            return _at_limit(first, noun)
        case GroundKind.COUNT_EVERY_CYCLE | GroundKind.MEMORY_EVERY_CYCLE:
            return _in_each_cycle(component, first)
        case GroundKind.LOST_BLOCKS:
            return _lost_blocks(component, first) + _pinned_heap(component, grounds)
        case GroundKind.KEPT_BLOCKS:
            return _kept_blocks(component, first) + _pinned_heap(component, grounds)
        case GroundKind.FILLING_CACHE:
            return _filling_cache(first, noun)
        case GroundKind.MAYBE_FILLING:
            return _maybe_filling(first, noun)
        case GroundKind.REPLACING:
            return _replacing(first, noun)
        case GroundKind.GROWING_SITES:
            return _growing_sites(component, first) + _pinned_heap(component, grounds)
        case GroundKind.FILLING_MODULES:
            return _filling_modules(first)
        case GroundKind.FEW_CYCLES:
            return _few_cycles(component, first)
        case GroundKind.FRAGMENTATION:
            told = _signal(component, first.signals[0])
            return f"{told} It is free memory that the allocators keep: fragmentation."
        case GroundKind.STEADY_CHILDREN:
            living = "" if first.children is None else f" {_live_children(first.children, noun)}"
            return f"{_signal(component, first.signals[0])}{living}"
        case GroundKind.NO_GROWTH:
            return f"{_signal(component, first.signals[0])}{_nor_do(first.signals[1:])}"
        case GroundKind.NOTHING_STAYS:
            return f"{_tracked(component)}{_for_work_of_others(component)}{_nor_do(first.signals[1:])}"
        case GroundKind.NOT_READ:
            return f"{capitalised(_titles(first.signals))} could not be read, so growth there is not ruled out."
        case GroundKind.HEAP_BESIDE_LEDGER:
            told = _signal(component, first.signals[0])
            return f"{told} The tracker saw every block, and none stays: malloc may keep freed chunks for its threads."
        case GroundKind.HIDDEN_MEMORY:
            return f"The memory that soak counts does not grow. {_hidden_memory(component)}"
        case GroundKind.SLOWING:
            return _signal(component, first.signals[0])
        case GroundKind.UNDECIDED if first.streak is not None:
            return _in_each_cycle_so_far(component, first)
        case GroundKind.UNDECIDED:
            limit = f" {RSS_LIMIT}" if any(g.kind is GroundKind.ONLY_OUTSIDE for g in grounds) else ""
            return f"{_signal(component, first.signals[0])}{limit}"
        case GroundKind.UNEXPLAINED_RSS:
            return f"{_signal(component, first.signals[0])} {_beside_memory_in_use(component)}"
        case GroundKind.UNCOUNTED_CHILDREN:
            if first.children is not None:
                return f"The program itself does not grow. {_live_children(first.children, noun)}"
            return f"The program itself does not grow. soak does not see inside its child processes. {RSS_LIMIT}"
        case GroundKind.GROWING_PROCESSES:
            kept = f" {_kept_blocks(component, grounds[1])}" if _is_kept_by_processes(grounds) else ""
            return f"{_growing_processes(first, noun)}{kept}"
        case GroundKind.OPEN_PROCESSES:
            return f"The program itself does not grow. {_open_processes(first, noun)}"
        case GroundKind.ONLY_OUTSIDE:
            return f"No counter that can be read from outside grows. {RSS_LIMIT}"
        case GroundKind.NOTHING_READ:
            return "Nothing was read."


def _signal(component: ComponentResult, name: str) -> str:
    signal = component.signals.get(name)
    series = None if signal is None else signal.series
    if series is None:
        return f"{capitalised(signal_title(name))}: not read."
    return signal_sentence(name, series, component.cycle_noun)


def _tracked(component: ComponentResult) -> str:
    """Say how much memory stays, without naming the signal."""
    signal = component.signals.get("tracked")
    series = None if signal is None else signal.series
    return "" if series is None else series_sentence(series, "bytes", component.cycle_noun)


def _for_work_of_others(component: ComponentResult) -> str:
    """Say why more may stay per cycle than the tolerance, where other processes do the work."""
    signal = component.signals.get("tracked")
    series = None if signal is None else signal.series
    most = component.tolerance_bytes
    if series is None or series.tolerance is None or series.tolerance <= most or (series.rate or 0.0) <= most:
        return ""
    tolerance, of_cycle = rate_number(most, "bytes"), rate_number(series.tolerance, "bytes")
    noun = component.cycle_noun
    return f" The tolerance is {tolerance} per mark of the other processes, which is {of_cycle} per {noun}."


def _lost_blocks(component: ComponentResult, ground: Ground) -> str:
    """Say what is lost, and by how much the component grows in all where that is more."""
    noun, where = component.cycle_noun, _call_sites(ground.sites or 0)
    nothing = "Nothing" if ground.sites == 1 else "Nothing outside"  # several kinds of blocks may point to each other
    lost = f"{nothing} points to the blocks that {where} allocated, so they are lost"
    if ground.proven_rate is None:
        return f"{lost}."
    return f"{lost}: {rate_number(ground.proven_rate, 'bytes')} per {noun}."


def _kept_blocks(component: ComponentResult, ground: Ground) -> str:
    """Say which container keeps what, and why that is no cache that fills."""
    keeper, noun = ground.keeper, component.cycle_noun
    assert keeper is not None
    place = f"{PurePath(keeper.file).name}:{keeper.line}"
    rate = f"{_at_least(component, ground)}{rate_number(ground.proven_rate or 0.0, 'bytes')}"
    if noun in _NOUNS_OF_A_WATCH:  # not each of them is a request that adds something
        return (
            f"The container {keeper.name} only grows: {place} adds to it, and no code removes anything from it: "
            f"{rate} per {noun}."
        )
    return f"Each {noun} adds to {keeper.name} at {place}, and no code removes anything from it: {rate} per {noun}."


def _at_least(component: ComponentResult, ground: Ground) -> str:
    """Say that a container holds more than what its own lines allocate, where the component grows by more."""
    total = 0.0 if component.growth is None else component.growth.requested_bytes_per_iteration or 0.0
    return "at least " if (ground.proven_rate or 0.0) < _MOST_PART * total else ""


def _is_kept_by_processes(grounds: Sequence[Ground]) -> bool:
    """Whether a container that only grows is the leak of the processes that are told first."""
    kinds = [ground.kind for ground in grounds[:2]]
    return kinds == [GroundKind.GROWING_PROCESSES, GroundKind.KEPT_BLOCKS]


def _pinned_heap(component: ComponentResult, grounds: Sequence[Ground]) -> str:
    """Say that what stays keeps freed heap from being given back, where the audit finds that."""
    rss = component.signals.get("rss")
    is_fragmented = any(ground.kind is GroundKind.FRAGMENTATION for ground in grounds)
    if not is_fragmented or rss is None or not rss.per_iteration:
        return ""
    rate = rate_number(rss.per_iteration, "bytes")
    return (
        f" Resident memory grows by {rate} per {component.cycle_noun}, because these blocks keep malloc from returning "
        "freed heap to the system."
    )


def _growing_sites(component: ComponentResult, ground: Ground) -> str:
    noun, signal = component.cycle_noun, component.signals.get("tracked")
    proven = rate_number(ground.proven_rate or 0.0, "bytes")
    sites = f"Memory allocated at {_call_sites(ground.sites or 0)} stays: {proven} per {noun}"
    series = None if signal is None else signal.series
    since = f", steadily since {noun} {format_count(series.since)}" if series is not None and series.since else ""
    return f"{sites}{since}."


def _replacing(ground: Ground, noun: str) -> str:
    stays = rate_number(ground.proven_rate or 0.0, "bytes")
    kept = f"Memory allocated at {_call_sites(ground.sites or 0)} stays: {stays} per {noun}"
    return f"{kept}. Most of that is freed elsewhere: new blocks may just replace old ones."


def _at_limit(ground: Ground, noun: str) -> str:
    name, limit = ground.signals[0], ground.limit
    assert limit is not None
    shown = format_size if unit_of(name) == "bytes" else short_number
    allowed = "" if limit.allowed is None else f" ({shown(limit.allowed)} are allowed)"
    rose = f"{capitalised(signal_title(name))} rose from {shown(limit.first)} to {shown(limit.last)}{allowed}"
    ended = "soak stopped the component before it reached the limit."
    if limit.is_reached:
        ended = "Then the component reached a limit."
    return f"{rose} in {count_words(limit.cycles, noun)}. {ended}"


def _in_each_cycle(component: ComponentResult, ground: Ground) -> str:
    """Say that a signal rose in each cycle: a count by the same each time, memory by how much in all."""
    streak, name, noun = ground.streak, ground.signals[0], component.cycle_noun
    assert streak is not None
    if name == "left_behind":
        return left_behind_sentence(component, streak)
    cycles, title = count_words(streak.cycles, noun), capitalised(signal_title(name))
    if unit_of(name) == "bytes":
        return f"{title}: higher at each reading over {cycles}, by {format_size(streak.growth)} in total."
    return f"{title}: {short_number(streak.rate)} more in each of {cycles}."


def _in_each_cycle_so_far(component: ComponentResult, ground: Ground) -> str:
    streak, title = ground.streak, capitalised(signal_title(ground.signals[0]))
    assert streak is not None
    if ground.signals[0] == "left_behind":
        return left_behind_sentence(component, streak, so_far=" so far")
    return f"{title}: {short_number(streak.rate)} in each of {count_words(streak.cycles, component.cycle_noun)} so far."


def _lookalike_of_streak(ground: Ground) -> str:
    streak = ground.streak
    assert streak is not None
    if unit_of(ground.signals[0]) == "bytes":
        return f"A cache of more than {format_size(streak.growth)} would look the same."
    return f"A pool of more than {short_number(streak.growth)} would look the same."


def _filling_cache(ground: Ground, noun: str) -> str:
    filling = ground.filling
    assert filling is not None
    share = "all" if filling.is_all else "nearly all"
    more = f"It will grow by about {format_size(filling.more_bytes)} more."
    return f"{capitalised(cache_words(filling.cache, noun))}, holds {share} of the growth. {more}"


def _beside_memory_in_use(component: ComponentResult) -> str:
    """Say why pages grow while memory in use does not, or that this is not known."""
    if component.audit is not None and may_be_fragmentation(component.audit):
        return "The growth is free memory that the allocators keep. It is too small to tell whether it ends."
    if component.audit is not None and is_mapped_by_program(component.audit):
        return _hidden_memory(component)
    return "Memory in use does not grow, so this is unexplained."


def _hidden_memory(component: ComponentResult) -> str:
    """Name the memory that a library maps and hands out itself, with what of it is resident."""
    audit = component.audit
    grown = [] if audit is None else [part for part in audit.parts if part.made_by is not None and part.bytes > 0]
    if not grown:
        return "A library maps memory and allocates from it. soak does not see these blocks; they may be growing."
    part = max(grown, key=lambda part: part.bytes)
    made_by = part_name(part).removeprefix("mapped: ")
    now, before = (size_words(part.resident_bytes[at]) for at in (-1, 0))
    return (
        f"{made_by} maps memory and allocates from it itself: {now} are resident now, {before} at first. soak does not "
        "see these blocks; they may be growing."
    )


def _maybe_filling(ground: Ground, noun: str) -> str:
    filling = ground.filling
    assert filling is not None
    told = f"{capitalised(cache_words(filling.cache, noun))}, holds"
    if filling.cache.kind == MODULES:
        told = "Modules that are imported for the first time hold"
    if filling.loses_entries:
        return f"{told} the growth. It drops entries before it is full, so this is a cache that fills, or a leak."
    if filling.cache.capacity is not None and filling.cache.filled >= filling.cache.capacity:
        return f"{told} the growth. It may have just become full, so this is a cache that has filled, or a leak."
    if filling.cache.is_bounded_by_code:
        return f"{told} the growth. So this is a cache that fills, or a leak."
    seen = f"{told} the part of the growth that soak could look at."
    return f"{seen} soak could not look at all of it, so this is a cache that fills, or a leak."


def _filling_modules(ground: Ground) -> str:
    modules = ground.modules
    assert modules is not None
    so_far = f"{format_count(modules.filled)} so far, the latest {modules.name}"
    return f"Modules that are imported for the first time hold all of the growth: {so_far}."


def _few_cycles(component: ComponentResult, ground: Ground) -> str:
    """Say what grew so far, and where it is allocated that grows most."""
    noun, name = component.cycle_noun, ground.signals[0]
    signal = component.signals.get(name)
    known = ground.streak.rate if ground.streak is not None else None if signal is None else signal.per_iteration
    rate = rate_number(known or 0.0, unit_of(name))
    place = next((cause.python_where or cause.where for cause in component.causes), None)
    at = f", at {spot(place)}" if place is not None else ""
    over = count_words(component.iterations, noun)
    so_far = f"in each of {over}" if ground.streak is not None or name == "tracked" else f"per {noun} over {over}"
    grew = f"{capitalised(signal_title(name))}: so far {rate} {so_far}{at}."
    return f"{grew} A cache that takes more than {over} to fill would look the same."


def _beside_children(component: ComponentResult, grounds: Sequence[Ground]) -> str:
    """Say that children live too, where something else leaves the verdict open: they alone would."""
    if component.verdict not in (Verdict.INCONCLUSIVE, Verdict.SETTLING):
        return ""
    living = next((g.children for g in grounds[1:] if g.kind is GroundKind.UNCOUNTED_CHILDREN and g.children), None)
    return "" if living is None else f" {_live_children(living, component.cycle_noun)}"


def _live_children(children: LiveChildren, noun: str) -> str:
    """Say who lives: ``2 child processes (python, forked) live between calls; together they grew by 26 MiB RSS.``."""
    one = len(children.commands) == 1
    if children.growth_bytes >= NOTABLE_RSS_BYTES:
        grew = f"{'it' if one else 'together they'} grew by {format_size(children.growth_bytes)} of RSS"
    else:
        grew = f"{'its' if one else 'their'} RSS did not grow"
    count = f"{format_count(len(children.commands))} child process{'' if one else 'es'}"
    lives = f"{count} ({_commands(children)}) live{'s' if one else ''} between {noun}s"
    return f"{lives}; {grew}. soak does not see inside {'it' if one else 'them'} yet."


def _growing_processes(ground: Ground, noun: str) -> str:
    """Say which processes grow: ``2 child processes (python, forked) keep 10 kB per call together.``."""
    if not ground.roles:
        return "Processes that it started grow."
    return " ".join(f"{_role(role, f'keep{_s(role)} {_role_rate(role, noun)}')}." for role in ground.roles)


def _role_rate(role: ProcessRole, noun: str) -> str:
    unit = unit_of(role.signal) if role.signal is not None else "bytes"
    return f"{rate_number(role.rate or 0.0, unit)} per {noun}{'' if role.processes == 1 else ' together'}"


def _open_processes(ground: Ground, noun: str) -> str:
    """Say in which processes nothing is decided yet, and by what."""
    told = [] if ground.roles else ["It is not decided yet whether the processes that it started grow."]
    for role in ground.roles:
        what = "growth" if role.signal is None else signal_title(role.signal)
        rate = f" ({_role_rate(role, noun)} so far)" if role.rate else ""
        is_open = "still settles" if role.verdict is Verdict.SETTLING else "is not decided yet"
        told.append(f"In {_role(role, f'that keep{_s(role)} running')}, {what} {is_open}{rate}.")
    return " ".join(told)


def _role(role: ProcessRole, does: str) -> str:
    count = max(role.processes, 1)
    return f"{format_count(count)} child process{'' if count == 1 else 'es'} ({printable(role.command)}) {does}"


def _s(role: ProcessRole) -> str:
    return "s" if role.processes <= 1 else ""


def _commands(children: LiveChildren) -> str:
    names = [printable(command) for command, _ in children.counts]
    return "; ".join(names[:_MOST_COMMANDS]) + ("; …" if len(names) > _MOST_COMMANDS else "")


def _call_sites(sites: int) -> str:
    return "one call site" if sites == 1 else f"{format_count(sites)} call sites"


def _titles(names: Sequence[str]) -> str:
    return ", ".join(signal_title(name) for name in names)


def _nor_do(names: Sequence[str]) -> str:
    return f" These do not grow either: {_titles(names)}." if names else ""
