"""Makes of matplotlib's SVG, in docs/ and benchmarks/, a figure that is small and follows a dark setting.

The figures of reports are drawn by `soak.reporting.figures.plot`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from soak.reporting.figures.palette import FIGURE, figure_css
from soak.reporting.words import printable

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ET.register_namespace("", _SVG)
ET.register_namespace("xlink", _XLINK)
_CLASS_OF = {shade.light: name for name, shade in FIGURE.items()}
_GEOMETRY = ("d", "x", "y", "transform", "points")
_LONG_NUMBER = re.compile(r"(\d+\.\d)\d+")
_REFERENCE = re.compile(r"(?:^|url\()#([^)]*)")
"""To the id of another element, in an attribute."""
_WIDTH = 960


def restyle(drawn: str, *, title: str, prefix: str) -> str:
    """Make a figure of matplotlib's SVG text: one ``<svg class="soak-figure">`` with its own style sheet.

    Colours of the palette become classes that follow the reader's light or dark setting, numbers keep one decimal,
    ids that nothing refers to go and the others begin with ``prefix``, so that several figures can share a page.
    ``title`` is what a screen reader says.
    """
    root = ET.fromstring(printable(drawn))
    _drop_empty(root)
    referred = {name for element in root.iter() for name in _references(element)}
    for element in root.iter():
        _shorten(element)
        _use_classes(element)
        _make_ids_unique(element, referred, prefix)
    _set_frame(root, title)
    return ET.tostring(root, encoding="unicode")


def _drop_empty(element: ET.Element) -> None:
    """Drop metadata, style sheets that hold for all of a page, groups without content, and space between elements."""
    for child in list(element):
        _drop_empty(child)
        kind = child.tag.removeprefix(f"{{{_SVG}}}")
        if kind in ("metadata", "style") or (kind in ("g", "defs") and not len(child)):
            element.remove(child)
        child.tail = None
    if len(element):
        element.text = None


def _references(element: ET.Element) -> Iterator[str]:
    for value in element.attrib.values():
        yield from _REFERENCE.findall(value)


def _shorten(element: ET.Element) -> None:
    for name in _GEOMETRY:
        if name in element.attrib:
            element.set(name, " ".join(_LONG_NUMBER.sub(r"\1", element.attrib[name]).split()))


def _use_classes(element: ET.Element) -> None:
    """Turn the colours of a style into classes; the page chooses the font's family."""
    style = element.attrib.pop("style", "")
    classes, rest = [], []
    for declaration in filter(None, style.split("; ")):
        name, _, value = declaration.rstrip(";").partition(": ")
        if name in ("fill", "stroke") and value in _CLASS_OF:
            classes.append(f"{name[0]}-{_CLASS_OF[value]}")
        elif name != "font-family":
            rest.append(f"{name}: {value}")
    if classes:
        element.set("class", " ".join(classes))
    if rest:
        element.set("style", "; ".join(rest))


def _make_ids_unique(element: ET.Element, referred: set[str], prefix: str) -> None:
    name = element.attrib.pop("id", None)
    if name in referred:
        element.set("id", f"{prefix}-{name}")
    for attribute, value in element.attrib.items():
        element.set(attribute, _REFERENCE.sub(lambda match: match.group().replace("#", f"#{prefix}-", 1), value))


def _set_frame(root: ET.Element, title: str) -> None:
    """Give the figure its width in a page, its name, and its style sheet."""
    width, height = (float(size) for size in root.attrib["viewBox"].split()[2:])
    title = printable(title)
    frame = {
        "class": "soak-figure",
        "viewBox": root.attrib["viewBox"],
        "width": f"{_WIDTH}",
        "height": f"{_WIDTH * height / width:.0f}",
        "role": "img",
        "aria-label": title,
    }
    root.attrib.clear()
    root.attrib.update(frame)
    for position, (kind, text) in enumerate((("title", title), ("style", figure_css()))):
        child = ET.Element(f"{{{_SVG}}}{kind}")
        child.text = text
        root.insert(position, child)
