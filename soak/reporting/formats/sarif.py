"""SARIF 2.1.0: each leak at its source line, for the usual code-scanning uploaders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from soak.analysis.comparison import Change, Kind
from soak.reporting import words as say
from soak.reporting.formats.json_report import finite
from soak.reporting.outcome import excuse, known_fingerprints
from soak.reporting.words.causes.kinds import FAILURE, kind_words
from soak.results import Cause, ComponentResult, RunResult
from soak.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_FINGERPRINT = "soak/v1"
_HOME_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
"""Where a result is shown that has no line in the project: uploaders refuse results without any place."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_RAISED_AT = re.compile(r'File "(?P<file>.+)", line (?P<line>\d{1,9})')
_BASELINE = {Kind.NEW: "new", Kind.WORSE: "updated", Kind.BETTER: "updated", Kind.SAME: "unchanged"}


def render_sarif(result: RunResult, source_root: Path, changes: Sequence[Change] = ()) -> str:
    """Write the leaks and failures of a run as SARIF.

    One result a cause, at the line of the allocation if its file lies under ``source_root``, else at that of the
    nearest caller that does, else at the component's own file; paths are relative to ``source_root``. With
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
    words = FAILURE if kind == "failure" else kind_words(kind)
    title, advice = words.title, words.advise(None, "cycle")
    return {
        "id": kind,
        "name": "".join(word.capitalize() for word in kind.split("-")),
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}. {advice}"},
        "help": {"text": advice, "markdown": advice},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["memory", "leak"], "precision": "very-high", "problem.severity": "error"},
    }


def _results(
    component: ComponentResult, excused: bool, root: Path, states: dict[tuple[str, str | None], str | None]
) -> Iterator[dict[str, Any]]:
    own_file = _own_file(component, root)
    if component.verdict is Verdict.FAILED and component.failure is not None:
        text = _message(say.component_sentence(component), root)
        raised_at = reversed(_raised_at(component.failure.stack))
        location = _first_of(raised_at, root) or own_file
        yield _entry("failure", "note" if excused else "error", text, location, component.name, None)
    if component.verdict is not Verdict.LEAK:
        return
    for cause in component.causes:
        level = "note" if excused or not cause.confirmed else "error"
        explained = say.explain(cause, component.cycle_noun)
        words = (f"{component.name}:", explained, say.lookalike_sentence(component) or "")
        text = _message(" ".join(words), root)
        state = states.get((component.name, cause.fingerprint))
        location = _location(cause, root) or own_file
        yield _entry(cause.kind, level, text, location, f"{component.name}:{cause.fingerprint}", state)


def _message(text: str, root: Path) -> str:
    """Return the text with the paths of the project's files as the uploader shows them."""
    return say.printable(text).strip().replace(f"{root.resolve()}/", "")


def _entry(
    rule: str, level: str, text: str, location: dict[str, Any] | None, fingerprint: str, state: str | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [location] if location else [],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }
    if state is not None:
        entry["baselineState"] = state
    return entry


def _location(cause: Cause, root: Path) -> dict[str, Any] | None:
    """Return the innermost line of the project: that of the allocation, or of the nearest caller that is its own."""
    places = [place for place in (cause.where, cause.python_where) if place is not None]
    lines = ((place.file, place.line) for place in (*places[:1], *cause.frames, *places[1:]))
    return _first_of(lines, root)


def _raised_at(traceback: Iterable[str]) -> list[tuple[str | None, int | None]]:
    return [(found["file"], int(found["line"])) for found in map(_RAISED_AT.search, traceback) if found]


def _first_of(lines: Iterable[tuple[str | None, int | None]], root: Path) -> dict[str, Any] | None:
    return next(filter(None, (_physical(file, line, root) for file, line in lines if file is not None)), None)


def _own_file(component: ComponentResult, root: Path) -> dict[str, Any] | None:
    candidates = (component.target.partition(":")[0], *_HOME_FILES)
    return next(filter(None, (_physical(file, None, root) for file in candidates)), None)


def _physical(file: str, line: int | None, root: Path) -> dict[str, Any] | None:
    """Return the location of a line; None for a file that no uploader could show.

    That is one that is not below the root, or is installed there, in a virtual environment.
    """
    try:
        path = (root / file).resolve()
        if not path.is_file() or not path.is_relative_to(root.resolve()):
            return None
    except (OSError, ValueError):  # no name that a file may have
        return None
    place = path.relative_to(root.resolve())
    if _INSTALLED.intersection(place.parts):
        return None
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(place.as_posix()), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": max(line or 1, 1)},
        }
    }
