"""The verdict on a log: each piece between two restarts is judged by the rule for a series, then all together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soak.analysis import judge
from soak.analysis.component import SMALLEST_N_MIN, choose_n_min
from soak.logs.series import FloatArray, LogSeries, Piece
from soak.verdict import SeriesState, SeriesVerdict, Verdict

MOST_FALLS = 3
"""Up to this many deep falls of the value are taken for restarts. More of them may be the teeth of a sawtooth."""
_PERIOD_INTO_N_MIN = 1.7
"""n_min is this many times the longest period that is no leak (docs/verdict.md)."""
_TOLERATED_BYTES = 1.0
_TOLERATED_PART = 1e-8
"""Of the median value, where its unit is not known: 1 B of a hundred megabytes."""
_DEEP = 0.5
"""A fall is deep if it takes back this part of what the value has risen since the fall before."""
_ABOVE_NOISE = 10.0
"""A deep fall is at least this many times as large as nine of ten steps."""
_FEWEST_READINGS = 64
"""The rule needs as many (docs/verdict.md)."""
_ORDER = (Verdict.LEAK, Verdict.INCONCLUSIVE, Verdict.SETTLING, Verdict.CLEAN)


@dataclass(frozen=True)
class JudgedPiece:
    """A piece and what the rule says of it."""

    piece: Piece
    found: SeriesVerdict
    n_min: float


@dataclass(frozen=True)
class LogVerdict:
    """The verdict on a log and the pieces it rests on."""

    verdict: Verdict
    telling: JudgedPiece
    """The piece that decides it: the longest with this verdict."""
    judged: tuple[JudgedPiece, ...]
    too_short: int = 0
    """Pieces with too few readings, which were left out."""
    falls: int = 0
    """Deep falls of the value that were not taken for restarts."""


def judge_log(
    series: LogSeries,
    *,
    tolerance: float | None = None,
    n_min: float | None = None,
    grain: float | None = None,
    restarts: bool = False,
) -> LogVerdict:
    """Judge a log. ``tolerance`` is in the values' unit per step of the axis, ``grain`` in the values' unit.

    ``restarts``: every deep fall of the value is one; otherwise only where there are few of them. Any piece that
    grows is a LEAK; CLEAN needs all pieces that are long enough.
    """
    cuts = [_falls(piece, series.grain) for piece in series.pieces]
    falls = sum(map(len, cuts))
    are_teeth = falls > MOST_FALLS and not restarts
    pieces = [
        part
        for piece, at in zip(series.pieces, cuts, strict=True)
        for part in ([piece] if are_teeth else _cut(piece, at))
    ]
    # A sawtooth of that period is no leak, and n_min is made for the longest one.
    period = max(map(_longest_gap, series.pieces, cuts)) if are_teeth else 0.0
    chosen = [piece for piece in pieces if len(piece.at) >= _FEWEST_READINGS] or [max(pieces, key=_span)]
    judged = tuple(
        _judge(
            piece,
            default_tolerance(series) if tolerance is None else tolerance,
            n_min or max(_n_min(piece, is_over_time=series.is_over_time), _PERIOD_INTO_N_MIN * period),
            series.grain if grain is None else grain,
        )
        for piece in chosen
    )
    verdict = min((piece.found.verdict for piece in judged), key=_ORDER.index)
    telling = max((piece for piece in judged if piece.found.verdict is verdict), key=lambda one: _span(one.piece))
    return LogVerdict(verdict, telling, judged, len(pieces) - len(chosen), falls if are_teeth else 0)


def default_tolerance(series: LogSeries) -> float:
    """Return what may grow per step: 1 B; of values without a unit 1e-8 of the median, and no more than 1."""
    if series.unit:
        return _TOLERATED_BYTES
    level = float(np.median(np.abs(np.concatenate([piece.values for piece in series.pieces]))))
    return min(1.0, level * _TOLERATED_PART) or 1.0


def _judge(piece: Piece, tolerance: float, n_min: float, grain: float) -> JudgedPiece:
    found = judge(piece.at, piece.values, tolerance=tolerance, n_min=n_min, grain=grain)
    if found.verdict is Verdict.LEAK and (found.low or 0.0) <= 0:
        # The readings are too coarse for their growth: no growth at all is in the interval.
        found = replace(
            found,
            verdict=Verdict.INCONCLUSIVE,
            state=SeriesState.UNDECIDED,
            decided_at=None,
            since=None,
            until=None,
            needed=math.ceil(_span(piece)),
        )
    return JudgedPiece(piece, found, n_min)


def _n_min(piece: Piece, *, is_over_time: bool) -> float:
    """Return n_min: an eighth of the piece, and no fewer than 256 cycles, or over time 256 readings."""
    span = _span(piece)
    if not is_over_time:
        return choose_n_min(span)
    return max(span / 8, SMALLEST_N_MIN * span / max(len(piece.at) - 1, 1), 1e-9)


def _span(piece: Piece) -> float:
    return float(piece.at[-1] - piece.at[0]) if len(piece.at) else 0.0


def _falls(piece: Piece, grain: float) -> list[int]:
    """Return the positions before which the value falls in one step by half of its rise, and by more than ``grain``."""
    steps: FloatArray = np.diff(piece.values)
    if len(steps) < _FEWEST_READINGS:
        return []
    # A value that is printed in whole MiB goes back and forth by one of them.
    noise = max(_ABOVE_NOISE * float(np.quantile(np.abs(steps), 0.9)), grain)
    found = [0]
    for at in np.flatnonzero(steps < -noise).tolist():
        since = piece.values[found[-1] : at + 1]
        rise = float(since.max() - since.min())
        if rise > 0 and -steps[at] >= _DEEP * rise and len(since) >= 2:
            found.append(at + 1)
    return found[1:]


def _longest_gap(piece: Piece, falls: Sequence[int]) -> float:
    return float(np.diff(piece.at[[0, *falls, -1]]).max()) if len(piece.at) else 0.0


def _cut(piece: Piece, falls: Sequence[int]) -> Iterator[Piece]:
    edges = [0, *falls, len(piece.at)]
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        yield Piece(
            piece.at[first:last],
            piece.values[first:last],
            "value" if number else piece.why,
            0 if number else piece.line,
        )
