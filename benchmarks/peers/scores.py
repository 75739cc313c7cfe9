"""Judge an answer: right, wrong or undecided."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from peers.cases import REPAIRED, Case
from peers.tools import Answer

RIGHT, WRONG, UNDECIDED, SKIPPED = "right", "wrong", "undecided", "skipped"


@dataclass(frozen=True)
class Score:
    """One tool's answer to one case, judged."""

    case: Case
    tool: str
    answer: Answer | None
    """None: the tool could not run; ``why`` says the reason."""
    verdict: str
    place: bool | None
    """None if there is no leak, none was found, or the tool names no places."""
    rate_error: float | None
    """Share of the true rate; None if there is none to compare."""
    why: str = ""


def judge(case: Case, tool: str, answer: Answer | None, why: str = "") -> Score:
    """Judge an answer.

    SETTLING is right for a clean case (a cache fills) and wrong for a leak. INCONCLUSIVE is undecided, and so is no
    answer in time.
    """
    if answer is None:
        return Score(case, tool, None, SKIPPED, None, None, why)
    if answer.verdict in ("INCONCLUSIVE", "FAILED"):
        return Score(case, tool, answer, UNDECIDED, None, None, answer.told)
    says_leak = answer.verdict == "LEAK"
    verdict = RIGHT if says_leak == case.leaks else WRONG
    found = says_leak and case.leaks
    return Score(
        case,
        tool,
        answer,
        verdict,
        names_place(case, answer) if found and tool != "psleak" else None,
        rate_error(case, answer) if found else None,
        answer.told,
    )


def names_place(case: Case, answer: Answer) -> bool:
    """Whether the first place contains one of the expected names."""
    return any(name in answer.place for name in case.expect["where_any"])


def rate_error(case: Case, answer: Answer) -> float | None:
    """Return the relative error of the rate to the nearest true rate."""
    if answer.rate is None:
        return None
    if answer.unit == "fds":
        truth = case.expect.get("fds_per_iter")
        return abs(answer.rate / truth - 1) if truth else None
    if answer.unit != "bytes" or not case.byte_rates:
        return None
    return min(abs(answer.rate / truth - 1) for truth in case.byte_rates)


def best_peer(scores: list[Score], case: Case, quantity: str) -> tuple[float, str] | None:
    """Return the smallest ``cycles`` or ``seconds`` of a peer that found this leak, and the peer's name.

    A peer that blames another place, or that also calls the repaired twin a leak, has not found this leak.
    """
    values = [
        (float(getattr(score.answer, quantity)), score.tool)
        for score in scores
        if score.case.name == case.name
        and score.tool != "soak"
        and score.answer
        and score.verdict == RIGHT
        and not blames_something_else(score)
        and not flags_twin(scores, case, score.tool)
    ]
    return min(values, default=None)


def blames_something_else(score: Score) -> bool:
    """Whether a tool calls a leak LEAK, but for another reason: another place, garbage, a thread.

    psleak names no place, but the kind that it counted: memory, descriptors, or another.
    """
    if score.tool == "psleak" and score.answer is not None:
        return score.verdict == RIGHT and score.answer.rate is None and "descriptor" not in score.answer.told
    return score.place is False


def flags_twin(scores: list[Score], case: Case, tool: str) -> bool:
    """Whether a tool calls the repaired twin of a planted leak a leak."""
    twin = f"{case.name}{REPAIRED}"
    return any(score.case.name == twin and score.tool == tool and score.verdict == WRONG for score in scores)


def summarise(scores: list[Score], tool: str) -> dict[str, Any]:
    """Return the totals of a tool."""
    own = [score for score in scores if score.tool == tool and score.verdict != SKIPPED]
    leaks = [score for score in own if score.case.leaks]
    clean = [score for score in own if not score.case.leaks]
    answered = [score.answer for score in own if score.answer]
    errors = [score.rate_error for score in leaks if score.rate_error is not None]
    return {
        "leaks": len(leaks),
        "found": _count(leaks, RIGHT),
        "leaks undecided": _count(leaks, UNDECIDED),
        "clean": len(clean),
        "passed": _count(clean, RIGHT),
        "flagged": _count(clean, WRONG),
        "clean undecided": _count(clean, UNDECIDED),
        "told apart": sum(
            score.verdict == RIGHT and not flags_twin(scores, score.case, tool)
            for score in leaks
            if score.case.group == "planted"
        ),
        "planted": sum(score.case.group == "planted" for score in leaks),
        "something else": sum(blames_something_else(score) for score in leaks),
        "places": sum(score.place is True for score in leaks) if tool != "psleak" else None,
        "rate error": _median(errors),
        "cycles to a leak": _median([s.answer.cycles for s in leaks if s.verdict == RIGHT and s.answer]),
        "seconds to a leak": _median([s.answer.seconds for s in leaks if s.verdict == RIGHT and s.answer]),
        "seconds to clean": _median([s.answer.seconds for s in clean if s.verdict == RIGHT and s.answer]),
        "peak bytes": _median([answer.peak_bytes for answer in answered]),
        "file bytes": _median([answer.file_bytes for answer in answered]),
    }


def _count(scores: list[Score], verdict: str) -> int:
    return sum(score.verdict == verdict for score in scores)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
