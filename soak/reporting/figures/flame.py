"""A flame graph of what survives: how many bytes each call path leaves behind per cycle, callers on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from soak.reporting.figures.palette import FIGURE, Shade, paper_css
from soak.reporting.markup import Markup, element
from soak.reporting.words import byte_rate
from soak.reporting.words.paths import short_frame, without_folders
from soak.results import Cause, Place

_WIDTH = 960.0
_ROW = 22.0
_SMALLEST = 1.5
"""Narrower boxes are left out; their bytes are in the box above."""
_CHARACTER = 7.0
_CLASS = "soak-flames"
"""A page has more than one figure, and a style sheet in a figure holds for the whole page."""
TEXT = Shade("#1c2126", "#f2f4f6")
BOXES = {
    "python": Shade("#9ecae1", "#1f5f8b"),
    "native": Shade("#f4b183", "#8a4210"),
    "all": Shade("#dfe3e8", "#343b43"),
}
_STYLE = (
    f".{_CLASS} text{{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;"
    f"fill:{TEXT.light};pointer-events:none}}.{_CLASS} rect{{stroke:{FIGURE['paper'].light};stroke-width:1}}"
    + "".join(f".{_CLASS} .{name}{{fill:{shade.light}}}" for name, shade in BOXES.items())
    + f"@media screen and (prefers-color-scheme:dark){{.{_CLASS} text{{fill:{TEXT.dark}}}"
    f".{_CLASS} rect{{stroke:{FIGURE['paper'].dark}}}"
    + "".join(f".{_CLASS} .{name}{{fill:{shade.dark}}}" for name, shade in BOXES.items())
    + "}"
    + paper_css()
)


@dataclass
class _Box:
    """One function on one call path; ``bytes_per_cycle`` includes what it calls."""

    frame: Place
    bytes_per_cycle: float = 0.0
    callees: dict[Place, _Box] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Rows that this box and what it calls take."""
        return 1 + max((callee.depth for callee in self.callees.values()), default=0)


def flame_graph(causes: Sequence[Cause]) -> str | None:
    """Draw the causes that have a stack and a rate in bytes as one SVG; None when there are none.

    A box is as wide as the bytes per cycle that its function, or what it calls, leaves behind. Each has a title with
    the whole name, the file and the rate, which browsers show on hovering.
    """
    root = _Box(Place("all that survives", None, None))
    for cause in causes:
        if cause.frames and cause.bytes_per_iteration and cause.bytes_per_iteration > 0:
            _add(root, cause.frames[::-1], cause.bytes_per_iteration)
    if not root.callees:
        return None
    height = root.depth * _ROW
    title = f"What survives: {byte_rate(root.bytes_per_cycle)} per cycle by call path, callers on top"
    return element(
        "svg",
        element("title", title),
        element("style", Markup(_STYLE)),
        *_draw(root, 0.0, _WIDTH, 0),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:g} {height:g}",
        width=f"{_WIDTH:g}",
        height=f"{height:g}",
        role="img",
        class_=f"soak-figure {_CLASS}",
        **{"aria-label": title},
    )


def _add(root: _Box, frames: Sequence[Place], bytes_per_cycle: float) -> None:
    box = root
    box.bytes_per_cycle += bytes_per_cycle
    for frame in frames:
        box = box.callees.setdefault(frame, _Box(frame))
        box.bytes_per_cycle += bytes_per_cycle


def _draw(box: _Box, left: float, width: float, row: int) -> list[Markup]:
    if width < _SMALLEST:
        return []
    top = row * _ROW
    drawn = [
        element(
            "g",
            element("title", f"{short_frame(box.frame)}: {byte_rate(box.bytes_per_cycle)} per cycle"),
            element(
                "rect",
                x=f"{left:.2f}",
                y=f"{top:g}",
                width=f"{width:.2f}",
                height=f"{_ROW:g}",
                rx="2",
                class_=_kind(box.frame, row),
            ),
            element("text", _label(box, width), x=f"{left + 4:.2f}", y=f"{top + 15:g}"),
        )
    ]
    for callee in sorted(box.callees.values(), key=lambda callee: -callee.bytes_per_cycle):
        share = width * callee.bytes_per_cycle / box.bytes_per_cycle
        drawn += _draw(callee, left, share, row + 1)
        left += share
    return drawn


def _kind(frame: Place, row: int) -> str:
    if row == 0:
        return "all"
    return "python" if frame.is_python else "native"


def _label(box: _Box, width: float) -> str:
    """Give what fits: name, file without its folders, rate; cut with an ellipsis, or nothing."""
    room = int((width - 8) / _CHARACTER)
    text = f"{without_folders(box.frame)}  {byte_rate(box.bytes_per_cycle)}"
    if len(text) > room:
        text = box.frame.function or str(without_folders(box.frame))
    if len(text) <= room:
        return text
    return f"{text[: room - 1]}…" if room >= 4 else ""
