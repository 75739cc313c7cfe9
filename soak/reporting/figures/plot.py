"""Axes on which the figures draw lines, bands and labels, as SVG text.

Colours are given by their names in the palette and become CSS classes, so that a figure follows the reader's light or
dark setting. Positions are pixels of a figure that is ``WIDTH`` wide; ``y`` points down.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from soak.reporting.figures.palette import figure_css
from soak.reporting.templating import OwnMarkup
from soak.reporting.words import printable

WIDTH = 960
FONT, TITLE_FONT, SMALL_FONT = 12.0, 13.3, 10.7
"""Sizes of text."""
_CHARACTER = 6.6
"""The usual width of a character of a legend."""
_SWATCH, _AFTER_SWATCH, _BETWEEN_LABELS = 17.0, 8.0, 20.0
_STEPS = (1, 2, 5, 10)
_STYLE, _STYLE_END = "<style>", "</style>"


@dataclass(frozen=True)
class Box:
    """Where the axes lie in the figure, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height


@dataclass
class Plot:
    """One set of axes; ``across`` and ``up`` are the ranges of the data, each (lowest, highest)."""

    box: Box
    across: tuple[float, float]
    up: tuple[float, float]
    clip_id: str
    """The id of the clip path, which is unique on the page."""
    drawn: list[str] = field(default_factory=list)
    _labels: list[tuple[str, str]] = field(default_factory=list)
    """Of the legend: the element that shows the label's colour, with 0 as its left edge, and the label."""

    def x(self, value: float) -> float:
        """Return the position of a value on the horizontal axis."""
        low, high = self.across
        return self.box.left + self.box.width * (value - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        """Return the position of a value on the vertical axis."""
        low, high = self.up
        return self.box.bottom - self.box.height * (value - low) / ((high - low) or 1.0)

    def line(
        self,
        at: Sequence[float],
        values: Sequence[float],
        colour: str,
        width: float,
        *,
        dash: str = "",
        label: str = "",
    ) -> None:
        """Draw a line through points; ``dash`` as in SVG. With a label it has an entry in the legend."""
        style = _stroke(width, dash)
        self._clipped(self._path(at, values), f's-{colour}" style="fill: none; {style}')
        if label:
            self._labels.append((f'<path d="M 0 0 H {_SWATCH:g}" class="s-{colour}" style="{style}"/>', label))

    def dots(self, at: Sequence[float], values: Sequence[float], colour: str, radius: float) -> None:
        """Draw a dot for each point."""
        for position, value in zip(at, values, strict=True):
            place = f'cx="{_short(self.x(position))}" cy="{_short(self.y(value))}"'
            self.drawn.append(f'<circle {place} r="{radius:g}" class="f-{colour}"/>')

    def area(
        self, at: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str, *, edge: str = ""
    ) -> None:
        """Fill the area between two lines; ``edge``: the colour of its outline, if it has one."""
        outline = f' s-{edge}" style="stroke-width: 0.9' if edge else ""
        self._clipped(f"{self._path([*at, *reversed(at)], [*low, *reversed(high)])} z", f"f-{colour}{outline}")

    def stretch(self, first: float, last: float, colour: str, label: str) -> None:
        """Shade the whole height between two values of the horizontal axis."""
        low, high = self.up
        self.area((first, last), (low, low), (high, high), colour)
        self._labels.append((f'<rect y="-4.2" width="{_SWATCH:g}" height="8.4" class="f-{colour}"/>', label))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str,
        *,
        anchor: str = "start",
        size: float = FONT,
        bold: bool = False,
    ) -> None:
        """Write a text; ``x``, ``y`` in pixels, ``anchor``: start, middle or end."""
        weight = "; font-weight: bold" if bold else ""
        self.drawn.append(
            f'<text x="{_short(x)}" y="{_short(y)}" class="f-{colour}"'
            f' style="font-size: {size:g}px; text-anchor: {anchor}{weight}">{_escaped(text)}</text>'
        )

    def leader(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """Draw a thin line between two positions in pixels, from a value to its label."""
        path = f"M {_short(start[0])} {_short(start[1])} L {_short(end[0])} {_short(end[1])}"
        self.drawn.append(f'<path d="{path}" class="s-{colour}" style="fill: none; stroke-width: 0.8"/>')

    def label_across(self, name: str) -> None:
        """Write round numbers under the horizontal axis, and its name at the right end."""
        for tick in round_numbers(*self.across, at_most=8):
            self.text(self.x(tick), self.box.bottom + 16, f"{tick:,.10g}", "muted", anchor="middle")
        self.text(self.box.right, self.box.bottom + 32, name, "muted", anchor="end")

    def label_up(self, name: str, factor: float = 1.0) -> None:
        """Draw lines at round multiples of ``factor``, written without it, and the name of the axis."""
        low, high = self.up
        for tick in round_numbers(low / factor, high / factor, at_most=5):
            y = self.y(tick * factor)
            rule = f"M {_short(self.box.left)} {_short(y)} H {_short(self.box.right)}"
            self.drawn.append(f'<path d="{rule}" class="s-rule" style="fill: none; stroke-width: 0.8"/>')
            self.text(self.box.left - 5, y + 4.4, f"{tick:,.10g}", "muted", anchor="end")
        middle = f"{_short(15)} {_short(self.box.top + self.box.height / 2)}"
        style = f"font-size: {FONT:g}px; text-anchor: middle"
        turned = f'<text transform="translate({middle}) rotate(-90)" class="f-muted" style="{style}">'
        self.drawn.append(f"{turned}{_escaped(name)}</text>")

    def title(self, text: str, *, above: float = 32.0) -> None:
        """Write the title, ``above`` pixels above the axes."""
        self.text(self.box.left, self.box.top - above, text, "ink", size=TITLE_FONT)

    def legend(self) -> None:
        """Write all labels in a line between title and axes."""
        left, y = self.box.left, self.box.top - 12.0
        for swatch, label in self._labels:
            self.drawn.append(f'<g transform="translate({_short(left)} {_short(y)})">{swatch}</g>')
            self.text(left + _SWATCH + _AFTER_SWATCH, y + 4.2, label, "muted")
            left += _SWATCH + _AFTER_SWATCH + _CHARACTER * len(label) + _BETWEEN_LABELS

    def markup(self) -> str:
        """Return what was drawn, with the clip path that it refers to."""
        box = self.box
        corner = f'x="{_short(box.left)}" y="{_short(box.top)}"'
        clip = f'<rect {corner} width="{_short(box.width)}" height="{_short(box.height)}"/>'
        return f'<defs><clipPath id="{self.clip_id}">{clip}</clipPath></defs>{"".join(self.drawn)}'

    def _path(self, at: Sequence[float], values: Sequence[float]) -> str:
        points = (f"{_short(self.x(x))} {_short(self.y(y))}" for x, y in zip(at, values, strict=True))
        return f"M {' L '.join(points)}"

    def _clipped(self, path: str, classes: str) -> None:
        self.drawn.append(f'<path d="{path}" clip-path="url(#{self.clip_id})" class="{classes}"/>')


def round_numbers(low: float, high: float, *, at_most: int) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten between two values: the densest that are few enough."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / at_most))
    step = next(step * power for step in _STEPS if (high - low) / (step * power) <= at_most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def figure(plots: Sequence[Plot], height: float, title: str) -> str:
    """Return a figure of these axes, ``height`` pixels high; ``title`` is what a screen reader says."""
    named = _escaped(title)
    frame = f'viewBox="0 0 {WIDTH} {_short(height)}" width="{WIDTH}" height="{_short(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="soak-figure" {frame} role="img" aria-label="{named}">'
        f"<title>{named}</title>{_STYLE}{figure_css()}{_STYLE_END}{''.join(plot.markup() for plot in plots)}</svg>"
    )


def inline(figure: str) -> OwnMarkup:
    """Give a figure for a page, which has ``figure_css`` itself."""
    before, _, rest = figure.partition(_STYLE)
    return OwnMarkup(before + rest.partition(_STYLE_END)[2])


def _stroke(width: float, dash: str) -> str:
    return f"stroke-width: {width:g}" + (f"; stroke-dasharray: {dash}" if dash else "; stroke-linecap: square")


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _escaped(text: str) -> str:
    return html.escape(printable(text))
