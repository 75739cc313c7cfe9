"""The flame graph of what survives."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from builder import a_cause

from soak.reporting.figures.flame import flame_graph
from soak.results import Place

_SVG = "{http://www.w3.org/2000/svg}"
LIBC = "/lib/libc.so.6"
CONVERT = Place("convert", "a.py", 3)


def boxes(svg: str) -> dict[str, tuple[float, float]]:
    """Map each box's title to where it begins and how wide it is."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{_SVG}g"):
        title, rect = group.find(f"{_SVG}title"), group.find(f"{_SVG}rect")
        assert title is not None
        assert rect is not None
        found[title.text or ""] = (float(rect.attrib["x"]), float(rect.attrib["width"]))
    return found


def test_a_box_is_as_wide_as_the_bytes_it_leaves_behind():
    """Two causes that share a caller share its box, the larger one first."""
    small = a_cause(frames=(Place("malloc", None, None, LIBC), CONVERT), bytes_per_iteration=25.0)
    large = a_cause(frames=(Place("realloc", None, None, LIBC), CONVERT), bytes_per_iteration=75.0)

    drawn = boxes(flame_graph([small, large]) or "")

    assert drawn == {
        "all surviving memory: 100 B per cycle": (0.0, 960.0),
        "convert at a.py:3: 100 B per cycle": (0.0, 960.0),
        "realloc in libc.so.6: 75 B per cycle": (0.0, 720.0),
        "malloc in libc.so.6: 25 B per cycle": (720.0, 240.0),
    }


def test_names_from_the_program_cannot_become_markup():
    """The name of a function can be any text."""
    hostile = a_cause(frames=(Place("<script>alert(1)</script>", None, None, "x.so"),), bytes_per_iteration=10.0)

    drawn = flame_graph([hostile]) or ""

    assert "<script>" not in drawn
    assert "<script>alert(1)</script> in x.so: 10 B per cycle" in boxes(drawn)


def test_nothing_is_drawn_without_a_stack_or_a_rate():
    """Counters alone know no call path."""
    assert flame_graph([a_cause(frames=()), a_cause(bytes_per_iteration=None)]) is None
    assert flame_graph([]) is None
