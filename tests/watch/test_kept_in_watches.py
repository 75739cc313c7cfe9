"""A watch calls what a container keeps that only grows a leak long before n_min, and what may stop to grow never so."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from soak.analysis.sites.ledger import LedgerJudge, Suspect
from soak.attribution.causes import Call
from soak.attribution.holders import UNSCANNED, Reachability
from soak.results import Unseen
from soak.running.clock import ScriptedClock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.scanning.code_reading import CodeReading
from soak.running.watch.judging.proofs import WatchProofs
from soak.verdict import SeriesState, SeriesVerdict, Verdict

SITE, REQUESTS = 1, 400
GROWS = Suspect(SITE, SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.FEW_READINGS), 0.3, 1057, 340.0)
SERVER = Call(file="/srv/lib/python3.11/site-packages/flask/app.py", function="dispatch_request", line=902)
LEADS_ELSEWHERE = [(Call(file="/srv/other.py", function="load", line=9), SERVER)]
KEEPS = "KEPT = []\ndef view():\n    KEPT.append(bytes(9))\n"
BOUNDED = {
    "a bounded cache": (
        "KEPT = []\ndef view():\n    KEPT.append(bytes(9))\n    if len(KEPT) > 5000:\n        KEPT.pop(0)\n"
    ),
    "a pool of connections": (
        "KEPT = []\ndef view():\n    KEPT.append(bytes(9))\ndef borrow():\n    return KEPT.pop() if KEPT else make()\n"
    ),
    "a list that is written and cleared": (
        "KEPT = []\ndef view():\n    KEPT.append(bytes(9))\ndef flush():\n    write(KEPT)\n    KEPT.clear()\n"
    ),
}


def growth(blocks: np.ndarray) -> LedgerJudge:
    """Judge one site of which so many blocks are alive after each 10 requests."""
    judge = LedgerJudge(1.0)
    for number, alive in enumerate(blocks):
        counts = np.array([0, alive], np.int64)
        judge.add(10 * number, counts, 1057 * counts)
    return judge


def random_requests(rng: np.random.Generator, share: float, requests: int = REQUESTS) -> np.ndarray:
    """Return how many of some requests were for one route, after each 10."""
    return np.cumsum(rng.binomial(10, share, requests // 10))


def proofs(
    folder: Path, code: str, *, scans: Reachability | None = None, blocks: np.ndarray | None = None
) -> WatchProofs:
    """Prove with a program of this code, whose third line allocates at the site."""
    file = folder / "app.py"
    file.write_text(code, encoding="utf-8")
    stack = (Call(file=str(file), function="view", line=3), SERVER)
    ledger: Any = LedgerReader(lambda: None, str, 1.0)
    ledger._judge = growth(random_requests(np.random.default_rng(1), 0.3) if blocks is None else blocks)
    ledger.stacks_of = lambda _: [stack, (*stack, SERVER)]
    ledger.python_files = lambda: (str(file),)
    is_scanned = scans is not None
    code = CodeReading(at_once=True)
    return WatchProofs(ledger, lambda _: scans or UNSCANNED, ScriptedClock(), is_scanned=is_scanned, code=code)


def test_what_a_view_keeps_is_proven_after_some_hundred_requests(tmp_path: Path):
    found = proofs(tmp_path, KEEPS).kept([GROWS], REQUESTS)

    assert found is not None
    assert found.keeper is not None
    assert (found.keeper.name, found.keeper.line, found.at_cycle) == ("KEPT", 3, REQUESTS)
    assert found.growth.rate == pytest.approx(0.3 * 1057, rel=0.2)


def test_what_stood_proven_is_told_as_it_grew_when_it_grows_no_more(tmp_path: Path):
    """Its process has been replaced, and took what it held along."""
    found = proofs(tmp_path, KEEPS)
    assert found.gone([]) == []
    found.kept([GROWS], REQUESTS)

    (told,) = found.gone([])

    assert found.gone([GROWS]) == []
    assert (told.site, told.is_leak) == (SITE, True)
    assert told.bytes_per_cycle == pytest.approx(0.3 * 1057, rel=0.2)


@pytest.mark.parametrize("code", BOUNDED.values(), ids=BOUNDED)
def test_what_may_be_bounded_is_not_proven_however_it_grows(tmp_path: Path, code: str):
    assert proofs(tmp_path, code).kept([GROWS], REQUESTS) is None


@pytest.mark.parametrize(("beside", "may_be"), [(0.0, True), (10.0, True), (100.0, False)])
def test_what_goes_elsewhere_is_no_cache_however_much_goes_into_one(tmp_path: Path, beside: float, *, may_be: bool):
    made = proofs(tmp_path, BOUNDED["a bounded cache"])
    ledger: Any = made._ledger
    stacks = ledger.stacks_of(SITE)
    ledger.stacks_of = lambda site: stacks if site == SITE else []
    other = Suspect(2, GROWS.verdict, 1.0, None, beside)

    assert made.may_be_bounded([GROWS, other]) is may_be
    assert not made.may_be_bounded([])


def test_what_does_not_grow_any_more_is_not_proven(tmp_path: Path):
    filled = np.minimum(random_requests(np.random.default_rng(1), 0.3), 90)

    assert proofs(tmp_path, KEEPS, blocks=filled).kept([GROWS], REQUESTS) is None


@pytest.mark.parametrize(
    ("later", "ended", "stands"),
    [([], 0, True), ([120] * 40, 0, True), ([5] * 40, 0, False), ([5] * 40, 1, True)],
    ids=["nobody looked since", "nobody asks for it any more", "it went", "its process was replaced"],
)
def test_what_was_proven_stands_unless_it_goes(tmp_path: Path, later: list[int], ended: int, *, stands: bool):
    made = proofs(tmp_path, KEEPS)
    assert made.kept([GROWS], REQUESTS) is not None
    ledger: Any = made._ledger
    before = ledger._judge.series(SITE)[1]
    ledger._judge = growth(np.array([*before, *later]))
    made._ended = lambda: ended

    assert (made.kept([], 2 * REQUESTS) is not None) == stands


@pytest.mark.parametrize(("of_lives", "told"), [(1057.0, 1057.0), (3.0, 0.3 * 1057), (None, 0.3 * 1057)])
def test_what_went_with_processes_that_have_ended_was_kept_all_the_same(
    tmp_path: Path, of_lives: float | None, told: float
):
    """The sum over the processes that live hardly grows where they are replaced."""
    made = proofs(tmp_path, KEEPS)
    made._kept_per_mark = lambda sites: of_lives if SITE in sites else 0.0

    for suspects in ([GROWS], []):
        found = made.kept(suspects, REQUESTS)

        assert found is not None
        assert found.growth.rate == pytest.approx(told, rel=0.2)
        assert found.total.rate == pytest.approx(told, rel=0.2)


def test_code_that_is_not_read_yet_proves_nothing_and_may_bound_all(tmp_path: Path):
    made, may_go_on = proofs(tmp_path, KEEPS), Event()
    made.code = CodeReading()
    made.code.ask("something else", lambda: may_go_on.wait(10))

    assert (made.kept([GROWS], REQUESTS), made.may_be_bounded([GROWS]), made.has_unread) == (None, True, True)

    may_go_on.set()
    made.code.finish()
    assert made.kept([GROWS], REQUESTS) is not None
    assert (made.may_be_bounded([GROWS]), made.has_unread) == (False, False)


def test_stacks_that_lead_to_several_containers_prove_nothing(tmp_path: Path):
    made = proofs(tmp_path, KEEPS)
    ledger: Any = made._ledger
    ledger.stacks_of = lambda _: [*LEADS_ELSEWHERE, (Call(file=str(tmp_path / "app.py"), function="view", line=3),)]

    assert made.kept([GROWS], REQUESTS) is None


@pytest.mark.parametrize(
    ("scans", "is_proven"),
    [
        (Reachability("held"), True),
        (Reachability("unknown", Unseen.NOT_READABLE), True),
        (UNSCANNED, False),  # a scan is to come
        (Reachability("lost"), False),  # told by itself
    ],
)
def test_where_scans_are_allowed_they_are_waited_for(tmp_path: Path, scans: Reachability, is_proven: bool):
    assert (proofs(tmp_path, KEEPS, scans=scans).kept([GROWS], REQUESTS) is not None) == is_proven


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_requests_of_one_route_at_random_go_on(share: float):
    """At least 95 of 100 are seen to go on after 400 requests, and all of them later."""
    rng = np.random.default_rng(17)

    early = [growth(random_requests(rng, share)).goes_on(SITE) for _ in range(100)]
    late = [growth(random_requests(rng, share, 4 * REQUESTS)).goes_on(SITE) for _ in range(100)]

    assert sum(early) >= 95
    assert sum(late) >= 99


def test_what_fills_does_not_go_on():
    """None of 300 random caches that are full by half of the requests is said to go on."""
    rng = np.random.default_rng(18)
    sizes = rng.integers(40, REQUESTS // 4, 300)

    filled = [np.minimum(random_requests(rng, 0.5), size) for size in sizes]

    assert not any(growth(blocks).goes_on(SITE) for blocks in filled)
