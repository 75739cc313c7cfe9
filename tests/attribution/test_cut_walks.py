"""What was not looked at to the end is not known: no walk that is cut makes a leak of what a bounded cache holds."""

from __future__ import annotations

import collections
import functools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from soak.analysis.decision.decide import decide
from soak.analysis.evidence import Evidence
from soak.analysis.sites.caches import CachedSite
from soak.attribution.object_answers import ObjectAnswers, read_object_answers
from soak.inside.objects import answers, holders
from soak.verdict import SeriesState, SeriesVerdict, Verdict

GROWS = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 106.0, 105.0, 107.0, decided_at=256, since=64, is_growing=True)
CYCLES = 300
EVIDENCE = Evidence(
    series={"tracked": GROWS}, required=frozenset(), tolerance_bytes=1.0, cycles=CYCLES, n_min=256, is_last=True
)
SITE = 7
SEEDS = 8
MOST_LOOKS = 4000


class Thing:
    def __init__(self, number: int) -> None:
        self.number = [number]


class Program:
    """Bounded caches with room left, somewhere in a heap of other objects, of random form."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.things: list[Thing] = []
        self.recent: collections.deque[Any] = collections.deque(maxlen=chance.randrange(400, 4000))
        self.lookup: Callable[[int], Thing] = functools.lru_cache(maxsize=chance.randrange(400, 4000))(Thing)
        self.add = chance.choice([self._append, self._look_up, self._append_nested])
        self.state: Any = [self.recent, self.lookup]
        for _ in range(chance.randrange(1, 12)):  # around, or beside so many others
            self.state = [[bytearray(1)] * 3 for _ in range(chance.randrange(200))] + [{"within": self.state}]
        self.run(CYCLES)

    def run(self, most: int) -> int:
        for _ in range(most):
            self.things.append(self.add(len(self.things)))
        return most

    def _append(self, number: int) -> Thing:
        self.recent.append(Thing(number))
        return self.recent[-1]

    def _append_nested(self, number: int) -> Thing:
        self.recent.append({"row": (Thing(number), number)})
        return self.recent[-1]["row"][0]

    def _look_up(self, number: int) -> Thing:
        return self.lookup(number)


class CutAt:
    """A limit of time that is over after so many looks at the clock, of the first walk; the second is not cut."""

    def __init__(self, looks: int) -> None:
        self._left: float = looks

    def __call__(self, _: float) -> CutAt:
        first, self._left = self._left, float("inf")
        return CutAt(int(first)) if first != float("inf") else self

    def is_over(self) -> bool:
        self._left -= 1
        return self._left < 0


def answer_of(program: Program, monkeypatch: pytest.MonkeyPatch, looks: int | None) -> ObjectAnswers:
    """Ask for some of a program's objects, in a walk that is cut after so many steps; None for one that is not."""
    samples = [(id(thing), id(Thing)) for thing in program.things[:: CYCLES // 12]]
    things, program.things = program.things, []  # the test itself holds nothing that it asks for
    del things
    monkeypatch.setattr(holders, "_modules", list)
    monkeypatch.setattr(holders, "_of_interpreter", list)
    monkeypatch.setattr(holders, "_variables", lambda frame: [])
    monkeypatch.setattr(holders, "_LOOK_AT_CLOCK_EVERY", 1)
    if looks is not None:
        monkeypatch.setattr(holders, "TimeLimit", CutAt(looks))
    roots = [("the state", program.state)]
    found = answers._look_for([(SITE, samples)], roots, program.run, lambda address: 0, None)
    return read_object_answers(found, CYCLES)


def verdict_of(found: ObjectAnswers) -> Verdict:
    answer = found.by_site.get(SITE)
    cache = None if answer is None else answer.cache
    site = CachedSite(106.0, cache, is_leak=True, is_unseen=answer is None and not found.is_complete)
    return decide(replace(EVIDENCE, cached=(site,))).verdict


@pytest.mark.parametrize(
    "seed", [*range(SEEDS), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(SEEDS, 60))]
)
def test_no_step_at_which_a_walk_ends_makes_a_leak_of_a_clean_program(seed: int, monkeypatch: pytest.MonkeyPatch):
    whole = answer_of(Program(seed), monkeypatch, None)
    cut = answer_of(Program(seed), monkeypatch, random.Random(seed).randrange(0, MOST_LOOKS))

    assert whole.is_complete
    assert verdict_of(whole) is Verdict.SETTLING
    assert verdict_of(cut) is (Verdict.SETTLING if cut.is_complete else Verdict.INCONCLUSIVE)


def test_the_walks_of_this_test_are_cut(monkeypatch: pytest.MonkeyPatch):
    cut = [answer_of(Program(seed), monkeypatch, random.Random(seed).randrange(0, MOST_LOOKS)) for seed in range(SEEDS)]

    assert SEEDS / 3 < sum(not each.is_complete for each in cut) < SEEDS


@pytest.mark.parametrize("seed", range(5))
def test_what_a_list_holds_beside_a_cache_is_a_leak(seed: int, monkeypatch: pytest.MonkeyPatch):
    """The leaking twins of the programs above."""
    program = Program(seed)
    program.state = [list(program.things), program.state]

    assert verdict_of(answer_of(program, monkeypatch, None)) is Verdict.LEAK


def test_a_walk_that_is_cut_excuses_nothing_where_no_cache_was_seen():
    """A program of many million objects may leak as well."""
    assert verdict_of(ObjectAnswers({}, is_complete=False)) is Verdict.LEAK
