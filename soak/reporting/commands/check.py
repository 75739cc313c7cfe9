"""What a failed check says: the rate with its interval, the place, who holds it, and the command to look closer."""

from __future__ import annotations

from itertools import islice, takewhile

from soak.reporting import words as say
from soak.reporting.words.paths import short_frame
from soak.results import Cause, ComponentResult
from soak.verdict import Verdict

_MOST_CAUSES = 3
_MOST_FRAMES = 8


def render_check(result: ComponentResult, command: str) -> str:
    """Write a result that is not CLEAN for a person, some ten lines; ``command``: what shows more."""
    lines = [f"soak: {say.verdict_words(result)}: {check_sentence(result)}"]
    if result.growth is not None:
        lines.append(f"  growth: {say.growth_cell(result)}, decided by {say.decided_words(result.decided_by)}")
    if result.signals:
        lines.append(f"  why: {say.added_why(result)}")
    if result.failure is not None:
        lines += [f"    {frame}" for frame in say.telling_frames(result.failure, _MOST_FRAMES)]
    for cause in result.causes[:_MOST_CAUSES]:
        lines += _cause(cause)
    caveat = say.caveat_sentence(result)
    if caveat is not None:
        lines.append(f"  caveat: {caveat}")
    if result.signals and not result.tracker.active:
        lines.append(f"  channels: {', '.join(result.signals)}. {say.tracker_sentence(result.tracker)}")
    if result.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING):
        lines.append("  undecided: give it a larger budget, or a tolerance that suits it")
    lines.append(f"  look closer: {command}")
    return say.printable("\n".join(lines))


def check_sentence(result: ComponentResult) -> str:
    """Give the component's sentence with the name of a test or function as it is written in code."""
    return say.component_sentence(result).replace(say.spoken(result.name), result.name, 1)


def _cause(cause: Cause) -> list[str]:
    # Below the test itself the stack is pytest's and the same for each.
    own = takewhile(lambda frame: frame.function != "pytest_pyfunc_call", cause.frames)
    lines = [f"  cause: {say.cause_sentence(cause)}"]
    lines += [f"    {short_frame(frame)}" for frame in islice(own, _MOST_FRAMES)]
    lines += [f"    held by {holder}" for holder in say.held_by(cause)]
    return [*lines, f"    {say.advise(cause)}"]
