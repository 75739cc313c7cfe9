"""Why a component has its verdict, in sentences: from its grounds, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from soak.grounds import VERDICTS, Ground, GroundKind
from soak.reporting.words.caches import cache_words
from soak.reporting.words.failures import where_it_failed
from soak.reporting.words.series import CACHE_FITS_INTO_N_MIN, lookalike, needed_words, series_sentence, signal_sentence
from soak.reporting.words.vocabulary import capitalised, count_words, rate_number, short_number, signal_title, unit_of
from soak.results import ComponentResult
from soak.units import format_count, format_size
from soak.verdict import SeriesState, Verdict

RSS_LIMIT = "Resident memory never proves CLEAN: freed heap that stays resident can hide a leak for a long time."
_BY_COUNTING = (GroundKind.STEADY_COUNT, GroundKind.GROWING_SITES, GroundKind.STEADY_MEMORY, GroundKind.STEADY_MAPPED)


def why_words(component: ComponentResult) -> str:
    """Say all of why: what failed, what decided, what would look the same, and what is missing to decide."""
    failed, failure, noun = "", component.failure, component.cycle_noun
    if failure is not None:
        subject = "The driver" if noun == "call" else "The program"
        failed = f"{subject} failed {where_it_failed(failure, noun)}: {failure.detail}."
    parts = (failed, why_sentence(component), lookalike_sentence(component))
    return " ".join(part for part in parts if part)


def why_sentence(component: ComponentResult) -> str:
    """Say what decided, and what is missing where nothing did; of a component that failed, what it was until then.

    Empty where an earlier version wrote the result.
    """
    grounds = component.grounds
    if not grounds:
        return ""
    if grounds[0].kind is GroundKind.DRIVER_FAILED:
        rest = grounds[1:]
        return f"Until then {VERDICTS[rest[0].kind]}: {_sentence(component, rest)}" if rest else ""
    sentence = _sentence(component, grounds)
    needed = component.needed_iterations
    is_open = component.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING)
    if is_open and needed and grounds[0].kind is not GroundKind.CONTROL_FAILED:
        return f"{sentence} {needed_words(needed, component.cycle_noun, component.cycle_s)}"
    return sentence


def lookalike_sentence(component: ComponentResult) -> str | None:
    """Say what would look the same as a leak that rests on counting; None for any other verdict."""
    decided = component.grounds[0].kind if component.grounds else None
    is_lost = any(cause.confirmed and cause.state == "lost" for cause in component.causes)
    if decided not in _BY_COUNTING or component.n_min is None or is_lost:
        return None
    if decided is GroundKind.STEADY_COUNT:
        cycles = format_count(round(CACHE_FITS_INTO_N_MIN * component.n_min))
        return f"A pool that grows for more than about {cycles} {component.cycle_noun}s would look the same."
    return lookalike(component.n_min)


def _sentence(component: ComponentResult, grounds: Sequence[Ground]) -> str:  # noqa: C901  # a case for each kind
    first, noun = grounds[0], component.cycle_noun
    match first.kind:
        case GroundKind.DRIVER_FAILED:
            return ""  # it is told by itself
        case GroundKind.CONTROL_FAILED:
            rest = f" {_sentence(component, grounds[1:])}" if grounds[1:] else ""
            return f"Not proven: the control of {_titles(first.signals)} failed.{rest}"
        case GroundKind.STEADY_COUNT | GroundKind.STEADY_MEMORY | GroundKind.STEADY_MAPPED:
            return _signal(component, first.signals[0])
        case GroundKind.COUNT_AT_LIMIT | GroundKind.MEMORY_AT_LIMIT:
            return _at_limit(first, noun)
        case GroundKind.LOST_BLOCKS:
            where = _call_sites(first.sites or 0)
            return f"Nothing points to the blocks that {where} allocated, so they are lost. {_tracked(component)}"
        case GroundKind.FILLING_CACHE:
            return _filling_cache(first, noun)
        case GroundKind.GROWING_SITES:
            return _growing_sites(component, first)
        case GroundKind.FILLING_MODULES:
            return _filling_modules(first)
        case GroundKind.FEW_CYCLES:
            return _few_cycles(component, first)
        case GroundKind.FRAGMENTATION:
            told = _signal(component, first.signals[0])
            return f"{told} It is free memory that the allocators keep: fragmentation."
        case GroundKind.NO_GROWTH:
            return f"{_signal(component, first.signals[0])}{_nor_do(first.signals[1:])}"
        case GroundKind.NOTHING_STAYS:
            return f"{_tracked(component)}{_nor_do(first.signals[1:])}"
        case GroundKind.NOT_READ:
            return f"{capitalised(_titles(first.signals))} could not be read, so growth there is not ruled out."
        case GroundKind.SLOWING:
            return _signal(component, first.signals[0])
        case GroundKind.UNDECIDED:
            limit = f" {RSS_LIMIT}" if any(g.kind is GroundKind.ONLY_OUTSIDE for g in grounds) else ""
            return f"{_signal(component, first.signals[0])}{limit}"
        case GroundKind.UNEXPLAINED_RSS:
            return f"{_signal(component, first.signals[0])} Memory in use does not grow, so this is unexplained."
        case GroundKind.UNCOUNTED_CHILDREN:
            return f"The program itself does not grow. soak does not see inside its child processes. {RSS_LIMIT}"
        case GroundKind.ONLY_OUTSIDE:
            return f"Nothing that can be read from outside grows. {RSS_LIMIT}"
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
    if series is None:
        return ""
    sentence = series_sentence(series, "bytes", component.cycle_noun)
    return sentence if series.state is SeriesState.NOTHING_STAYS else sentence.replace("Grows by", "They grow by", 1)


def _growing_sites(component: ComponentResult, ground: Ground) -> str:
    noun, signal = component.cycle_noun, component.signals.get("tracked")
    proven = rate_number(ground.proven_rate or 0.0, "bytes")
    sites = f"Memory allocated at {_call_sites(ground.sites or 0)} stays: {proven} per {noun}"
    series = None if signal is None else signal.series
    since = f", steadily since {noun} {format_count(series.since)}" if series is not None and series.since else ""
    return f"{sites}{since}."


def _at_limit(ground: Ground, noun: str) -> str:
    name, limit = ground.signals[0], ground.limit
    assert limit is not None
    shown = format_size if unit_of(name) == "bytes" else short_number
    allowed = "" if limit.allowed is None else f", of {shown(limit.allowed)} that are allowed,"
    rose = f"{capitalised(signal_title(name))} rose from {shown(limit.first)} to {shown(limit.last)}{allowed}"
    return f"{rose} in {count_words(limit.cycles, noun)}. soak stopped the component before it reached the limit."


def _filling_cache(ground: Ground, noun: str) -> str:
    filling = ground.filling
    assert filling is not None
    share = "all" if filling.is_all else "nearly all"
    more = f"It will take about {format_size(filling.more_bytes)} more."
    return f"{capitalised(cache_words(filling.cache, noun))}, holds {share} that grows. {more}"


def _filling_modules(ground: Ground) -> str:
    modules = ground.modules
    assert modules is not None
    so_far = f"{format_count(modules.filled)} so far, the latest {modules.name}"
    return f"Modules that are imported for the first time hold all that grows: {so_far}."


def _few_cycles(component: ComponentResult, ground: Ground) -> str:
    """Say what grew so far, and where it is allocated that grows most."""
    noun, name = component.cycle_noun, ground.signals[0]
    signal = component.signals.get(name)
    rate = rate_number((signal.per_iteration if signal is not None else None) or 0.0, unit_of(name))
    place = next((cause.python_where or cause.where for cause in component.causes), None)
    at = f", at {place}" if place is not None else ""
    cycles = format_count(component.iterations)
    so_far = (
        f"{capitalised(signal_title(name))}: so far {rate} in each of {count_words(component.iterations, noun)}{at}."
    )
    return f"{so_far} A cache of more than {cycles} entries would look the same, and the holder of most is not known."


def _call_sites(sites: int) -> str:
    return "one call site" if sites == 1 else f"{format_count(sites)} call sites"


def _titles(names: Sequence[str]) -> str:
    return ", ".join(signal_title(name) for name in names)


def _nor_do(names: Sequence[str]) -> str:
    return f" Nor do these grow: {_titles(names)}." if names else ""
