"""What a watch says: rates per sample, and per hour where that is what a person asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from soak.attribution.grouping import group_causes
from soak.measurements import SIGNALS
from soak.reporting import words as say
from soak.reporting.words.causes.advice import origin
from soak.results import WATCHED_FROM_OUTSIDE, Cause, ComponentResult, SignalResult
from soak.units import format_count, format_duration, format_size
from soak.verdict import Verdict

_HOUR_S = 3600.0
_MOST_CAUSES, _MOST_FRAMES = 5, 8


def render_watch(result: ComponentResult, every_s: float) -> str:
    """Write the verdict, every signal with its first and last value and rate, and what else there is to say."""
    noun = "sample" if result.pacing.interval_s else "mark"
    period_s = every_s if noun == "sample" else result.pacing.mean_period_s or 0.0
    paced = f"one every {format_duration(every_s)}" if noun == "sample" else f"in {format_duration(result.seconds)}"
    ended = ", until it ended" if result.stopped_by == "ended" and result.failure is None else ""
    ran = f"{say.count_words(result.iterations, noun)}, {paced}{ended}"
    lines = [f"{say.verdict_words(result)}  {result.name}: {ran}", _sentence(result, period_s)]
    lines += [_row(name, signal, noun) for name, signal in result.signals.items()]
    lines += say.role_sentences(result)
    lines += result.messages
    lines += _causes(result.causes, noun)
    caveat = say.lookalike_sentence(result)
    if caveat is not None:
        lines.append(caveat.replace("calls", f"{noun}s"))
    if result.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING) and result.needed_iterations:
        more_s = result.needed_iterations * period_s
        lines.append(f"{format_count(result.needed_iterations)} more {noun}s would decide: {format_duration(more_s)}.")
    lines.append(say.pauses_sentence(result.pauses, noun))
    if result.tracker.active or result.tracker.reason != WATCHED_FROM_OUTSIDE:
        lines.append(say.tracker_sentence(result.tracker))
    return say.printable("\n".join(line for line in lines if line)) + "\n"


def _causes(causes: tuple[Cause, ...], noun: str) -> Iterator[str]:
    """Tell of the places that are proven, or where there is none of those that are suspected."""
    shown = [cause for cause in causes if cause.confirmed] or causes
    groups = group_causes(list(map(_without_period, shown)))[:_MOST_CAUSES]
    for group in groups:
        yield f"{say.group_sentence(group, noun)} {say.advise_on_group(group, noun)}"
        yield from (f"    {line}" for line in (*say.site_lines(group, noun), *say.where_lines(group, _MOST_FRAMES)))
    told = sum(len(group.causes) for group in groups)
    if told < len(causes):
        yield f"{say.count_words(len(causes) - told, 'more place')} may grow: --json names them all."


def _without_period(cause: Cause) -> Cause:
    """Return a cause without how often it allocates: "every sample" is no help where it does so several times."""
    several = cause.requested_size is None and (cause.blocks_per_iteration or 0.0) > 1
    return replace(cause, every=None) if several else cause


def _sentence(result: ComponentResult, period_s: float) -> str:
    growth = result.growth
    if result.verdict is not Verdict.LEAK or growth is None or growth.per_iteration is None or not period_s:
        so_far = say.growth_so_far(result) if result.verdict is Verdict.INCONCLUSIVE else None
        first = None if so_far is None else f"So far it {so_far}."
        return " ".join(filter(None, (first, say.failure_sentence(result), say.why_sentence(result))))
    hourly = growth.per_iteration * _HOUR_S / period_s
    unit = format_size(hourly) if growth.unit == "bytes" else f"{say.short_number(hourly)} {growth.unit}"
    came = origin(result.causes) if result.pauses is not None else ""
    sentences = (say.why_sentence(result), f"{came}." if came else "", f"That is {unit} per hour.")
    return " ".join(filter(None, sentences))


def _row(name: str, signal: SignalResult, noun: str) -> str:
    assert signal.first is not None
    assert signal.last is not None
    shown = format_size if signal.unit == "bytes" else say.short_number
    rate = say.signal_cell(signal).replace("/cycle", f"/{noun}")
    title = SIGNALS[name].title if name in SIGNALS else name
    return f"  {title:<24} {shown(signal.first):>10} → {shown(signal.last):<10} {rate}  {signal.verdict}"
