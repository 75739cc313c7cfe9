"""What a failed check says: the rate with its interval, the place, who holds it, and the command to look closer."""

from __future__ import annotations

from itertools import islice, takewhile

from soak.attribution.grouping import CauseGroup, group_causes
from soak.reporting import words as say
from soak.reporting.words.causes.advice import origin_brief
from soak.reporting.words.growth import growth_words
from soak.reporting.words.paths import short_frame
from soak.results import ComponentResult
from soak.verdict import Verdict

_MOST_CAUSES, _MOST_SITES = 3, 5
_MOST_FRAMES = 8


def render_check(result: ComponentResult, command: str) -> str:
    """Write a result that is not CLEAN for a person, some ten lines; ``command``: what shows more."""
    lines = [f"soak: {say.verdict_words(result)}: {check_sentence(result)}"]
    if result.growth is not None:
        lines.append(f"  growth: {say.growth_cell(result)}, decided by {say.decided_words(result.decided_by)}")
    if result.signals:
        lines.append(f"  why: {say.why_sentence(result)}")
    if result.failure is not None:
        lines += [f"    {frame}" for frame in say.telling_frames(result.failure, _MOST_FRAMES)]
    for group in group_causes(result.causes)[:_MOST_CAUSES]:
        lines += _group(group)
    caveat = say.lookalike_sentence(result)
    if caveat is not None:
        lines.append(f"  caveat: {caveat}")
    if result.signals and not result.tracker.active:
        lines.append(f"  channels: {', '.join(result.signals)}. {say.tracker_sentence(result.tracker)}")
    if result.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING):
        lines.append("  undecided: use a larger budget or a larger tolerance")
    lines.append(f"  look closer: {command}")
    return say.printable("\n".join(lines))


def culprit_line(result: ComponentResult) -> str:
    """Say what leaks in few words, the place first; empty if it has none.

    pytest cuts its summary of a failure to the first words of its first line.
    """
    place = origin_brief(result.causes, result.keeper) if result.verdict is Verdict.LEAK else ""
    if not place:
        return ""
    return say.printable(f"LEAK{place}: {growth_words(result.growth).removeprefix('grows by ')}")


def check_sentence(result: ComponentResult) -> str:
    """Give the component's sentence with the name of a test or function as it is written in code."""
    return say.component_sentence(result)


def _group(group: CauseGroup) -> list[str]:
    # Below the test itself the stack is pytest's and the same for each.
    own = takewhile(lambda frame: frame.function != "pytest_pyfunc_call", group.causes[0].frames)
    lines = [f"  cause: {say.group_sentence(group)}"]
    lines += [f"    {site}" for site in say.site_lines(group, most=_MOST_SITES)]
    lines += [f"    {short_frame(frame)}" for frame in islice(own, _MOST_FRAMES)]
    lines += [f"    held by {holder}" for holder in say.group_held_by(group)]
    return [*lines, f"    {say.advise_on_group(group)}"]
