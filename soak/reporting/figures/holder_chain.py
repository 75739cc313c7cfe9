"""Who holds an object, drawn: a box for each object from the root down to it, or a ring of objects.

The name beside an arrow is how the lower object is reached from the one above. In a ring an arrow leads back up.
"""

from __future__ import annotations

from collections.abc import Sequence

from soak.reporting.figures.palette import figure_css
from soak.reporting.markup import Markup, element
from soak.reporting.words.holders import allocation_words
from soak.reporting.words.paths import without_folders
from soak.results import ChainNode
from soak.units import format_size

_WIDTH = 960.0
_LEFT, _BOX_WIDTH, _BOX_HEIGHT, _GAP = 1.0, 640.0, 46.0, 30.0
_ARROW_AT = 28.0
_RETURN = 44.0
"""How far to the right of the boxes the arrow back up runs."""
_CHARACTER = 7.1
_SMALL_CHARACTER = 6.5
_ROOM_FOR_SIZE = 90.0
_CLASS = "soak-chain"
"""A page has more than one figure, and a style sheet in a figure holds for the whole page."""
_STYLE = (
    f".{_CLASS} text{{font-size:13px}}.{_CLASS} .small{{font-size:12px}}"
    f".{_CLASS} .name{{font-size:12.5px;font-weight:600}}.{_CLASS} .bold{{font-weight:600}}"
)


def chain_figure(nodes: Sequence[ChainNode], title: str, *, is_ring: bool = False) -> Markup | None:
    """Draw the way from a root to an object; None for fewer than two nodes. A ring ends with the object it began with.

    Each box has the type and what is known of the value, the size of the object by itself, and the line that
    allocated it; hovering shows what was cut off.
    """
    boxes = nodes[:-1] if is_ring else nodes
    if len(nodes) < 2 or not boxes:
        return None
    drawn = [mark for number, node in enumerate(boxes) for mark in _object(node, number, len(boxes), is_ring=is_ring)]
    if is_ring:
        drawn += _return(nodes[-1].name, len(boxes))
    height = len(boxes) * (_BOX_HEIGHT + _GAP) - _GAP + 2
    return element(
        "svg",
        element("title", title),
        element("style", Markup(_STYLE + figure_css())),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:g} {height:g}",
        width=f"{_WIDTH:g}",
        height=f"{height:g}",
        role="img",
        class_=f"soak-figure {_CLASS}",
        **{"aria-label": title},
    )


def _object(node: ChainNode, number: int, count: int, *, is_ring: bool) -> list[Markup]:
    """Return the box of a node, and the arrow that leads to it."""
    top = 1 + number * (_BOX_HEIGHT + _GAP)
    size = "" if node.size_bytes is None else format_size(node.size_bytes)
    # The first has no arrow beside which its name could stand.
    what = f"{node.name}, {node.what}" if number == 0 and node.name else node.what
    allocated_at = node.allocated_at
    place = f"allocated at {allocation_words(without_folders(allocated_at))}" if allocated_at else ""
    is_end = not is_ring and number == count - 1
    box = element(
        "g",
        element("title", f"{what}\n{allocation_words(allocated_at)}" if allocated_at else what),
        element(
            "rect",
            x=f"{_LEFT:g}",
            y=f"{top:g}",
            width=f"{_BOX_WIDTH:g}",
            height=f"{_BOX_HEIGHT:g}",
            rx="5",
            class_=f"f-{'newer' if is_end else 'older'} s-{'fit' if is_end else 'rule'}",
            **{"stroke-width": "1.5" if is_end else "1", "stroke-dasharray": "4 3" if not node.type else None},
        ),
        _text(_cut(what, _BOX_WIDTH - _ROOM_FOR_SIZE, _CHARACTER), 14, top + (19 if place else 28), "f-ink bold"),
        _text(_cut(place, _BOX_WIDTH - 28, _SMALL_CHARACTER), 14, top + 37, "f-muted small") if place else None,
        _text(size, _BOX_WIDTH - 13, top + (19 if place else 28), "f-muted small", anchor="end") if size else None,
    )
    if number == 0:
        return [box]
    return [
        *_arrow(top),
        _text(_cut(node.name, _BOX_WIDTH, _CHARACTER), _ARROW_AT + 16, top - 10, "f-series name"),
        box,
    ]


def _arrow(top: float) -> list[Markup]:
    """Return an arrow that comes down to a box."""
    line = f"M{_ARROW_AT:g} {top - _GAP:g}V{top - 7:g}"
    head = f"M{_ARROW_AT - 4.5:g} {top - 8:g}h9l-4.5 7z"
    return [_path(line), element("path", d=head, class_="f-series")]


def _return(name: str, count: int) -> list[Markup]:
    """Return the arrow from the last box of a ring to the first, with its name."""
    first, last = 1 + _BOX_HEIGHT / 2, 1 + (count - 1) * (_BOX_HEIGHT + _GAP) + _BOX_HEIGHT / 2
    right = _LEFT + _BOX_WIDTH
    if count == 1:
        first, last = first - 10, last + 10
    line = f"M{right:g} {last:g}h{_RETURN - 8:g}q8 0 8 -8V{first + 8:g}q0 -8 -8 -8H{right + 8:g}"
    head = f"M{right + 8:g} {first - 4.5:g}v9l-7 -4.5z"
    label = _cut(name, _WIDTH - right - _RETURN - 12, _CHARACTER)
    at = _text(label, right + _RETURN + 10, (first + last) / 2 + 4, "f-series name")
    return [_path(line), element("path", d=head, class_="f-series"), at]


def _path(line: str) -> Markup:
    return element("path", d=line, fill="none", class_="s-series", **{"stroke-width": "1.6"})


def _text(text: str, x: float, y: float, class_: str, *, anchor: str | None = None) -> Markup:
    return element("text", text, x=f"{x:g}", y=f"{y:g}", class_=class_, **{"text-anchor": anchor})


def _cut(text: str, width: float, character: float) -> str:
    room = int(width / character)
    return text if len(text) <= room else f"{text[: room - 1]}…"
