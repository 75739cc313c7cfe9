"""What a watch says: rates per sample, and per hour where that is what a person asks for."""

from __future__ import annotations

from soak.measurements import SIGNALS
from soak.reporting import sentences as say
from soak.results import ComponentResult, SignalResult
from soak.units import format_count, format_duration, format_size
from soak.verdict import Verdict

_HOUR_S = 3600.0


def render_watch(result: ComponentResult, every_s: float) -> str:
    """Write the verdict, every signal with its first and last value and rate, and what else there is to say."""
    ran = f"{say.count_words(result.iterations, 'sample')}, one every {format_duration(every_s)}"
    lines = [f"{say.verdict_words(result)}  {result.name}: {ran}", _sentence(result, every_s)]
    lines += [_row(name, signal) for name, signal in result.signals.items()]
    lines += result.messages
    lines += [
        f"{say.cause_sentence(cause).replace(' per call', ' per sample')} {cause.advice}" for cause in result.causes
    ]
    caveat = say.caveat_sentence(result)
    if caveat is not None:
        lines.append(caveat.replace("calls", "samples"))
    if result.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING) and result.needed_iterations:
        more_s = result.needed_iterations * every_s
        lines.append(f"{format_count(result.needed_iterations)} more samples would tell: {format_duration(more_s)}.")
    return say.printable("\n".join(line for line in lines if line)) + "\n"


def _sentence(result: ComponentResult, every_s: float) -> str:
    growth = result.growth
    if result.verdict is not Verdict.LEAK or growth is None or growth.per_iteration is None:
        return result.why
    hourly = growth.per_iteration * _HOUR_S / every_s
    unit = format_size(hourly) if growth.unit == "bytes" else f"{say.short_number(hourly)} {growth.unit}"
    return f"{result.why} That is {unit} per hour."


def _row(name: str, signal: SignalResult) -> str:
    assert signal.first is not None
    assert signal.last is not None
    shown = format_size if signal.unit == "bytes" else say.short_number
    rate = say.signal_cell(signal).replace("/cycle", "/sample")
    title = SIGNALS[name].title if name in SIGNALS else name
    return f"  {title:<24} {shown(signal.first):>10} → {shown(signal.last):<10} {rate}  {signal.verdict}"
