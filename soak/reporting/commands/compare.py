"""A comparison for the terminal, a pull request, and a program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soak.analysis.comparison import Change, Kind, Rate
from soak.reporting import words as say
from soak.reporting.formats.json_report import cause_document, finite
from soak.reporting.formats.markdown import escape
from soak.results import RunResult

SCHEMA_VERSION = 1
_SYMBOLS = {
    Kind.NEW: "▲",
    Kind.WORSE: "▲",
    Kind.BETTER: "▼",
    Kind.GONE: "▼",
    Kind.UNDECIDED: "?",
    Kind.SAME: "●",
    Kind.ADDED: "+",
    Kind.REMOVED: "–",
}
_MOST_ROWS = 100


def headline(changes: Sequence[Change]) -> str:
    """Say in one sentence what matters: what is new and worse, then what is gone and better, added and removed."""
    components = [change for change in changes if change.fingerprint is None]
    places = _counted([change for change in changes if change.fingerprint is not None])
    said = "; ".join(part for part in (_counted(components), f"places: {places}" if places else "") if part)
    ignored = sum(change.kind in (Kind.NEW, Kind.WORSE) and not change.counts for change in changes)
    aside = f" ({ignored} of these do not count: known, or the gate is off)" if ignored else ""
    return f"{say.count_words(len(components), 'component')} compared: {said or 'nothing changed'}{aside}."


def _counted(changes: Sequence[Change]) -> str:
    counted = [
        (kind, sum(change.kind is kind for change in changes))
        for kind in (Kind.NEW, Kind.WORSE, Kind.GONE, Kind.BETTER, Kind.ADDED, Kind.REMOVED)
    ]
    return ", ".join(f"{number} {kind}" for kind, number in counted if number)


def render_text(before: RunResult, after: RunResult, changes: Sequence[Change]) -> str:
    """Write the comparison for a terminal, what matters marked; call sites below their component."""
    lines = [f"{before.run} → {after.run}", ""]
    for change in changes:
        indent = "    " if change.fingerprint else ""
        mark = "" if change.counts or change.kind not in (Kind.NEW, Kind.WORSE) else " (does not count)"
        lines.append(f"{indent}{_SYMBOLS[change.kind]} {change.kind:<9} {_what(change)}: {_rates(change)}{mark}")
    return say.printable("\n".join([*lines, "", headline(changes)])) + "\n"


def render_markdown(before: RunResult, after: RunResult, changes: Sequence[Change], source_root: Path) -> str:
    """Write the comparison as a comment on a pull request; what stayed the same is only counted.

    Files below ``source_root`` are named as they are seen from there.
    """
    told = [change for change in changes if change.kind is not Kind.SAME]
    rows = [
        f"| {_SYMBOLS[change.kind]} {change.kind} | {escape(change.component)} "
        f"| {escape(_place(change, source_root))} | {' | '.join(_sides(change))} |"
        for change in told[:_MOST_ROWS]
    ]
    table = "\n".join(["| change | component | place | before | after |", "|---|---|---|---|---|", *rows])
    more = f"… and {len(told) - _MOST_ROWS} more." if len(told) > _MOST_ROWS else ""
    runs = f"<sub>soak: {escape(before.run)} against {escape(after.run)}</sub>"
    blocks = [f"### soak: {escape(headline(changes))}", table if rows else "", more, runs]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_json(before: RunResult, after: RunResult, changes: Sequence[Change]) -> str:
    """Write the comparison as JSON, one object a change, rates with their intervals per cycle."""
    document = {
        "schema": SCHEMA_VERSION,
        "before": {"run": before.run, "folder": before.folder, "soak": before.soak},
        "after": {"run": after.run, "folder": after.folder, "soak": after.soak},
        "failing": any(change.is_failing for change in changes),
        "changes": [_change_document(change) for change in changes],
    }
    return json.dumps(finite(document), indent=2, allow_nan=False) + "\n"


def _change_document(change: Change) -> dict[str, Any]:
    cause = None if change.cause is None else cause_document(change.cause)
    return {**dataclasses.asdict(change), "cause": cause, "failing": change.is_failing}


def _what(change: Change) -> str:
    return f"{change.component}" if change.cause is None else _place(change)


def _place(change: Change, source_root: Path | None = None) -> str:
    """Name the place of a cause; files below ``source_root`` as they are seen from there."""
    if change.cause is None:
        return ""
    place = change.cause.python_where if change.cause.where is None else change.cause.where
    if place is None:
        return change.cause.kind
    if source_root is not None and place.file is not None:
        place = dataclasses.replace(place, file=place.file.removeprefix(f"{source_root.resolve()}/"))
    return f"{change.cause.kind} in {say.place_words(place)}"


def _rates(change: Change) -> str:
    old, new = _sides(change)
    return old if old == new else f"{old} → {new}"


def _sides(change: Change) -> tuple[str, str]:
    """Return what was before and what is after: the rate, or where a component has none its verdict."""
    if change.fingerprint is not None and (change.before or change.after):
        return _cell(change.before), _cell(change.after)
    return (
        _cell(change.before) if change.before else str(change.verdict_before or "not there"),
        _cell(change.after) if change.after else str(change.verdict_after or "not there"),
    )


def _cell(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    unit = "B" if rate.unit == "bytes" else rate.unit
    return f"{say.short_number(rate.rate)} {unit}/cycle{say.interval_words(rate.low, rate.high)}"
