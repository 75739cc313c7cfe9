"""The search for the release where the answer changes, on scripted answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.bisections import Outcome, Transition
from soak.running.bisect.search import find_change
from soak.running.environments.installer import StoppedError

NAMES = [f"1.{minor}" for minor in range(64)]


class Script:
    """Scripted answers: L leaks, C does not, ? cannot be judged, ! stops the search."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[int] = []

    def leaks(self, release: str) -> bool | None:
        position = NAMES.index(release)
        self.asked.append(position)
        if self.text[position] == "!":
            raise StoppedError("stopped")
        return {"L": True, "C": False, "?": None}[self.text[position]]

    def search(self, *, newest_leaks: bool = True) -> Transition:
        return find_change(NAMES[: len(self.text)], self.leaks, newest_leaks=newest_leaks)


@pytest.mark.parametrize("length", [2, 3, 4, 7, 16, 41])
@pytest.mark.parametrize("newest_leaks", [True, False])
def test_every_place_is_found_with_the_fewest_questions(length: int, newest_leaks: bool):
    old, new = ("C", "L") if newest_leaks else ("L", "C")
    for first in range(1, length):
        script = Script(old * first + new * (length - first))

        change = script.search(newest_leaks=newest_leaks)

        assert change == Transition(Outcome.FOUND, NAMES[first - 1], NAMES[first])
        assert len(script.asked) <= 2 + math.ceil(math.log2(length - 1))


@given(st.text("CL?", max_size=38), st.booleans())
def test_the_two_named_differ_and_nothing_between_them_could_be_judged(middle: str, newest_leaks: bool):
    """For any row, also if the leak comes and goes: no release is tried twice, and none is left out."""
    old, new = ("C", "L") if newest_leaks else ("L", "C")
    script = Script(old + middle + new)

    change = script.search(newest_leaks=newest_leaks)

    before, after = NAMES.index(change.before), NAMES.index(change.after)
    assert (script.text[before], script.text[after]) == (old, new)
    assert set(script.text[before + 1 : after]) <= {"?"}
    assert change.unjudged == tuple(NAMES[before + 1 : after])
    assert change.outcome is (Outcome.BETWEEN if change.unjudged else Outcome.FOUND)
    assert len(script.asked) == len(set(script.asked))


def test_a_row_that_cannot_be_judged_is_left_at_once():
    """Thirty releases without a verdict in the middle, the change far from them."""
    script = Script("C" * 3 + "L" * 12 + "?" * 30 + "L" * 3)

    change = script.search()

    assert (change.before, change.after) == ("1.2", "1.3")
    assert sum(script.text[position] == "?" for position in script.asked) <= 6


@pytest.mark.parametrize(
    ("text", "outcome", "endpoint", "asked"),
    [
        ("CCCC", Outcome.CONTRADICTED, "1.3", [3]),
        ("LLLL", Outcome.CONTRADICTED, "1.0", [3, 0]),
        ("CLL?", Outcome.ENDPOINT_UNJUDGED, "1.3", [3]),
        ("?LLL", Outcome.ENDPOINT_UNJUDGED, "1.0", [3, 0]),
    ],
)
def test_the_ends_are_judged_first(text: str, outcome: Outcome, endpoint: str, asked: list[int]):
    script = Script(text)

    change = script.search()

    assert (change.outcome, change.endpoint) == (outcome, endpoint)
    assert script.asked == asked


def test_a_stopped_search_gives_what_is_known():
    assert Script("CC!CLLLLL").search() == Transition(Outcome.STOPPED, "1.0", "1.4")
    assert Script("!L").search() == Transition(Outcome.STOPPED, "1.0", "1.1")
