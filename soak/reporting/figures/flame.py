"""A flame graph of what survives: how many bytes each call path leaves behind per cycle, callers on top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from soak.reporting.templating import render
from soak.reporting.words import byte_rate
from soak.reporting.words.paths import short_frame, without_folders
from soak.results import Cause, Place

_WIDTH = 960.0
_ROW = 22.0
_SMALLEST = 1.5
"""Narrower boxes are left out; their bytes are in the box above."""
_CHARACTER = 7.0


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


@dataclass(frozen=True)
class _Rectangle:
    """A box of ``flame.svg``."""

    title: str
    label: str
    left: float
    top: float
    width: float
    colour: str


def flame_graph(causes: Sequence[Cause]) -> str | None:
    """Draw the causes that have a stack and a rate in bytes as one SVG; None when there are none.

    A box is as wide as the bytes per cycle that its function, or what it calls, leaves behind. Each has a title with
    the whole name, the file and the rate, which browsers show on hovering.
    """
    root = _Box(Place("all surviving memory", None, None))
    for cause in causes:
        if cause.frames and cause.bytes_per_iteration and cause.bytes_per_iteration > 0:
            _add(root, cause.frames[::-1], cause.bytes_per_iteration)
    if not root.callees:
        return None
    return render(
        "flame.svg",
        title=f"Surviving memory: {byte_rate(root.bytes_per_cycle)} per cycle by call path, callers on top",
        width=_WIDTH,
        height=root.depth * _ROW,
        row_height=_ROW,
        boxes=list(_place(root, 0.0, _WIDTH, 0)),
    )


def _add(root: _Box, frames: Sequence[Place], bytes_per_cycle: float) -> None:
    box = root
    box.bytes_per_cycle += bytes_per_cycle
    for frame in frames:
        box = box.callees.setdefault(frame, _Box(frame))
        box.bytes_per_cycle += bytes_per_cycle


def _place(box: _Box, left: float, width: float, row: int) -> Iterator[_Rectangle]:
    """Yield the rectangle of a box and those of what it calls, the largest first."""
    if width < _SMALLEST:
        return
    yield _Rectangle(
        title=f"{short_frame(box.frame)}: {byte_rate(box.bytes_per_cycle)} per cycle",
        label=_label(box, width),
        left=round(left, 2),
        top=row * _ROW,
        width=round(width, 2),
        colour=_colour(box.frame, row),
    )
    for callee in sorted(box.callees.values(), key=lambda callee: -callee.bytes_per_cycle):
        share = width * callee.bytes_per_cycle / box.bytes_per_cycle
        yield from _place(callee, left, share, row + 1)
        left += share


def _colour(frame: Place, row: int) -> str:
    if row == 0:
        return "newer"
    return "python-frame" if frame.is_python else "native-frame"


def _label(box: _Box, width: float) -> str:
    """Give what fits: name, file without its folders, rate; cut with an ellipsis, or nothing."""
    room = int((width - 8) / _CHARACTER)
    text = f"{without_folders(box.frame)}  {byte_rate(box.bytes_per_cycle)}"
    if len(text) > room:
        text = box.frame.function or str(without_folders(box.frame))
    if len(text) <= room:
        return text
    return f"{text[: room - 1]}…" if room >= 4 else ""
