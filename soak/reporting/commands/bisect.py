"""What a search among releases found: one sentence, a table of the releases tried, JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soak.bisections import Bisection, Outcome, Trial
from soak.reporting import words as say
from soak.reporting.formats.json_report import cause_document, finite
from soak.results import Cause

SCHEMA_VERSION = 1
_LONGEST_REASON = 300


def headline(bisection: Bisection) -> str:
    """Say what was found in one sentence."""
    change, name, leak_came = bisection.change, bisection.question.package.name, bisection.question.newest_leaks
    match change.outcome:
        case Outcome.FOUND:
            what = "leaks" if leak_came else "no longer leaks"
            return f"{name} {change.after} is the first release that {what} ({change.before} does{' not' * leak_came})."
        case Outcome.BETWEEN:
            what = "leaks" if leak_came else "no longer leaks"
            unjudged = ", ".join(change.unjudged)
            return (
                f"The first release of {name} that {what} comes after {change.before} and is {change.after} at the "
                f"latest; {unjudged} could not be judged."
            )
        case Outcome.STOPPED:
            return f"Stopped; still to be searched: {name} from {change.before} to {change.after}."
    trial = bisection.trial(change.endpoint or "")
    assert trial is not None
    given = "good" if (change.endpoint == change.before) == leak_came else "bad"
    if change.outcome is Outcome.ENDPOINT_UNJUDGED:
        return f"{name} {change.endpoint}, given as {given}, cannot be judged: {_brief(_reason(trial))}"
    found = "leaks" if trial.leaks else "does not leak"
    return f"{name} {change.endpoint}, given as {given}, {found}: there is nothing to search for."


def render_text(bisection: Bisection) -> str:
    """Write the sentence, the releases that were tried by version, and what else bears on the answer."""
    rows = [("release", "verdict", "growth", "place", "run"), *(_row(trial) for trial in _by_version(bisection))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    skipped = [t for t in _by_version(bisection) if _reason(t) and t.release != bisection.change.endpoint]
    reasons = [f"{trial.release} {_brief(_reason(trial))}" for trial in skipped]
    notes = [note for note in (_moved(bisection), *_elsewhere(bisection), *_doubtful(bisection)) if note]
    blocks = [headline(bisection), "\n".join(table if bisection.trials else ()), "\n".join(reasons), "\n".join(notes)]
    return say.printable("\n\n".join(block for block in blocks if block)) + "\n"


def render_json(bisection: Bisection) -> str:
    """Write all of it as JSON; rates per cycle."""
    question, change = bisection.question, bisection.change
    document = {
        "schema": SCHEMA_VERSION,
        "package": question.package.name,
        "target": bisection.target,
        "python": bisection.python,
        "good": str(question.good),
        "bad": str(question.bad),
        "outcome": change.outcome,
        "first_that": "leaks" if question.newest_leaks else "no longer leaks",
        "first": change.after if change.outcome is Outcome.FOUND else None,
        "before": change.before,
        "after": change.after,
        "unjudged": change.unjudged,
        "says": headline(bisection),
        "moved_with_it": _moves(bisection),
        "releases": bisection.releases,
        "trials": [_trial_document(trial) for trial in bisection.trials],
    }
    return json.dumps(finite(document), indent=2, allow_nan=False) + "\n"


def trial_sentence(trial: Trial, package: str) -> str:
    """Say in one sentence what was found with a release, and where it leaks."""
    if trial.result is None:
        return f"{package} {trial.release} {_brief(_reason(trial))}"
    sentence = say.component_sentence(dataclasses.replace(trial.result, name=f"{package} {trial.release}"))
    place = _place(trial)
    return f"{sentence}{f' In {place}.' if place else ''}{' (found earlier)' if trial.kept else ''}"


def _by_version(bisection: Bisection) -> list[Trial]:
    return sorted(bisection.trials, key=lambda trial: bisection.releases.index(trial.release))


def _row(trial: Trial) -> tuple[str, str, str, str, str]:
    if trial.result is None:
        return trial.release, "–", "–", "", ""
    run = f"{Path(trial.folder or '').name}{' (found earlier)' if trial.kept else ''}"
    return trial.release, say.verdict_words(trial.result), say.growth_cell(trial.result), _place(trial) or "–", run


def _causes(trial: Trial) -> tuple[Cause, ...]:
    """Return the causes of a leak; what is confirmed first, then what grows fastest."""
    return trial.result.causes if trial.leaks and trial.result is not None else ()


def _place(trial: Trial) -> str:
    place = next((cause.where or cause.python_where for cause in _causes(trial)), None)
    if place is None:
        return ""
    file, module = (path and Path(path).name for path in (place.file, place.module))
    return say.place_words(dataclasses.replace(place, file=file, module=module))


def _reason(trial: Trial) -> str:
    """Say why a release could not be judged; empty when it could."""
    result = trial.result
    if result is None or trial.leaks is not None:
        return trial.reason
    if result.failure is not None:
        return f"{result.verdict} in {result.failure.phase}: {result.failure.detail}"
    return f"{result.verdict}: {say.why_sentence(result)}"


def _brief(reason: str) -> str:
    one_line = " ".join(reason.split())
    return one_line if len(one_line) <= _LONGEST_REASON else f"{one_line[:_LONGEST_REASON]}…"


def _moves(bisection: Bisection) -> dict[str, tuple[str | None, str | None]]:
    """Map each other package that changed between the two releases named to its versions with either."""
    before, after = bisection.trial(bisection.change.before), bisection.trial(bisection.change.after)
    if before is None or after is None or not (before.installed and after.installed):
        return {}
    names = sorted({*before.installed, *after.installed} - {bisection.question.package.name})
    versions = {name: (before.installed.get(name), after.installed.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in versions.items() if old != new}


def _moved(bisection: Bisection) -> str | None:
    moves = ", ".join(f"{name} {old or 'absent'} → {new or 'absent'}" for name, (old, new) in _moves(bisection).items())
    return f"Installed with it, and changed as well: {moves}; --with NAME==VERSION pins one." if moves else None


def _elsewhere(bisection: Bisection) -> list[str]:
    """Name the releases that have no leak in common with the one given as bad."""
    bad = bisection.trial(bisection.bad)
    if bad is None or not bad.leaks:
        return []
    return [
        f"{trial.release} leaks at another place than {bad.release}; check whether it is the same leak."
        for trial in _by_version(bisection)
        if trial.leaks and _are_elsewhere(_causes(trial), _causes(bad))
    ]


def _are_elsewhere(some: Sequence[Cause], others: Sequence[Cause]) -> bool:
    """Tell whether two lists of causes, neither empty, are of different leaks.

    Functions of stripped libraries have no names but addresses, which tell nothing from one release to the next.
    """
    if not some or not others or any(_is_stripped(cause) for cause in (*some, *others)):
        return False
    return {cause.fingerprint for cause in some}.isdisjoint(cause.fingerprint for cause in others)


def _is_stripped(cause: Cause) -> bool:
    return cause.where is not None and "+0x" in (cause.where.function or "")


def _doubtful(bisection: Bisection) -> list[str]:
    return [
        f"A control of the run with {trial.release} failed: soak show names it, and verdicts that it affects."
        for trial in _by_version(bisection)
        if not trial.controls_ok
    ]


def _trial_document(trial: Trial) -> dict[str, Any]:
    result = trial.result
    return {
        "release": trial.release,
        "leaks": trial.leaks,
        "reason": _reason(trial) or None,
        "verdict": None if result is None else result.verdict,
        "growth": None if result is None or result.growth is None else dataclasses.asdict(result.growth),
        "causes": [cause_document(cause) for cause in _causes(trial)],
        "iterations": None if result is None else result.iterations,
        "seconds": None if result is None else result.seconds,
        "controls_ok": trial.controls_ok,
        "folder": trial.folder,
        "found_earlier": trial.kept,
        "installed": trial.installed,
    }
