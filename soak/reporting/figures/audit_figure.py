"""Where resident memory went: the parts of RSS, one on the other, over the cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.reporting.figures.component_figure import label_values
from soak.reporting.figures.plot import SMALL_FONT, WIDTH, Box, Plot, figure
from soak.reporting.words import byte_rate
from soak.reporting.words.audit import audit_sentence, is_notable, part_name, size_words, telling_parts
from soak.results import RssAudit
from soak.units import format_count

_COLOURS = {
    "native-blocks": "series",
    "malloc": "series",
    "python-blocks": "python",
    "rounding": "rounding",
    "malloc-free": "free",
    "arena-free": "free",
    "pymalloc-free": "free",
    "stacks": "stacks",
    "mapping": "mapping",
    "tracker": "own",
}
_LEAST_SHARE = 0.01
_LABEL_HEIGHT = 36.0
"""Two lines of text, in pixels."""
_LEFT, _TOP, _BELOW, _LEAST_HEIGHT = 58.0, 35.0, 42.0, 269.0
_LABELS_FROM = 0.7
"""Of the width: there the axes end and the labels begin."""
_LONGEST_LABEL = 32


@dataclass(frozen=True)
class _Layer:
    """One band of the figure; ``change`` ``(cycles,)`` in bytes since the first."""

    name: str
    colour: str
    change: NDArray[np.float64]


@dataclass(frozen=True)
class _Band:
    """A layer, or of one that grew and shrank either part, between two ``edges`` ``(cycles,)`` in bytes."""

    layer: _Layer
    edges: tuple[NDArray[np.float64], NDArray[np.float64]]
    is_last: bool
    """Whether this part of its layer is the one that is there at the last cycle."""

    @property
    def middle(self) -> float:
        """Its middle at the last cycle."""
        return float(self.edges[0][-1] + self.edges[1][-1]) / 2


def audit_figure(audit: RssAudit, *, prefix: str = "audit") -> str | None:
    """Draw how each part of RSS changed since the audit's first cycle, stacked, as SVG text; None when little did.

    What shrank lies below zero. The line is RSS itself: the sum of all bands. Each band is named at its right end.
    """
    if not is_notable(audit):
        return None
    layers = _layers(audit)
    cycles = [float(cycle) for cycle in audit.cycles]
    bands = _stack(len(cycles), layers)
    rss = [float(size - audit.resident_bytes[0]) for size in audit.resident_bytes]
    edges = [*rss, *(float(end) for band in bands for edge in band.edges for end in edge), 0.0]
    room = 0.05 * ((max(edges) - min(edges)) or 1.0)
    place = Box(_LEFT, _TOP, _LABELS_FROM * WIDTH - _LEFT, max(_LEAST_HEIGHT, _LABEL_HEIGHT * (len(layers) + 2)))
    up = (min(edges) - room, max(edges) + 1.5 * room)
    plot = Plot(place, (cycles[0], cycles[-1]), up, f"{prefix}-clip")
    label_values(plot, "bytes")
    for band in bands:
        low, high = band.edges
        if (low != high).any():
            plot.area(cycles, low.tolist(), high.tolist(), band.layer.colour, edge="paper")
    plot.line(plot.across, (0.0, 0.0), "muted", 1.1)
    plot.line(cycles, rss, "ink", 2.7)
    plot.dots(cycles, rss, "ink", 2.4)
    plot.title(f"where RSS went, change since cycle {format_count(audit.first_cycle)}", above=14.0)
    plot.label_across("cycle")
    _label(plot, audit, bands)
    return figure([plot], place.bottom + _BELOW, audit_sentence(audit))


def _layers(audit: RssAudit) -> list[_Layer]:
    """Return the parts that tell, in the record's order, the others together, and what is not explained."""
    telling = telling_parts(audit)
    layers = [
        _Layer(part_name(part), _COLOURS[part.kind], _change(part.resident_bytes))
        for part in audit.parts
        if part in telling
    ]
    others = [_change(part.resident_bytes) for part in audit.parts if part not in telling]
    unexplained = _Layer("unexplained", "fit", _change(audit.unexplained_resident_bytes))
    rest = _Layer("other parts", "rule", np.sum(others, axis=0) if others else np.zeros(len(audit.cycles)))
    least = _LEAST_SHARE * max(abs(audit.rss_bytes), *(abs(part.bytes) for part in audit.parts), 0)
    return layers + [layer for layer in (rest, unexplained) if abs(layer.change[-1]) >= least]


def _change(resident_bytes: Sequence[int]) -> NDArray[np.float64]:
    return np.array([size - resident_bytes[0] for size in resident_bytes], np.float64)


def _stack(count: int, layers: Sequence[_Layer]) -> list[_Band]:
    """Put what grew on what grew, from zero upwards, and what shrank downwards."""
    bands = []
    above, below = np.zeros(count), np.zeros(count)
    for layer in layers:
        grown, shrunk = np.maximum(layer.change, 0), np.minimum(layer.change, 0)
        has_grown = bool(layer.change[-1] >= 0)
        bands.append(_Band(layer, (above, above + grown), is_last=has_grown))
        bands.append(_Band(layer, (below, below + shrunk), is_last=not has_grown))
        above, below = above + grown, below + shrunk
    return bands


def _label(plot: Plot, audit: RssAudit, bands: Sequence[_Band]) -> None:
    """Write beside each band what it is, by how much it changed and at which rate, and no two over each other."""
    labels = [
        (band.middle, band.layer.name, band.layer.colour, float(band.layer.change[-1]))
        for band in bands
        if band.is_last
    ]
    labels.append((float(audit.rss_bytes), "RSS", "ink", float(audit.rss_bytes)))
    box, apart = plot.box, _LABEL_HEIGHT / plot.box.height
    at = _spread([(box.bottom - plot.y(end)) / box.height for end, *_ in labels], apart)
    cycles = audit.last_cycle - audit.first_cycle
    for (end, name, colour, change), height in zip(labels, at, strict=True):
        sign = "+" if change > 0 else ""
        size = f"{sign}{size_words(change)}, {sign}{byte_rate(change / cycles)}/cycle"
        short = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
        y = box.bottom - height * box.height
        plot.leader((box.right, plot.y(end)), (box.right + 15, y), "muted")
        plot.text(box.right + 18, y + 4.4, "■" if name != "RSS" else "●", colour)
        plot.text(box.right + 34, y - 2, short, "ink", bold=name == "RSS")
        plot.text(box.right + 34, y + 12, size, "muted", size=SMALL_FONT)


def _spread(heights: Sequence[float], apart: float) -> list[float]:
    """Move heights ``apart`` where they are nearer to each other; all in fractions of the axes' height."""
    order = sorted(range(len(heights)), key=lambda position: heights[position])
    placed = list(heights)
    lowest, highest = -1.0, 1 - apart / 6
    for position in order:
        placed[position] = max(placed[position], lowest)
        lowest = placed[position] + apart
    for position in reversed(order):
        placed[position] = min(placed[position], highest)
        highest = placed[position] - apart
    return placed
