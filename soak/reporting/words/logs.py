"""What a log that was judged shows, in sentences: rates per hour where it has times, else per cycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from soak.logs.judging import JudgedPiece, LogVerdict
from soak.logs.names import means_memory
from soak.logs.series import PAGES_OF_KIB, LogSeries, Piece
from soak.reporting.words.verdicts.series import CACHE_FITS_INTO_N_MIN, lookalike, needed_words, series_sentence
from soak.reporting.words.vocabulary import count_words, interval_words, printable, rate_number
from soak.units import format_count, format_duration
from soak.verdict import SeriesState, SeriesVerdict, Verdict

HOUR_S = 3600.0
_WHY = {
    "pid": "another process continues",
    "exec": "the process runs another program",
    "axis": "its count starts again",
    "clock": "its clock was set back",
    "value": "its value falls, as after a restart,",
}


def log_sentences(series: LogSeries, judged: LogVerdict) -> list[str]:
    """Say what was found, what would look the same or is missing to decide, and what was read for it."""
    found = judged.telling.found
    said = [_rise(series, judged.telling) or log_sentence(series, found)]
    if found.verdict is Verdict.LEAK:
        said.append(_lookalike(series, judged.telling))
    elif found.needed:
        said[0] += f" {_needed(series, found.needed)}"
    return [*said, *_pieces(series, judged), _read(series), *_left_out(series)]


def _rise(series: LogSeries, telling: JudgedPiece) -> str:
    """Say from where to where an undecided value rose without a doubt; empty if that cannot be told."""
    found, values = telling.found, telling.piece.values
    part = len(values) // 8
    if found.verdict is not Verdict.INCONCLUSIVE or (found.low or 0.0) > 0 or not part:
        return ""
    first, last = values[:part], values[-part:]
    if last.min() <= first.max():
        return ""
    before, after = (rate_number(float(np.median(some)), series.unit) for some in (first, last))
    return f"Rose from {before} to {after}; it is too early to tell whether the growth is steady."


def log_sentence(series: LogSeries, found: SeriesVerdict) -> str:
    """Say what one piece shows: ``Grows by 10.3 MiB per hour [10.2, 10.4], steadily since 6 min 16 s.``."""
    if not series.is_over_time:
        return series_sentence(found, series.unit, series.noun)
    growth = f"Grows by {rate_per_hour(series, found)}"
    match found.state:
        case SeriesState.STEADY | SeriesState.MEASURED:
            return f"{growth}, {_since(found)}."
        case SeriesState.FLAT:
            bound = rate_number(max(found.high or 0.0, 0.0) * HOUR_S, series.unit, up=True)
            return f"Grows by no more than {bound} per hour{_tolerance(series, found)}, over {_time(found.cycles)}."
        case SeriesState.SLOWING:
            return f"{growth}, but more and more slowly."
        case SeriesState.UNSTEADY:
            return f"{growth}, but not at a steady rate yet."
        case SeriesState.FEW_READINGS:
            return "Too few readings for an estimate."
        case SeriesState.UNDECIDED | SeriesState.EARLY if found.rate is not None:
            return f"{growth} so far." if (found.low or 0.0) > 0 else _not_ruled_out(series, found)
        case _:
            return f"Too early: {_time(found.cycles)} of {_time(found.n_min)}."


def rate_per_hour(series: LogSeries, found: SeriesVerdict) -> str:
    """Write a rate per second as one per hour, with its interval in the same unit."""
    factor, unit = _scaled(series, (found.rate or 0.0) * HOUR_S)
    low, high = ((end or 0.0) * HOUR_S / factor for end in (found.low, found.high))
    rate = rate_number((found.rate or 0.0) * HOUR_S / factor, "")
    return f"{rate}{unit} per hour{interval_words(low, high)}"


def _scaled(series: LogSeries, rate: float) -> tuple[float, str]:
    """Return by what to divide a rate, and its unit."""
    if series.unit != "bytes":
        return 1.0, ""
    scales = ((2.0**20, " MiB"), (2.0**10, " KiB"))
    return next(((size, unit) for size, unit in scales if abs(rate) >= 10 * size), (1.0, " B"))


def _not_ruled_out(series: LogSeries, found: SeriesVerdict) -> str:
    # CLEAN asks for as much above the interval (docs/verdict.md, the parameters).
    unseen = 4 * series.grain / found.judged_at if found.judged_at else 0.0
    most = rate_number((max(found.high or 0.0, 0.0) + unseen) * HOUR_S, series.unit, up=True)
    return f"No growth seen; up to {most} per hour is not ruled out{_tolerance(series, found)}."


def _tolerance(series: LogSeries, found: SeriesVerdict) -> str:
    tolerance = (found.tolerance or 0.0) * HOUR_S
    return f" (tolerance {rate_number(tolerance, series.unit)})" if tolerance else ""


def _since(found: SeriesVerdict) -> str:
    since = f"steadily since {_time(found.since)} after its start" if found.since else "from the start"
    return since if found.until is None else f"{since}, and not after {_time(found.until)}"


def _time(seconds: float | None) -> str:
    return format_duration(float(seconds or 0))


def _needed(series: LogSeries, needed: int) -> str:
    if not series.is_over_time:
        return needed_words(needed, series.noun)
    return f"Not enough data yet: {_time(needed)} more would decide, or a larger --tolerance."


def _lookalike(series: LogSeries, telling: JudgedPiece) -> str:
    if not series.is_over_time:
        return lookalike(telling.n_min, series.noun)
    return f"A cache that takes more than {_time(CACHE_FITS_INTO_N_MIN * telling.n_min)} to fill would look the same."


def _pieces(series: LogSeries, judged: LogVerdict) -> list[str]:
    """Say in how many pieces it was judged, where they begin and why, and which falls were not taken for restarts."""
    count = len(judged.judged) + judged.too_short
    said = []
    if count > 1:
        short = [f"{count_words(judged.too_short, 'piece')} too short to judge"] if judged.too_short else []
        this = f" This verdict is for the piece that starts at {_at(series, judged.telling.piece)}."
        said.append(f"Judged in {count} pieces: {'; '.join([*_beginnings(series, judged), *short])}.{this}")
    if judged.falls:
        said.append(
            f"Its value drops sharply {format_count(judged.falls)} times. If these are restarts, use --restarts: soak "
            "then judges each piece between them."
        )
    return said


def _beginnings(series: LogSeries, judged: LogVerdict) -> Iterator[str]:
    """Say of each reason for a new piece where it applies."""
    for why, words in _WHY.items():
        places = [_at(series, one.piece) for one in judged.judged if one.piece.why == why]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        if places:
            yield f"{words} at {', '.join(places[:3])}{more}"


def _at(series: LogSeries, piece: Piece) -> str:
    if piece.line and not series.is_over_time:
        return f"line {piece.line}"
    first = float(piece.at[0])
    if series.is_over_time and first > 10 * 86_400:
        return datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return format_duration(first) if series.is_over_time else f"{series.noun} {format_count(round(first))}"


def _read(series: LogSeries) -> str:
    """Say which column was judged over what, and how its unit is known where it is not named."""
    over = "" if series.noun == "reading" else f" over {'time' if series.is_over_time else series.noun + 's'}"
    left = ", as free memory: a fall of it counts as growth" if series.is_left else ""
    unit = ""
    if series.unit_from == PAGES_OF_KIB:
        unit = "; all values are whole pages of 4 KiB, so the unit must be KiB (--unit sets another)"
    elif not series.unit and (means_memory(series.column) or series.is_left):
        unit = "; its unit is not known (--unit KiB sets it)"
    return f"Read: {printable(series.column)}{over}, {count_words(series.readings, 'reading')}{left}{unit}."


def _left_out(series: LogSeries) -> list[str]:
    said = []
    if series.unread_time:
        said.append(f"soak cannot read {printable(series.unread_time)} as a time, so it numbers the readings.")
    if series.assumed_time:
        said.append(
            f"soak reads times such as {printable(series.assumed_time)} as hours and minutes; "
            "--times mm:ss reads them as minutes and seconds."
        )
    if series.blanks:
        said.append(f"Left out: {count_words(series.blanks, 'row')} without a reading.")
    if series.same_time:
        said.append(
            f"{count_words(series.same_time, 'reading')} at the time of another: soak kept the lower of the two."
        )
    if series.is_cut_short:
        said.append("The pipe stopped before its end; soak judged the data until then.")
    return said
