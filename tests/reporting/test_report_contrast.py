"""Whatever is written can be read: contrast by the formula of WCAG 2, on white and on dark paper."""

from __future__ import annotations

import re

import pytest

from soak.reporting.figures.palette import FIGURE, PAGE
from soak.reporting.templating import TEMPLATES

ENOUGH_FOR_TEXT, ENOUGH_FOR_LINES = 4.5, 3.0
LIGHT, DARK = 0, 1
BADGES = ("leak", "clean", "settling", "inconclusive", "failed")


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def page_colours(paper: int) -> dict[str, str]:
    """Give the page's colours by name."""
    return {name: shade[paper] for name, shade in PAGE.items()}


def test_the_formula_gives_the_known_values():
    """Black on white is 21; #767676 on white is the lightest grey that passes."""
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


def test_the_page_uses_the_colours_of_the_palette_and_no_other():
    """Otherwise this test would compute other colours than the reader sees."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")

    assert set(re.findall(r"var\(--([a-z-]+)\)", css)) - {"colour", "behind"} == set(PAGE)
    assert set(re.findall(r"--colour: var\(--([a-z]+)\)", css)) == set(BADGES)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", css) == []


@pytest.mark.parametrize("paper", [LIGHT, DARK])
def test_the_words_of_the_page_can_be_read(paper):
    """Text, notes and links on the paper and on a card, and the word in each badge."""
    colours = page_colours(paper)
    pairs = [(text, ground) for text in ("ink", "muted", "link") for ground in ("paper", "card")]
    pairs += [("on-badge", badge) for badge in BADGES]

    assert {pair: contrast(*(colours[name] for name in pair)) for pair in pairs} == pytest.approx(
        dict.fromkeys(pairs, 21.0), abs=21.0 - ENOUGH_FOR_TEXT
    )


@pytest.mark.parametrize("paper", [LIGHT, DARK])
def test_the_words_and_lines_of_figures_can_be_seen(paper):
    """On the paper, on a card, on the shaded windows, in the boxes of a chain and of a flame graph."""
    card = page_colours(paper)["card"]
    grounds = [FIGURE[name][paper] for name in ("paper", "older", "newer")] + [card]
    text = [contrast(FIGURE[name][paper], ground) for name in ("ink", "muted") for ground in grounds]
    names = [contrast(FIGURE["series"][paper], ground) for ground in (FIGURE["paper"][paper], card)]
    boxes = [
        contrast(FIGURE["ink"][paper], FIGURE[name][paper])
        for name in ("newer", "older", "python-frame", "native-frame")
    ]
    lines = [contrast(FIGURE[name][paper], ground) for name in ("series", "fit") for ground in grounds]

    assert min(text + names + boxes) >= ENOUGH_FOR_TEXT
    assert min(lines) >= ENOUGH_FOR_LINES
    assert contrast(FIGURE["free"][paper], FIGURE["paper"][paper]) >= ENOUGH_FOR_LINES
