"""Who holds an object, drawn: a box for each object from the root down to it, or a ring of objects.

The name beside an arrow is how the lower object is reached from the one above. In a ring an arrow leads back up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from soak.reporting.templating import render
from soak.reporting.words.causes.holders import allocation_words
from soak.reporting.words.paths import without_folders
from soak.results import ChainNode
from soak.units import format_size

_WAY_WIDTH, _RING_WIDTH = 642.0, 960.0
_BOX_WIDTH, _BOX_HEIGHT, _GAP = 640.0, 46.0, 30.0
_LOOP_HEIGHT = 20.0
"""Of the arrow from an object to itself."""
_CHARACTER, _SMALL_CHARACTER = 7.1, 6.5
_ROOM_FOR_SIZE, _ROOM_FOR_ARROW = 90.0, 60.0


@dataclass(frozen=True)
class _Object:
    """A box of ``chain.svg``, and the name beside the arrow that leads to it."""

    top: float
    name: str
    what: str
    place: str
    size: str
    hover: str
    is_end: bool
    is_gap: bool
    """It stands for nodes that are left out."""


@dataclass(frozen=True)
class _Back:
    """The arrow from the last box of a ring to the first."""

    name: str
    top: float
    height: float


def chain_figure(nodes: Sequence[ChainNode], title: str, *, is_ring: bool = False) -> str | None:
    """Draw the way from a root to an object; None for fewer than two nodes. A ring ends with the object it began with.

    Each box has the type and what is known of the value, the size of the object on its own, and the line that
    allocated it; hovering shows what was cut off.
    """
    boxes = nodes[:-1] if is_ring else nodes
    if len(nodes) < 2 or not boxes:
        return None
    end = None if is_ring else len(boxes) - 1
    return render(
        "chain.svg",
        title=title,
        width=_RING_WIDTH if is_ring else _WAY_WIDTH,
        height=_top(len(boxes)) - _GAP + 1,
        box_width=_BOX_WIDTH,
        box_height=_BOX_HEIGHT,
        objects=[_object(node, number, is_end=number == end) for number, node in enumerate(boxes)],
        back=_back(nodes[-1].name, len(boxes)) if is_ring else None,
    )


def _top(number: int) -> float:
    return 1 + number * (_BOX_HEIGHT + _GAP)


def _object(node: ChainNode, number: int, *, is_end: bool) -> _Object:
    # The first has no arrow beside which its name could stand.
    what = f"{node.name}, {node.what}" if number == 0 and node.name else node.what
    allocated_at = node.allocated_at
    place = f"allocated at {allocation_words(without_folders(allocated_at))}" if allocated_at else ""
    return _Object(
        top=_top(number),
        name=_cut(node.name, _BOX_WIDTH, _CHARACTER),
        what=_cut(what, _BOX_WIDTH - _ROOM_FOR_SIZE, _CHARACTER),
        place=_cut(place, _BOX_WIDTH - 28, _SMALL_CHARACTER),
        size="" if node.size_bytes is None else format_size(node.size_bytes),
        hover=f"{what}\n{allocation_words(allocated_at)}" if allocated_at else what,
        is_end=is_end,
        is_gap=not node.type,
    )


def _back(name: str, count: int) -> _Back:
    """Lead from the middle of the last box to that of the first; of a single box to a little above its middle."""
    height = _top(count - 1) - _top(0) or _LOOP_HEIGHT
    top = _top(0) + _BOX_HEIGHT / 2 - (_LOOP_HEIGHT / 2 if count == 1 else 0)
    return _Back(_cut(name, _RING_WIDTH - _BOX_WIDTH - _ROOM_FOR_ARROW, _CHARACTER), top, height)


def _cut(text: str, width: float, character: float) -> str:
    room = int(width / character)
    return text if len(text) <= room else f"{text[: room - 1]}…"
