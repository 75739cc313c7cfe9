"""A sentence on the objects of GLib that cycles leave."""

from __future__ import annotations

from soak.reporting.words.vocabulary import short_number
from soak.results import ComponentResult
from soak.verdict import Verdict

_MOST_NAMED = 6
_FEWEST = 0.05
"""Per cycle: fewer are those that live long by chance."""


def gobjects_sentence(component: ComponentResult) -> str | None:
    """Say how many objects of GLib of each type a cycle leaves; None if it leaves none, or nothing is a leak."""
    left = [(name, count) for name, count in component.gobjects.items() if count >= _FEWEST]
    if component.verdict is not Verdict.LEAK or not left:
        return None
    named = ", ".join(f"{short_number(count)} {name}" for name, count in left[:_MOST_NAMED])
    rest = sum(count for _, count in left[_MOST_NAMED:])
    others = f", and {short_number(rest)} of other types" if rest else ""
    return f"Objects of GLib that stay per {component.cycle_noun}: {named}{others}."
