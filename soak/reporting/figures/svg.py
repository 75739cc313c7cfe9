"""From matplotlib's SVG to one that is small, reads on white and on dark, and can stand inside a page."""

from __future__ import annotations

import re
from html import escape

from soak.reporting.figures.palette import FIGURE, figure_css

_CLASS_OF = {shade.light: name for name, shade in FIGURE.items()}
_STYLED = re.compile(r' style="([^"]*)"')
_COLOUR = re.compile(r"(fill|stroke): (#[0-9a-f]{6})(?:; )?")
_FONT_FAMILY = re.compile(r" ?font-family: [^;\"]*;?")
_LONG_NUMBER = re.compile(r"(\d+\.\d)\d+")
_GEOMETRY = re.compile(r' (?:d|x|y|transform|points)="[^"]*"')
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?:url\(|href=")#([^)"]*)')
_ROOT = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_EMPTY_GROUP = re.compile(r"<g\s*/>|<g>\s*</g>")
_SPACE = re.compile(r"\s+")
_WIDTH = 960
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", re.DOTALL)
_EMPTY_DEFINITIONS = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", re.DOTALL)
_STYLE_SHEET = re.compile(r"<style>.*?</style>", re.DOTALL)


def restyle(drawn: str, *, title: str, prefix: str) -> str:
    """Make a figure of matplotlib's SVG text: one ``<svg class="soak-figure">`` with its own style sheet.

    Colours of the palette become classes that follow the reader's light or dark setting, numbers keep one decimal,
    ids that nothing refers to go and the others begin with ``prefix``, so that several figures can share a page.
    ``title`` is what a screen reader says; it is escaped here.
    """
    body = _METADATA.sub("", drawn[drawn.index("<svg") :])
    body = _EMPTY_DEFINITIONS.sub("", body)
    body = _GEOMETRY.sub(lambda match: _LONG_NUMBER.sub(r"\1", match.group()), body)
    body = _STYLED.sub(lambda match: _classes(match.group(1)), body)
    body = _unique_ids(body, prefix)
    while _EMPTY_GROUP.search(body):
        body = _EMPTY_GROUP.sub("", body)
    body = _SPACE.sub(" ", body).replace("> <", "><")
    view_box = _VIEW_BOX.search(body)
    assert view_box is not None, "matplotlib always writes a viewBox that begins at 0 0"
    width, height = (float(size) for size in view_box.groups())
    name = escape(title)
    size = f'{view_box.group()} width="{_WIDTH}" height="{_WIDTH * height / width:.0f}"'
    root = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="soak-figure" '
        f'{size} role="img" aria-label="{name}"><title>{name}</title><style>{figure_css()}</style>'
    )
    return _ROOT.sub(lambda _: root, body, count=1)


def inline(figure: str) -> str:
    """Give a figure for a page that has ``figure_css`` itself."""
    return _STYLE_SHEET.sub("", figure, count=1)


def _classes(style: str) -> str:
    names = [
        f"{'f' if use == 'fill' else 's'}-{_CLASS_OF[colour]}"
        for use, colour in _COLOUR.findall(style)
        if colour in _CLASS_OF
    ]
    rest = _COLOUR.sub(lambda match: "" if match.group(2) in _CLASS_OF else match.group(), style)
    rest = _FONT_FAMILY.sub("", rest).strip().rstrip(";")
    class_ = f' class="{" ".join(names)}"' if names else ""
    return class_ + (f' style="{rest}"' if rest else "")


def _unique_ids(body: str, prefix: str) -> str:
    used = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda match: f' id="{prefix}-{match.group(1)}"' if match.group(1) in used else "", body)
    return _REFERENCE.sub(lambda match: match.group().replace("#", f"#{prefix}-", 1), body)
