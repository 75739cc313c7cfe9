"""HTML elements, built so that text cannot become markup by accident."""

from __future__ import annotations

from html import escape

from soak.reporting.words import printable

_WITHOUT_END = frozenset({"meta"})


class Markup(str):
    """Text that is HTML already; every other ``str`` is escaped when it is put into an element."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | None) -> Markup:
    """Build one element: children that are not ``Markup`` are escaped, None children and attributes are left out.

    An attribute's trailing underscore is dropped, so that ``class_="x"`` can be written.
    """
    pairs = [(key.rstrip("_"), value) for key, value in attributes.items() if value is not None]
    opening = "".join([f"<{tag}", *(f' {key}="{_escaped(value)}"' for key, value in pairs), ">"])
    if tag in _WITHOUT_END:
        return Markup(opening)
    return Markup(f"{opening}{join(*children)}</{tag}>")


def join(*children: str | None) -> Markup:
    """Put elements and texts one after the other; texts are escaped, None is left out."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def _escaped(text: str) -> str:
    return text if isinstance(text, Markup) else escape(printable(text))
