"""SARIF 2.1.0: each leak at its source line, for the usual code-scanning uploaders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from soak.analysis.comparison import Change, Kind
from soak.reporting import sentences as say
from soak.reporting.json_report import finite
from soak.reporting.outcome import excuse, known_fingerprints
from soak.results import Cause, ComponentResult, Place, RunResult
from soak.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_FINGERPRINT = "soak/v1"
_RULES = {
    "native": "Memory from malloc is not given back",
    "python-object": "Python objects stay",
    "reference-cycle": "Objects that refer to each other stay",
    "lost-reference": "A reference is never dropped",
    "file-descriptor": "File descriptors are not closed",
    "thread": "Threads do not end",
    "child-process": "Child processes are not reaped",
    "mapping": "Mappings are not unmapped",
    "fragmentation": "Resident memory grows, memory in use does not",
    "failure": "A driver failed",
}
_BASELINE = {Kind.NEW: "new", Kind.WORSE: "updated", Kind.BETTER: "updated", Kind.SAME: "unchanged"}


def render_sarif(result: RunResult, source_root: Path, changes: Sequence[Change] = ()) -> str:
    """Write the leaks and failures of a run as SARIF.

    One result a cause, at the C line if its file lies under ``source_root``, else at the Python line that called it,
    else at the component's own file; paths are relative to ``source_root``, as uploaders want them. With
    ``changes`` (of a comparison that ends in this run) each says whether it is new. What does not count (gate off,
    known) and what is only suspected is a note.
    """
    known = known_fingerprints(result)
    states = {(change.component, change.fingerprint): _BASELINE.get(change.kind) for change in changes}
    found = [
        entry
        for component in result.components
        for entry in _results(component, excuse(component, known) is not None, source_root, states)
    ]
    used = sorted({entry["ruleId"] for entry in found})
    for entry in found:
        entry["ruleIndex"] = used.index(entry["ruleId"])
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "soak",
                        "semanticVersion": result.soak,
                        "rules": [_rule(name) for name in used],
                    }
                },
                "automationDetails": {"id": f"soak/{result.run}"},
                "columnKind": "unicodeCodePoints",
                "results": found,
            }
        ],
    }
    return json.dumps(finite(document), indent=2) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    return {
        "id": kind,
        "name": "".join(word.capitalize() for word in kind.split("-")),
        "shortDescription": {"text": _RULES.get(kind, kind)},
        "properties": {"tags": ["memory", "leak"]},
    }


def _results(
    component: ComponentResult, excused: bool, root: Path, states: dict[tuple[str, str | None], str | None]
) -> Iterator[dict[str, Any]]:
    own_file = _own_file(component, root)
    if component.verdict is Verdict.FAILED and component.failure is not None:
        text = say.component_sentence(component)
        yield _entry("failure", "note" if excused else "error", text, own_file, component.name, None)
    if component.verdict is not Verdict.LEAK:
        return
    for cause in component.causes:
        level = "note" if excused or not cause.confirmed else "error"
        text = " ".join(
            [f"{component.name}:", say.cause_sentence(cause), cause.advice, say.caveat_sentence(component) or ""]
        )
        state = states.get((component.name, cause.fingerprint))
        location = _location(cause, root) or own_file
        yield _entry(cause.kind, level, text, location, f"{component.name}:{cause.fingerprint}", state)


def _entry(
    rule: str, level: str, text: str, location: dict[str, Any] | None, fingerprint: str, state: str | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ruleId": rule,
        "level": level,
        "message": {"text": say.printable(text).strip()},
        "locations": [location] if location else [],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }
    if state is not None:
        entry["baselineState"] = state
    return entry


def _location(cause: Cause, root: Path) -> dict[str, Any] | None:
    for place in (cause.where, cause.python_where):
        found = None if place is None else _place(place, root)
        if found is not None:
            return found
    return None


def _place(place: Place, root: Path) -> dict[str, Any] | None:
    return _physical(place.file, place.line, root) if place.file else None


def _own_file(component: ComponentResult, root: Path) -> dict[str, Any] | None:
    return _physical(component.target.partition(":")[0], None, root)


def _physical(file: str, line: int | None, root: Path) -> dict[str, Any] | None:
    """Return the location of a line, or None for a file that is not below the root: no uploader could show it."""
    path = (root / file).resolve()
    if not path.is_file() or not path.is_relative_to(root.resolve()):
        return None
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": path.relative_to(root.resolve()).as_posix(), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": max(line or 1, 1)},
        }
    }
