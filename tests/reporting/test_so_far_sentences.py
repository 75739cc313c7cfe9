"""The first sentence of what is not decided: the strongest evidence so far, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder import a_cause, a_leak, an_undecided, growth, signal

from soak.grounds import Ground, GroundKind, Streak
from soak.reporting.words import component_sentence, growth_so_far
from soak.results import AT_WORK, ComponentResult, Place
from soak.store.runs import claimed, create_run
from soak.verdict import Verdict
from soak.web.live import LiveRun

PLACE = Place("work", "worker.py", 12)
MEMORY = a_cause(
    confirmed=False, state="unknown", python_where=PLACE, where=None, frames=(), bytes_per_iteration=8_881.0
)
IN_WORKERS = a_cause(
    confirmed=False,
    state="unknown",
    python_where=PLACE,
    where=None,
    frames=(),
    bytes_per_iteration=8_881.0,
    processes="2 × python, forked",
)
OPENED = a_cause(
    kind="file-descriptor",
    confirmed=False,
    state="unknown",
    python_where=Place("cycle", "pipes.py", 4),
    where=None,
    frames=(),
    bytes_per_iteration=None,
    count_per_iteration=2.0,
)
ARENA = Place("_PyMem_ArenaAlloc", "Objects/obmalloc.c", 368, "libpython3.13.so.1.0")
NOWHERE = a_cause(confirmed=False, where=None, python_where=None, frames=(), bytes_per_iteration=16_384.0)
IN_CPYTHON = a_cause(confirmed=False, where=ARENA, python_where=None, frames=(ARENA,), bytes_per_iteration=16_000.0)
RISING = Ground(GroundKind.UNDECIDED, ("fds",), streak=Streak(0, 100, 50, 5.0, 205.0))


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (an_undecided(causes=(MEMORY,)), "grows by 8,881 B per call: probably worker.py:12 allocates it"),
        (
            an_undecided(causes=(IN_WORKERS,)),
            "grows by 8,881 B per call in 2 × python, forked: probably worker.py:12 allocates it",
        ),
        (
            an_undecided(causes=(MEMORY, OPENED), grounds=(RISING,)),
            "grows by 2 file descriptors per call: probably opened at pipes.py:4",
        ),
    ],
)
def test_what_is_not_decided_says_first_what_grows_and_where(component, expected: str):
    sentence = component_sentence(component)

    assert sentence == f"get could not be decided yet, but so far it {expected} (4,000 calls in 8.5 s)."


@pytest.mark.parametrize(
    "component",
    [an_undecided(), an_undecided(causes=(MEMORY,), iterations=7), an_undecided(grounds=(RISING,), causes=())],
)
def test_little_memory_is_nothing_to_begin_with_and_a_count_needs_no_place(component):
    expected = "grows by 2 file descriptors per call" if component.grounds[0] is RISING else None

    assert growth_so_far(component) == expected


@pytest.mark.parametrize(
    ("last", "verdict", "beside"),
    [
        (7_594.0, Verdict.INCONCLUSIVE, ", and by 1 thread per call"),
        (9.0, Verdict.INCONCLUSIVE, ""),
        (7_594.0, Verdict.CLEAN, ""),
    ],
)
def test_of_memory_that_leaks_the_count_is_told_that_rose_beside_it(last: float, verdict: Verdict, beside: str):
    """A busy machine left too few readings of the threads, so the memory that came with them decided."""
    threads = signal("threads", None, None, None, verdict=verdict, first=1.0, last=last)
    leak = a_leak(
        "serve",
        causes=(NOWHERE, IN_CPYTHON, MEMORY),
        growth=growth(2_684.0, 2_600.0, 2_700.0, requested=19_771.0),
        signals={"threads": threads},
        iterations=7_593,
    )

    sentence = component_sentence(leak)

    assert sentence.startswith(f"serve grows by 19.3 KiB per call{beside}: probably worker.py:12 allocates it (")


@pytest.mark.parametrize(
    ("component", "may_change"), [(an_undecided("get", stopped_by=AT_WORK), True), (a_leak(stopped_by=AT_WORK), False)]
)
def test_the_live_page_marks_a_verdict_that_may_change(tmp_path: Path, component: ComponentResult, may_change: bool):
    """INCONCLUSIVE beside a component at work looks like the end of it; LEAK is final."""
    folder = tmp_path / "run"
    folder.mkdir()
    begun = "2026-01-02T03:04:05+00:00"
    settings = {"components": {component.name: {}, "cache": {}}}
    with create_run(folder, run="run", started=begun, soak="0.1.0", settings=settings) as store, claimed(folder):
        store.begin_component(component.name, begun)
        store.write_so_far(component)
        state = LiveRun(folder).look().state
    at_its_end = LiveRun(folder).look().state

    assert state is not None
    assert at_its_end is not None
    assert [one["may_change"] for one in state["components"]] == [may_change]
    assert state["state"].endswith("Still to come: cache.")
    assert [one["may_change"] for one in at_its_end["components"]] == [False]
