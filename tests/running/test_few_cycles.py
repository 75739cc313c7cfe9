"""Slow programs make few cycles: what they leave open in each is found all the same, and what they close is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, context

from soak.grounds import GroundKind
from soak.results import ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

LEAKS = {
    "pipes": ("import os\ndef cycle():\n    os.pipe()\n", "fds", 2.0, 3),
    "threads": (
        (
            "import threading\nstop = threading.Event()\n"
            "def cycle():\n    threading.Thread(target=stop.wait, daemon=True).start()\n"
        ),
        "threads",
        1.0,
        4,
    ),
}
REPAIRED = {
    "pipes": "import os\ndef cycle():\n    for end in os.pipe():\n        os.close(end)\n",
    "threads": "import threading\n"
    "def cycle():\n    one = threading.Thread(target=str, daemon=True)\n    one.start()\n    one.join()\n",
    "pool of pipes": "import os\npool = []\ndef cycle():\n    if len(pool) < 25:\n        pool.append(os.pipe())\n",
}


def soak_few(folder: Path, text: str, cycles: int) -> ComponentResult:
    """Soak a function for so many cycles with a reading after each, as a slow program has it."""
    (folder / "it.py").write_text(text, encoding="utf-8")
    plan = a_plan(
        find_targets(["it.py:cycle"], folder)[0], iterations=cycles, n_min=None, checkpoint_every=1, early_stop=True
    )
    library, reason = find_library()
    bare = context(folder)
    tracked = RunContext(bare.interpreter, folder, bare.stopping, library, reason)
    return make_result(plan, soak_component(plan, tracked), None, bare.interpreter)


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_what_stays_open_in_each_of_30_cycles_is_a_leak(tmp_path: Path, name: str):
    text, signal, rate, line = LEAKS[name]

    result = soak_few(tmp_path, text, 30)

    assert (result.verdict, result.decided_by, result.stopped_by) == (Verdict.LEAK, f"counter:{signal}", "budget")
    assert result.grounds[0].kind is GroundKind.COUNT_EVERY_CYCLE
    assert result.growth is not None
    assert result.growth.per_iteration == rate
    first = result.causes[0]
    assert (first.confirmed, first.python_where.line if first.python_where else None) == (True, line)


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_before_20_cycles_it_is_told_first_with_its_place(tmp_path: Path, name: str):
    text, signal, rate, line = LEAKS[name]

    result = soak_few(tmp_path, text, 15)

    first = result.grounds[0]
    assert (result.verdict, first.kind, first.signals[0]) == (Verdict.INCONCLUSIVE, GroundKind.UNDECIDED, signal)
    assert first.streak is not None
    assert first.streak.rate == rate
    suspected = result.causes[0]
    assert (suspected.confirmed, suspected.count_per_iteration) == (False, rate)
    assert suspected.python_where is not None
    assert suspected.python_where.line == line


@pytest.mark.parametrize("name", sorted(REPAIRED))
def test_what_is_closed_or_has_a_bound_is_no_leak(tmp_path: Path, name: str):
    result = soak_few(tmp_path, REPAIRED[name], 40)

    assert result.verdict is not Verdict.LEAK
    assert not any(cause.confirmed for cause in result.causes)
