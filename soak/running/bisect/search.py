"""Find where an answer changes along a row of releases, asking as few of them as can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from soak.bisections import Outcome, Transition
from soak.running.environments.installer import StoppedError


def find_change(releases: Sequence[str], leaks: Callable[[str], bool | None], *, newest_leaks: bool) -> Transition:
    """Search ``releases`` (in order, at least two) for the first that answers as the newest one does.

    ``leaks`` tells of a release whether it leaks, or None when it cannot be judged; each is asked at most once, both
    ends first. ``newest_leaks``: what is expected of the newest release; the opposite is expected of the oldest.
    The two releases named are of different answers, and none between them could be judged. Where the answers change
    more than once along the row, that is one of the changes. Without releases that cannot be judged it takes the two
    ends and at most log2 of the number of releases, rounded up. A StoppedError from ``leaks`` ends the search.
    """
    before, after = 0, len(releases) - 1
    unjudged: set[int] = set()

    def change(outcome: Outcome, endpoint: str | None = None) -> Transition:
        between = tuple(releases[position] for position in sorted(unjudged) if before < position < after)
        return Transition(outcome, releases[before], releases[after], between, endpoint)

    try:
        for end, expected in ((after, newest_leaks), (before, not newest_leaks)):
            answer = leaks(releases[end])
            if answer is not expected:
                outcome = Outcome.ENDPOINT_UNJUDGED if answer is None else Outcome.CONTRADICTED
                return change(outcome, releases[end])
        while (position := _next_position(before, after, unjudged)) is not None:
            answer = leaks(releases[position])
            if answer is None:
                unjudged.add(position)
            elif answer is newest_leaks:
                after = position
            else:
                before = position
    except StoppedError:
        return change(Outcome.STOPPED)
    return change(Outcome.FOUND if after == before + 1 else Outcome.BETWEEN)


def _next_position(before: int, after: int, unjudged: set[int]) -> int | None:
    """Return the middle of the longest stretch between the two that was not asked; None when all were.

    Releases that cannot be judged come in rows (a year without wheels for this Python), and this leaves a row at once
    instead of feeling its way along.
    """
    stretches: list[list[int]] = [[]]
    for position in range(before + 1, after):
        if position in unjudged:
            stretches.append([])
        else:
            stretches[-1].append(position)
    longest = max(stretches, key=len)
    return longest[len(longest) // 2] if longest else None
