"""Where resident memory went: the parts of RSS, one on the other, over the cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from soak.reporting.figures.component_figure import FIGURE_SETTINGS, as_svg, label_values
from soak.reporting.figures.palette import FIGURE
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
_INK, _MUTED, _PAPER = FIGURE["ink"].light, FIGURE["muted"].light, FIGURE["paper"].light
_UNEXPLAINED, _REST = FIGURE["fit"].light, FIGURE["rule"].light
_LEAST_SHARE = 0.01
_LABEL_INCHES = 0.37
"""Two lines of text."""
_AXES_INCHES, _ABOVE_INCHES, _BELOW_INCHES = 2.8, 0.36, 0.44
_LONGEST_LABEL = 32


@dataclass(frozen=True)
class _Layer:
    """One band of the figure; ``change`` ``(cycles,)`` in bytes since the first."""

    name: str
    colour: str
    change: NDArray[np.float64]


@mpl.rc_context(FIGURE_SETTINGS)
def audit_figure(audit: RssAudit, *, prefix: str = "audit") -> str | None:
    """Draw how each part of RSS changed since the audit's first cycle, stacked, as SVG text; None when little did.

    What shrank lies below zero. The line is RSS itself: the sum of all bands. Each band is named at its right end.
    """
    if not is_notable(audit):
        return None
    layers = _layers(audit)
    axes_inches = max(_AXES_INCHES, _LABEL_INCHES * (len(layers) + 2))
    height = axes_inches + _ABOVE_INCHES + _BELOW_INCHES
    figure = Figure(figsize=(10, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.06, right=0.7, top=1 - _ABOVE_INCHES / height, bottom=_BELOW_INCHES / height)
    cycles = np.array(audit.cycles, np.float64)
    ends = _stack(axes, cycles, layers)
    rss = np.array(audit.resident_bytes, np.float64) - audit.resident_bytes[0]
    axes.plot(cycles, rss, color=_INK, linewidth=2.0, marker="o", markersize=3.5, zorder=4)
    axes.axhline(0, color=_MUTED, linewidth=0.8, zorder=3)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.02 * (high - low))
    axes.set_title(
        f"where RSS went, change since cycle {format_count(audit.first_cycle)}", loc="left", color=_INK, pad=10
    )
    axes.set_xlabel("cycle", color=_MUTED, loc="right")
    label_values(axes, "bytes")
    _label(axes, audit, layers, ends, _LABEL_INCHES / axes_inches)
    return as_svg(figure, title=audit_sentence(audit), prefix=prefix)


def _layers(audit: RssAudit) -> list[_Layer]:
    """Return the parts that tell, in the record's order, the others together, and what is not explained."""
    telling = telling_parts(audit)
    layers = [
        _Layer(part_name(part), FIGURE[_COLOURS[part.kind]].light, _change(part.resident_bytes))
        for part in audit.parts
        if part in telling
    ]
    others = [_change(part.resident_bytes) for part in audit.parts if part not in telling]
    unexplained = _Layer("unexplained", _UNEXPLAINED, _change(audit.unexplained_resident_bytes))
    rest = _Layer("other parts", _REST, np.sum(others, axis=0) if others else np.zeros(len(audit.cycles)))
    least = _LEAST_SHARE * max(abs(audit.rss_bytes), *(abs(part.bytes) for part in audit.parts), 0)
    return layers + [layer for layer in (rest, unexplained) if abs(layer.change[-1]) >= least]


def _change(resident_bytes: Sequence[int]) -> NDArray[np.float64]:
    return np.array([size - resident_bytes[0] for size in resident_bytes], np.float64)


def _stack(axes: Axes, cycles: NDArray[np.float64], layers: Sequence[_Layer]) -> list[float]:
    """Draw what grew from zero upwards and what shrank downwards; return the middle of each band at its right end."""
    ends = []
    above, below = np.zeros(len(cycles)), np.zeros(len(cycles))
    for layer in layers:
        grown, shrunk = np.maximum(layer.change, 0), np.minimum(layer.change, 0)
        for base, size in ((above, grown), (below, shrunk)):
            if size.any():
                axes.fill_between(cycles, base, base + size, color=layer.colour, edgecolor=_PAPER, linewidth=0.7)
        ends.append(float((above + grown / 2 if layer.change[-1] >= 0 else below + shrunk / 2)[-1]))
        above, below = above + grown, below + shrunk
    return ends


def _label(axes: Axes, audit: RssAudit, layers: Sequence[_Layer], ends: Sequence[float], apart: float) -> None:
    """Write beside each band what it is, by how much it changed and at which rate, and no two over each other."""
    cycles = audit.last_cycle - audit.first_cycle
    labels = [(end, layer.name, layer.colour, float(layer.change[-1])) for layer, end in zip(layers, ends, strict=True)]
    labels.append((float(audit.rss_bytes), "RSS", _INK, float(audit.rss_bytes)))
    low, high = axes.get_ylim()
    at = _spread([(end - low) / (high - low) for end, *_ in labels], apart)
    for (end, name, colour, change), height in zip(labels, at, strict=True):
        sign = "+" if change > 0 else ""
        size = f"{sign}{size_words(change)}, {sign}{byte_rate(change / cycles)}/cycle"
        short = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
        weight = "bold" if name == "RSS" else "normal"
        where: dict[str, Any] = {"xycoords": "axes fraction", "annotation_clip": False, "va": "center"}
        axes.plot((1, 1.025), ((end - low) / (high - low), height), color=_MUTED, linewidth=0.6, clip_on=False,
                  transform=axes.transAxes)  # fmt: skip
        axes.annotate("■" if name != "RSS" else "●", (1.03, height), color=colour, **where)
        axes.annotate(short, (1.055, height + 0.18 * apart), color=_INK, weight=weight, **where)
        axes.annotate(size, (1.055, height - 0.23 * apart), color=_MUTED, fontsize=8, **where)


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
