"""psleak as its README says: `PYTHONMALLOC=malloc PYTHONUNBUFFERED=1 python -m pytest test_psleak.py`."""

from __future__ import annotations

import re

import suspect
from psleak import Error, MemoryLeakTestCase

SUSPECT = suspect.load()
ALL_ROUNDS = 22_663 / 200
"""The number of calls in the ten rounds of a failure, divided by the ``times`` of the first round."""


class TestSuspect(MemoryLeakTestCase):  # type: ignore[misc]  # psleak has no types
    """One test of the suspected call, with the defaults, or with fewer calls if 22,663 would take too long."""

    calls = 0

    def call(self, fun):  # type: ignore[no-untyped-def]
        """Count the call and make it."""
        self.calls += 1
        return fun()

    def test_suspect(self) -> None:
        """Write psleak's answer, and fail if it found a leak."""
        times = max(5, round(suspect.calls_that_fit(SUSPECT, 22_663) / ALL_ROUNDS))
        try:
            self.execute(SUSPECT, times=times)
        except Error as error:
            rates = re.findall(r"(\w+)=\+\d+ .*avg/call=\+(\d+)", str(error))
            found = rates[-1] if rates else (type(error).__name__, None)
            suspect.answer(
                verdict="leak", cycles=self.calls, rate=found[1] and float(found[1]), place="", told=str(error)[:400]
            )
            raise
        suspect.answer(verdict="clean", cycles=self.calls, rate=None, place="", told="")
