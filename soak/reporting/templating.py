"""The templates of pages and drawings in ``templates/``; whatever text is put into one is escaped.

Jinja is imported when the first template is rendered, so that whoever wants JSON or the terminal does not wait for it.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soak.reporting.figures.palette import figure_css, page_colours
from soak.reporting.words import printable

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


class OwnMarkup(str):
    """Markup or CSS that soak made itself: a template puts it in as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return what a template puts in."""
        return self


def render(template: str, **values: Any) -> str:
    """Fill in a template. A name that it uses and that has no value is an error."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from soak.reporting.kept_templates import KeptTemplates

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=KeptTemplates(Path(__file__).read_bytes()),
    )
    environment.filters["unbroken"] = _unbroken
    environment.globals.update(page_colours=OwnMarkup(page_colours()), figure_css=OwnMarkup(figure_css()))
    return environment


def _unbroken(text: str) -> str:
    """Return a heading in which no line ends between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:[KMGT]i)?B\b)", "\u00a0", text)


def _written(value: Any) -> Any:
    """Return what is written for a value: texts without control characters, numbers short, markup as it is."""
    if hasattr(value, "__html__"):
        return value
    if value is None:
        raise TypeError("a template must not write None")
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
