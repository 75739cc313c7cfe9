"""The colours of figures and page, for white and for dark paper, told apart by people who see colours differently.

Figures take the colours of Okabe and Ito (Color Universal Design, 2008). An element of a figure has a CSS class, and
``figure_css`` gives the class its colour on either paper. The page has some of the same colours, and some of its own,
as CSS custom properties.
"""

from __future__ import annotations

from typing import NamedTuple


class Shade(NamedTuple):
    """One colour on white and on dark paper."""

    light: str
    dark: str


FIGURE: dict[str, Shade] = {
    "ink": Shade("#24292f", "#e6e8eb"),
    "muted": Shade("#59626b", "#a4adb6"),
    "rule": Shade("#d0d4d9", "#3b424a"),
    "series": Shade("#0072b2", "#56b4e9"),
    "fit": Shade("#d55e00", "#ff8c42"),
    "free": Shade("#009e73", "#2fc79a"),
    "older": Shade("#eceef1", "#20262c"),
    "newer": Shade("#e1e5ea", "#2a323a"),
    "fan": Shade("#f6d9c5", "#5a3a26"),
    "paper": Shade("#ffffff", "#14181c"),
    "python": Shade("#7cc4ee", "#a5dcff"),
    "rounding": Shade("#a9b9c6", "#5f7a8e"),
    "stacks": Shade("#e69f00", "#f0b93a"),
    "mapping": Shade("#cc79a7", "#e3a0c5"),
    "own": Shade("#98a2ad", "#6b7681"),
    "python-frame": Shade("#9ecae1", "#1f5f8b"),
    "native-frame": Shade("#f4b183", "#8a4210"),
}
"""What each colour stands for. No two light ones are equal, because `svg.restyle` finds the class by the colour."""
PAGE: dict[str, Shade] = {
    **{name: FIGURE[name] for name in ("paper", "ink", "muted", "rule")},
    "card": Shade("#f6f7f9", "#1c2126"),
    "link": Shade("#0b5cad", "#79b8ff"),
    "leak": Shade("#b03a00", "#ff8c42"),
    "clean": Shade("#00705a", "#2fc79a"),
    "settling": Shade("#0068a3", "#67bdf0"),
    "inconclusive": Shade("#7a5b00", "#e6b422"),
    "failed": Shade("#94276b", "#ef8cc5"),
    "on-badge": Shade("#ffffff", "#14181c"),
}
"""The colours that ``page.css`` uses, by the names of its custom properties."""
_FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_DARK = "@media screen and (prefers-color-scheme:dark)"


def page_colours() -> str:
    """Give the custom properties of the page, for either paper."""
    light, dark = ("".join(f"--{name}:{shade[paper]};" for name, shade in PAGE.items()) for paper in (0, 1))
    return f":root{{color-scheme:light dark;{light}}}{_DARK}{{:root{{{dark}}}}}"


def series_colours() -> str:
    """Give the colours of lines as custom properties, for either paper."""
    names = ("series", "fit")
    light, dark = ("".join(f"--{name}:{FIGURE[name][paper]};" for name in names) for paper in (0, 1))
    return f":root{{{light}}}{_DARK}{{:root{{{dark}}}}}"


def figure_css() -> str:
    """Give the style sheet of every figure.

    A figure that is a document of its own has its paper too: a browser shows it on white, whatever the setting is.
    """
    return f".soak-figure text{{font-family:{_FONT}}}{_rules(0)}{_DARK}{{{_rules(1)}}}"


def _rules(paper: int) -> str:
    return f".soak-figure:root{{background:{FIGURE['paper'][paper]}}}" + "".join(
        f".soak-figure .f-{name}{{fill:{shade[paper]}}}.soak-figure .s-{name}{{stroke:{shade[paper]}}}"
        for name, shade in FIGURE.items()
    )
