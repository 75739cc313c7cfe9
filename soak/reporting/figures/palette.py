"""The colours of figures and page, for white and for dark paper, told apart by people who see colours differently.

Figures take the colours of Okabe and Ito (Color Universal Design, 2008). matplotlib draws with the light colours;
``svg.restyle`` then turns each into a CSS class, and ``figure_css`` gives the class its colour on either paper.
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
}
"""What each colour stands for. No two light ones are equal: the light colour is the key to the class."""


def figure_css() -> str:
    """Give the style sheet that a restyled figure needs."""
    dark = _rules(1)
    return (
        ".soak-figure text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
        f"{_rules(0)}@media screen and (prefers-color-scheme:dark){{{dark}}}{paper_css()}"
    )


def paper_css() -> str:
    """Give a figure that is a document of its own its paper: a browser shows it on white, whatever the setting is."""
    light, dark = FIGURE["paper"]
    root = ".soak-figure:root{background:"
    return f"{root}{light}}}@media screen and (prefers-color-scheme:dark){{{root}{dark}}}}}"


def _rules(paper: int) -> str:
    return "".join(
        f".soak-figure .f-{name}{{fill:{shade[paper]}}}.soak-figure .s-{name}{{stroke:{shade[paper]}}}"
        for name, shade in FIGURE.items()
    )
