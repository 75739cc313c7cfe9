"""What a notebook shows of a check: the verdict with its sentence, and how it was found, folded."""

from __future__ import annotations

from html import escape

from soak.reporting import words as say
from soak.reporting.commands.check import render_check
from soak.results import ComponentResult
from soak.verdict import Verdict

_COLOURS = {Verdict.LEAK: "#b3261e", Verdict.FAILED: "#b3261e", Verdict.CLEAN: "#1b7f3b"}
_OTHER_COLOUR = "#8a6100"
_LOOK_CLOSER = "  look closer:"


def render_notebook(result: ComponentResult) -> str:
    """Write a result as HTML, without any style of the page's own."""
    colour = _COLOURS.get(result.verdict, _OTHER_COLOUR)
    lines = [line for line in render_check(result, "").splitlines()[1:] if not line.startswith(_LOOK_CLOSER)]
    return (
        f'<div><strong style="color:{colour}">{escape(say.verdict_words(result))}</strong> '
        f"{escape(say.component_sentence(result))}"
        f"<details><summary>How it was found</summary><pre>{escape(chr(10).join(lines))}</pre></details></div>"
    )
