"""A pool of threads whose size varies is no leak, though its count alone would show that in thousands of cycles."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, context

from soak.analysis.decision.decide import decide
from soak.running.component.observations import Observations
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.targets import find_targets
from soak.verdict import SeriesState, Verdict

pytestmark = pytest.mark.integration

VARYING = """
import random, threading
from concurrent.futures import ThreadPoolExecutor

made, stop, pool = 0, threading.Event(), None
sizes = random.Random(7)

def cycle():
    global made, pool
    made += 1
    if made % 40 == 1:
        if pool is not None:
            pool.shutdown()
        pool = ThreadPoolExecutor(sizes.randint(1, 5))
        together = threading.Barrier(pool._max_workers)
        for done in [pool.submit(together.wait) for _ in range(pool._max_workers)]:
            done.result()
"""
LEAKS = "    if made % 60 == 0:\n        threading.Thread(target=stop.wait, daemon=True).start()\n"


def soak_pool(folder: Path, text: str) -> Observations:
    (folder / "it.py").write_text(text, encoding="utf-8")
    plan = a_plan(find_targets(["it.py:cycle"], folder)[0], iterations=1500, n_min=256, checkpoint_every=2)
    library, reason = find_library()
    bare = context(folder)
    return soak_component(plan, RunContext(bare.interpreter, folder, bare.stopping, library, reason))


def test_the_threads_of_a_pool_whose_size_varies_are_clean(tmp_path: Path):
    observed = soak_pool(tmp_path, VARYING)

    threads = observed.evidence.series["threads"]
    assert (threads.verdict, threads.state, threads.rate) == (Verdict.CLEAN, SeriesState.NOTHING_STAYS, 0.0)
    assert decide(observed.evidence).verdict is not Verdict.LEAK


def test_a_thread_lost_beside_such_a_pool_is_a_leak(tmp_path: Path):
    observed = soak_pool(tmp_path, VARYING + LEAKS)

    assert observed.evidence.series["threads"].verdict is not Verdict.CLEAN
    assert decide(observed.evidence).verdict is Verdict.LEAK
