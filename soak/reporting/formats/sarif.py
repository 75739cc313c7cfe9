"""SARIF 2.1.0: each leak at its source line, for the usual code-scanning uploaders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from soak.analysis.comparison import Change, Kind
from soak.reporting import words as say
from soak.reporting.formats.json_report import finite
from soak.reporting.outcome import excuse, known_fingerprints
from soak.reporting.words.causes.kinds import FAILURE, GROWTH, kind_words
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
    found = []
    for component in result.components:
        is_excused = excuse(component, known) is not None
        if component.verdict is Verdict.FAILED and component.failure is not None:
            found.append(failure_entry(component, source_root, is_excused=is_excused, fingerprint=component.name))
        for cause in leaks_of(component):
            state = states.get((component.name, cause.fingerprint if cause else None))
            found.append(leak_entry(component, cause, source_root, is_excused=is_excused, state=state))
    return sarif_text(found, soak=result.soak, run=result.run)


def leaks_of(component: ComponentResult) -> tuple[Cause | None, ...]:
    """Return the causes of a leak, each a result; None stands for a leak of which no cause is known."""
    if component.verdict is not Verdict.LEAK:
        return ()
    return component.causes or (None,)


def failure_entry(
    component: ComponentResult, root: Path, *, is_excused: bool, fingerprint: str, title: str | None = None
) -> dict[str, Any]:
    """Return the result for a component that failed, where that was raised. ``title``: in place of its name."""
    text = say.component_sentence(replace(component, name=title or component.name))
    raised_at = reversed(_raised_at(component.failure.stack)) if component.failure else ()
    location = _first_of(raised_at, root) or _own_file(component, root)
    return _entry("failure", "note" if is_excused else "error", _message(text, root), location, fingerprint)


def leak_entry(
    component: ComponentResult,
    cause: Cause | None,
    root: Path,
    *,
    is_excused: bool,
    title: str | None = None,
    state: str | None = None,
) -> dict[str, Any]:
    """Return the result for a leak by one cause. ``title``: in place of the component's name."""
    name = title or component.name
    if cause is None:
        text = say.component_sentence(replace(component, name=name))
        rule, is_note, place, fingerprint = "growth", is_excused, None, component.name
    else:
        words = (f"{name}:", say.explain(cause, component.cycle_noun), say.lookalike_sentence(component) or "")
        text = " ".join(words)
        rule, is_note, place = cause.kind, is_excused or not cause.confirmed, _location(cause, root)
        fingerprint = f"{component.name}:{cause.fingerprint}"
    entry = _entry(
        rule, "note" if is_note else "error", _message(text, root), place or _own_file(component, root), fingerprint
    )
    if state is not None:
        entry["baselineState"] = state
    return entry


def sarif_text(results: Sequence[dict[str, Any]], *, soak: str, run: str) -> str:
    """Return the whole document of results, with the rules that they name."""
    used = sorted({entry["ruleId"] for entry in results})
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "soak",
                        "semanticVersion": soak,
                        "rules": [_rule(name) for name in used],
                    }
                },
                "automationDetails": {"id": f"soak/{run}"},
                "columnKind": "unicodeCodePoints",
                "results": [{**entry, "ruleIndex": used.index(entry["ruleId"])} for entry in results],
            }
        ],
    }
    return json.dumps(finite(document), indent=2) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    words = {"failure": FAILURE, "growth": GROWTH}.get(kind) or kind_words(kind)
    title, advice = words.title, words.advise(None, "cycle")
    return {
        "id": kind,
        "name": "".join(map(str.capitalize, re.findall(r"\w+", title))),
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}. {advice}"},
        "help": {"text": advice, "markdown": advice},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["memory", "leak"], "precision": "very-high", "problem.severity": "error"},
    }


def _message(text: str, root: Path) -> str:
    """Return the text with the paths of the project's files as the uploader shows them."""
    return say.printable(text).strip().replace(f"{root.resolve()}/", "")


def _entry(rule: str, level: str, text: str, location: dict[str, Any] | None, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [location] if location else [],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }


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
