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
KEEPING = {
    "a number of the module": (
        "import time\nSEEN, N = {}, 0\ndef cycle():\n    global N\n    N += 1\n"
        "    SEEN[N] = bytes(106)\n    time.sleep(0.02)\n"
    ),
    "how many there are": (
        "import time\nSEEN = {}\ndef cycle():\n    SEEN[len(SEEN)] = bytes(106)\n    time.sleep(0.02)\n"
    ),
    "a number of an object": (
        "import time\nclass Seen:\n    def __init__(self):\n        self.number, self.all = 0, {}\n"
        "    def add(self):\n        self.number += 1\n        self.all[self.number] = bytes(106)\n"
        "SEEN = Seen()\ndef cycle():\n    SEEN.add()\n    time.sleep(0.02)\n"
    ),
}
"""Dicts whose keys count up: by what."""


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


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name != "a number of the module")) for name in sorted(KEEPING)],
)
def test_a_dict_whose_keys_count_up_is_a_leak_after_few_cycles(tmp_path: Path, name: str):
    result = soak_few(tmp_path, KEEPING[name], 400)

    assert (result.verdict, result.grounds[0].kind, result.stopped_by) == (
        Verdict.LEAK, GroundKind.KEPT_BLOCKS, "verdict",
    )  # fmt: skip
    growth = result.growth
    assert growth is not None
    assert growth.low is not None
    assert growth.high is not None
    assert growth.low <= 106 + 33 <= growth.high


def test_a_dict_whose_keys_come_round_is_no_leak(tmp_path: Path):
    text = KEEPING["a number of the module"].replace("SEEN[N]", "SEEN[N % 365]").replace("0.02", "0.005")

    assert soak_few(tmp_path, text, 300).verdict is not Verdict.LEAK
