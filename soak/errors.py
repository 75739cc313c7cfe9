"""The errors that soak raises on purpose.

SoakError                   everything that soak itself reports: one line for a person, exit code 2
  UsageError                the request cannot be carried out: wrong target, setting or file
  StoreError                run.db cannot be written or read
  SeriesError               a series of readings cannot be judged (unsorted, duplicate, not a number)
"""

from __future__ import annotations

_LONGEST = 2000


class SoakError(Exception):
    """The root of all errors that a user may see. The message says what is wrong and what to do."""


def shortened(error: SoakError) -> str:
    """Return what a person is told: a value of a megabyte in it helps nobody."""
    text = str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"


def starved_words(error: Exception) -> str | None:
    """Say what the machine did not give, where that is all that an error means; None for any other error."""
    if isinstance(error, BlockingIOError) or str(error) == "can't start new thread":
        return "no more processes or threads are allowed here: ulimit -u, or the limit of the container (pids.max)"
    return None


class UsageError(SoakError):
    """The request cannot be carried out as written."""


class StoreError(SoakError):
    """A run's database could not be written or read."""


class SeriesError(SoakError):
    """A series cannot be judged; the message names the wrong row."""
