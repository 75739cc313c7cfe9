"""The text about a search: the sentence, the skipped releases, and the doubts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from builder import a_cause, a_component, a_leak
from packaging.version import Version

from soak.bisections import Bisection, Outcome, Package, Question, Transition, Trial
from soak.reporting.commands.bisect import headline, render_json, render_text, trial_sentence
from soak.results import Place

CLEAN = Trial("1.0", False, result=a_component(), folder="/runs/a", installed={"lens": "1.0", "numpy": "1.26"})
LEAK = Trial("1.2", True, result=a_leak(), folder="/runs/b", installed={"lens": "1.2", "numpy": "1.26"})
SKIPPED = Trial("1.1", None, "could not be installed: no wheel")


def a_bisection(change: Transition, *trials: Trial, good: str = "1.0", bad: str = "1.2") -> Bisection:
    question = Question(Package("lens"), Version(good), Version(bad))
    return Bisection(question, "case.py:cycle", "CPython 3.11.7", ("1.0", "1.1", "1.2"), change, trials)


@pytest.mark.parametrize(
    ("change", "ends", "said"),
    [
        (
            Transition(Outcome.FOUND, "1.1", "1.2"),
            {"good": "1.0", "bad": "1.2"},
            "lens 1.2 is the first release that leaks (1.1 does not).",
        ),
        (
            Transition(Outcome.FOUND, "1.1", "1.2"),
            {"good": "1.2", "bad": "1.0"},
            "lens 1.2 is the first release that no longer leaks (1.1 does).",
        ),
        (
            Transition(Outcome.BETWEEN, "1.0", "1.2", ("1.1",)),
            {"good": "1.2", "bad": "1.0"},
            "The first release of lens that no longer leaks comes after 1.0 and is 1.2 at the latest; 1.1 could not",
        ),
        (
            Transition(Outcome.STOPPED, "1.0", "1.2"),
            {"good": "1.0", "bad": "1.2"},
            "Stopped; still to be searched: lens from 1.0 to 1.2.",
        ),
    ],
)
def test_one_sentence_says_what_was_found(change: Transition, ends: dict[str, str], said: str):
    assert headline(a_bisection(change, LEAK, CLEAN, **ends)).startswith(said)


@pytest.mark.parametrize(
    ("endpoint", "ends", "said"),
    [
        ("1.2", {"good": "1.2", "bad": "1.0"}, "lens 1.2, given as good, leaks: "),
        ("1.0", {"good": "1.2", "bad": "1.0"}, "lens 1.0, given as bad, does not leak: "),
        ("1.0", {"good": "1.0", "bad": "1.2"}, "lens 1.0, given as good, leaks: "),
    ],
)
def test_an_end_that_contradicts_the_user_is_named_with_its_option(endpoint: str, ends: dict[str, str], said: str):
    leaks = "leaks:" in said
    trial = replace(LEAK if leaks else CLEAN, release=endpoint)

    change = Transition(Outcome.CONTRADICTED, "1.0", "1.2", endpoint=endpoint)

    assert headline(a_bisection(change, trial, **ends)).startswith(said)


def test_releases_are_listed_by_version_with_the_reason_of_each_that_was_skipped():
    text = render_text(a_bisection(Transition(Outcome.BETWEEN, "1.0", "1.2", ("1.1",)), LEAK, CLEAN, SKIPPED))

    rows = text.splitlines()
    assert [row.split()[0] for row in rows[3:6]] == ["1.0", "1.1", "1.2"]
    assert "1.1 could not be installed: no wheel" in rows


def leaking_in(*functions: str, release: str, **changes: Any) -> Trial:
    causes = (a_cause(where=Place(name, None, None, "_lens.so"), fingerprint=name, **changes) for name in functions)
    return replace(LEAK, release=release, result=a_leak(causes=tuple(causes)))


@pytest.mark.parametrize(
    ("older", "newer", "elsewhere"),
    [
        (["sharpen"], ["blur"], True),
        (["blur"], ["blur"], False),
        (["sharpen", "blur"], ["blur"], False),
        # Addresses in a stripped library differ with every build.
        (["_lens.so+0x10"], ["_lens.so+0x20"], False),
    ],
)
def test_a_leak_at_another_place_is_mentioned(older: list[str], newer: list[str], elsewhere: bool):
    trials = leaking_in(*newer, release="1.2"), leaking_in(*older, release="1.1")

    text = render_text(a_bisection(Transition(Outcome.FOUND, "1.0", "1.1"), *trials))

    assert ("1.1 leaks at another place than 1.2" in text) is elsewhere


def test_failed_controls_are_mentioned():
    text = render_text(a_bisection(Transition(Outcome.FOUND, "1.0", "1.2"), LEAK, replace(CLEAN, controls_ok=False)))

    assert "A control of the run with 1.0 failed" in text


@pytest.mark.parametrize(
    ("beside", "moved"),
    [({"numpy": "1.26"}, {}), ({"numpy": "2.0", "cffi": "1.0"}, {"cffi": [None, "1.0"], "numpy": ["1.26", "2.0"]})],
)
def test_other_packages_that_changed_are_in_the_document(beside: dict[str, str], moved: dict[str, list[str]]):
    after = replace(LEAK, installed={"lens": "1.2", **beside})

    document = json.loads(render_json(a_bisection(Transition(Outcome.FOUND, "1.0", "1.2"), after, CLEAN)))

    assert document["moved_with_it"] == moved


def test_the_document_of_an_open_search_names_no_first_release():
    document = json.loads(
        render_json(a_bisection(Transition(Outcome.BETWEEN, "1.0", "1.2", ("1.1",)), LEAK, CLEAN, SKIPPED))
    )

    assert (document["outcome"], document["first"], document["unjudged"]) == ("between", None, ["1.1"])
    assert [trial["verdict"] for trial in document["trials"]] == ["LEAK", "CLEAN", None]


def test_the_line_of_a_release_has_its_rate_and_place_or_its_reason():
    assert trial_sentence(leaking_in("blur", release="1.2", python_where=None), "lens").endswith("In blur (_lens.so).")
    assert trial_sentence(replace(CLEAN, kept=True), "lens").endswith("(found earlier)")
    assert trial_sentence(SKIPPED, "lens") == "lens 1.1 could not be installed: no wheel"
