"""What one series says, in a sentence; a rate with its interval."""

from __future__ import annotations

from soak.reporting.words.vocabulary import capitalised, count_words, interval_words, rate_number, signal_title, unit_of
from soak.units import format_count, format_duration
from soak.verdict import SeriesState, SeriesVerdict

CACHE_FITS_INTO_N_MIN = 0.6
"""A cache that is full within this share of n_min cycles is never called a leak (docs/verdict.md)."""

_VERBS = ("Grows ", "Grew ")


def series_sentence(series: SeriesVerdict, unit: str, noun: str) -> str:  # noqa: C901  # a case for each state
    """Say what a series shows, in a sentence without a subject: ``Grows by 106 B per call [95.8, 118], …``.

    ``unit``: of its values, as `soak.measurements.Signal` has it; empty for none. ``noun``: what a cycle is called.
    """
    match series.state:
        case SeriesState.STEADY:
            return f"Grows by {growth_with_interval(series, unit, noun)}, {_since(series, noun)}."
        case SeriesState.MEASURED:
            return f"Grows by about {_rate(series, unit)} per {noun}."
        case SeriesState.FLAT:
            over = f", over the last {count_words(series.cycles, noun)}" if series.cycles else ""
            return f"Grows by no more than {_bound(series, unit)} per {noun}{_tolerance(series, unit)}{over}."
        case SeriesState.NOTHING_STAYS:
            return _nothing_stays(series, unit, noun)
        case SeriesState.SLOWING:
            return f"Grows by {growth_with_interval(series, unit, noun)}, but more and more slowly."
        case SeriesState.NO_HORIZON:
            return f"Too early: {count_words(series.cycles or 0, noun)} so far."
        case SeriesState.FEW_CYCLES:
            return _too_early(series, noun)
        case SeriesState.FEW_READINGS:
            return "Too few readings for an estimate."
        case SeriesState.EARLY:
            return f"{_so_far(series, unit, noun)} {_too_early(series, noun)}"
        case SeriesState.UNSTEADY:
            return f"Grows by {growth_with_interval(series, unit, noun)}, but not at a steady rate yet."
        case SeriesState.UNDECIDED:
            return _so_far(series, unit, noun)
        case SeriesState.ENDED:
            return f"{_ended(series, noun)} It warmed up, or it leaks only while the program has work."


def signal_sentence(name: str, series: SeriesVerdict, noun: str) -> str:
    """Say what a signal shows: ``Malloc heap in use grows by 128 B per call [128, 128], …``."""
    unit, title = unit_of(name), capitalised(signal_title(name))
    sentence = series_sentence(series, unit, noun)
    said = f"{sentence[0].lower()}{sentence[1:]}"
    if sentence.startswith(_VERBS) and name != "left_behind":
        return f"{title} {said}" if unit in ("bytes", "") else f"{title} {said.replace('grows', 'grow', 1)}"
    return f"{title}: {said}"


def growth_with_interval(series: SeriesVerdict, unit: str, noun: str) -> str:
    """Write a rate with its interval: ``128 B per call [128, 128]``."""
    return f"{_rate(series, unit)} per {noun}{interval_words(series.low, series.high)}"


def lookalike(n_min: float, noun: str) -> str:
    """Say what would look the same as growth at one rate over n_min cycles."""
    cycles = count_words(round(CACHE_FITS_INTO_N_MIN * n_min), noun)
    return f"A cache that takes more than about {cycles} to fill would look the same."


def needed_words(cycles: int, noun: str, cycle_s: float = 0.0) -> str:
    """Say how much is missing: ``Not enough data yet: 840 more samples, about 14 min``."""
    more = count_words(cycles, noun).replace(" ", " more ", 1)
    return f"Not enough data yet: {more}" + (f", about {format_duration(cycles * cycle_s)}." if cycle_s else ".")


def _rate(series: SeriesVerdict, unit: str) -> str:
    return rate_number(series.rate or 0.0, unit)


def _bound(series: SeriesVerdict, unit: str) -> str:
    return rate_number(max(series.high or 0.0, 0.0), unit, up=True)


def _tolerance(series: SeriesVerdict, unit: str) -> str:
    return "" if series.tolerance is None else f" (tolerance {rate_number(series.tolerance, unit)})"


def _since(series: SeriesVerdict, noun: str) -> str:
    since = "from the start" if not series.since else f"steadily since {noun} {format_count(series.since)}"
    return since if series.until is None else f"{since}, and not after {noun} {format_count(series.until)}"


def _ended(series: SeriesVerdict, noun: str) -> str:
    return f"Grew until {noun} {format_count(series.until or 0)}, but not after that."


def _too_early(series: SeriesVerdict, noun: str) -> str:
    return f"Too early: {format_count(series.cycles or 0)} of {count_words(round(series.n_min or 0), noun)}."


def _so_far(series: SeriesVerdict, unit: str, noun: str) -> str:
    if (series.low or 0.0) <= 0:
        return "No growth seen, but growth is not ruled out yet."
    return f"Grows by {growth_with_interval(series, unit, noun)} so far."


def _nothing_stays(series: SeriesVerdict, unit: str, noun: str) -> str:
    if unit != "bytes":
        stayed = round((series.rate or 0.0) * ((series.until or 0) - (series.since or 0) + 1))
        began = f"began in {noun}s {format_count(series.since or 0)} to {format_count(series.until or 0)}"
        return (
            f"{rate_number(stayed, unit)} that {began} still lived after {noun} {format_count(series.decided_at or 0)}."
        )
    allocated = f"{noun}s {format_count(series.since or 0)} to {format_count(series.until or 0)} allocated"
    when = f"still there after {noun} {format_count(series.decided_at or series.cycles or 0)}"
    if not series.rate:
        return f"No memory that {allocated} is {when}."
    return f"{capitalised(when)}: {_rate(series, unit)} per {noun} of the memory that {allocated}."
