"""Programs with several interpreters in one process: nothing is lost, and they run as without the tracker."""

from __future__ import annotations

import pytest
from tracked_children import Track, interpreters

pytestmark = [pytest.mark.native, pytest.mark.integration]

PYTHON_OBJ = 2
OWN_LOCK = [version for version in interpreters() if int(version.split(".")[1]) >= 12]
"""With a lock for each interpreter of a process."""
OTHER = """
try:
    import _interpreters as others
except ImportError:
    import _xxsubinterpreters as others
other = others.create()
others.run_string(other, "kept = []")
"""


@pytest.mark.parametrize("version", interpreters())
def test_what_another_interpreter_keeps_is_found(track: Track, version: str) -> None:
    """One object of the other interpreter in each cycle: counted exactly, with its size."""
    script = OTHER + "run(lambda: others.run_string(other, 'kept.append(object())'))\nanswer()"

    survivors = track(script, interpreters()[version]).survivors()

    assert [line[:3] for line in survivors if line[0] >= 100] == [[100, 16, PYTHON_OBJ]]


@pytest.mark.parametrize("version", OWN_LOCK)
def test_interpreters_that_run_at_the_same_time_do_not_disturb_each_other(track: Track, version: str) -> None:
    """Each has its own lock, so that both allocate and release at one moment."""
    script = (
        OTHER
        + """
import threading
CHURN = "for number in range(20000): made = [{str(number): [number]}, (number, 1.5 * number), bytes(number % 600)]"
def beside():
    others.run_string(other, CHURN + "; made = None")
def cycle():
    thread = threading.Thread(target=beside)
    thread.start()
    exec(CHURN, {})
    thread.join()
    kept.append(object())
run(cycle, 10)
answer()
"""
    )

    survivors = track(script, interpreters()[version]).survivors(2, 8)

    assert [6, 16, PYTHON_OBJ] in [line[:3] for line in survivors]
