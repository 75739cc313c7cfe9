"""pytest-memray as its documentation says: `python -m pytest --memray test_memray.py`, with limit_leaks.

10 KB per place is 10 B per call in 1,000 calls. The marker records native stacks and Python's allocators by itself.
"""

from __future__ import annotations

import pytest
import suspect

SUSPECT = suspect.load()
CALLS = suspect.calls_that_fit(SUSPECT, 1_000)


@pytest.mark.limit_leaks("10 KB")
def test_suspect() -> None:
    """Call it; the plugin judges. The bench reads the plugin's report from outside."""
    for _ in range(CALLS):
        SUSPECT()


def test_told() -> None:
    """Write the number of calls."""
    suspect.answer(cycles=CALLS)
