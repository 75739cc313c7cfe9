"""pytest-memray as its documentation says: `python -m pytest --memray test_memray.py`, with limit_leaks.

10 KB a place is 10 B a call in 1,000 calls. The marker records native stacks and Python's allocators by itself.
"""

from __future__ import annotations

import pytest
import suspect

SUSPECT = suspect.load()
CALLS = suspect.calls_that_fit(SUSPECT, 1_000)


@pytest.mark.limit_leaks("10 KB")
def test_suspect() -> None:
    """Call it, for the plugin to judge. The report it prints is read from outside."""
    for _ in range(CALLS):
        SUSPECT()


def test_told() -> None:
    """Say how many calls there were."""
    suspect.answer(cycles=CALLS)
