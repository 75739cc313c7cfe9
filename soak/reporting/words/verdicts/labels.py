"""Sentences on what the cycles of each label keep: routes, tasks."""

from __future__ import annotations

from soak.reporting.words.vocabulary import count_words, short_number
from soak.results import ComponentResult, LabelGrowth
from soak.units import format_size
from soak.verdict import Verdict

_MOST_NAMED = 3
_MUCH = 0.25
"""Labels that keep so much of what the first one keeps are named. Where requests overlap, one of another label may be
counted with blocks of the one that leaks."""
_NOTHING_BYTES = 1.0


def labels_sentence(component: ComponentResult) -> str | None:
    """Say which labels leak and that others do not; None if there are not several."""
    labels = component.labels
    if component.verdict is not Verdict.LEAK or len(labels) < 2:
        return None
    most = labels[0].bytes_per_iteration
    if most < _NOTHING_BYTES:
        return None
    named = [label for label in labels if label.bytes_per_iteration >= _MUCH * most][:_MOST_NAMED]
    noun = component.cycle_noun
    said = ", ".join(_kept(label, noun) if label is named[0] else _kept_more(label) for label in named)
    rest = labels[len(named) :]
    if not rest:
        return f"{said}."
    highest = max(label.bytes_per_iteration for label in rest)
    bound = "nothing" if highest < _NOTHING_BYTES else f"{format_size(highest)} at most"
    others = f"{rest[0].label} keeps" if len(rest) == 1 else f"the other {len(rest):,} labels keep"
    each = " each" if highest >= _NOTHING_BYTES and len(rest) > 1 else ""
    return f"{said}; {others} {bound}{each}."


def _kept(label: LabelGrowth, noun: str) -> str:
    return f"{label.label} keeps {_size(label)} a {noun} ({count_words(label.cycles, noun)})"


def _kept_more(label: LabelGrowth) -> str:
    return f"{label.label} {_size(label)}"


def _size(label: LabelGrowth) -> str:
    value = label.bytes_per_iteration
    return format_size(value) if value >= 1024 * 100 else f"{short_number(value)} B"
