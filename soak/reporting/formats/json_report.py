"""``report.json``: the run's record, as the contract has it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from soak.documents import to_document
from soak.reporting.words.causes.advice import advise
from soak.reporting.words.causes.holders import allocation_words, held_by
from soak.reporting.words.verdicts.left_behind import limits_sentence
from soak.reporting.words.verdicts.series import signal_sentence
from soak.reporting.words.verdicts.why import why_words
from soak.results import Cause, ChainNode, ComponentResult, RunResult


def render_json(result: RunResult) -> str:
    """Write a run as JSON, schema 1: keys in the contract's order, ASCII only, NaN and infinity as null."""
    return json.dumps(finite(_document(result)), indent=2, allow_nan=False, default=str) + "\n"


def cause_document(cause: Cause, noun: str = "call") -> dict[str, Any]:
    """Return a cause as plain values: its record, and in words what the contract wants in words."""
    return {
        **to_document(cause),
        "stack": [str(frame) for frame in cause.frames],
        "held_by": list(held_by(cause)),
        "advice": advise(cause, noun),
        "chain": _nodes(cause.chain),
        "ring": _nodes(cause.ring),
    }


def _nodes(nodes: Sequence[ChainNode]) -> list[dict[str, Any]]:
    return [
        {**to_document(node), "allocated_at": allocation_words(node.allocated_at) if node.allocated_at else None}
        for node in nodes
    ]


def _document(result: RunResult) -> dict[str, Any]:
    """Return the record with the sentences that the contract has in it."""
    document = to_document(result)
    document["components"] = [_component(component) for component in result.components]
    return document


def _component(component: ComponentResult) -> dict[str, Any]:
    document, noun = to_document(component), component.cycle_noun
    for name, signal in component.signals.items():
        series = signal.series
        document["signals"][name]["reason"] = series and signal_sentence(name, series, noun)
    document["control_failed"] = component.control_failed
    document["causes"] = [cause_document(cause, noun) for cause in component.causes]
    if component.garbage is not None:
        document["garbage"]["ring"] = _nodes(component.garbage.ring)
    head = {name: document.pop(name) for name in ("name", "target", "verdict")}
    return {**head, "why": why_words(component), "limits": limits_sentence(component), **document}


def finite(value: Any) -> Any:
    """Return plain values with NaN and infinity, which JSON does not have, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
