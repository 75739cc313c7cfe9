"""The errors soak raises on purpose.

SoakError                   anything soak itself reports; one line for a person; exit code 2
  UsageError                what was asked for cannot be done: target, setting, file
  StoreError                run.db cannot be written or read
  SeriesError               a series of readings cannot be judged (unsorted, duplicate, not a number)
"""

from __future__ import annotations


class SoakError(Exception):
    """Root of all errors a user may see; the message says what was wrong and what to do."""


class UsageError(SoakError):
    """The request cannot be carried out as written."""


class StoreError(SoakError):
    """A run's database could not be written or read."""


class SeriesError(SoakError):
    """A series cannot be judged; the message names the offending row."""
