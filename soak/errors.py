"""The errors that soak raises on purpose.

SoakError                   everything that soak itself reports: one line for a person, exit code 2
  UsageError                the request cannot be carried out: wrong target, setting or file
  StoreError                run.db cannot be written or read
  SeriesError               a series of readings cannot be judged (unsorted, duplicate, not a number)
"""

from __future__ import annotations

import errno
import resource
from pathlib import Path

_LONGEST = 2000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS)


class SoakError(Exception):
    """The root of all errors that a user may see. The message says what is wrong and what to do."""


def shortened(error: SoakError | str) -> str:
    """Return what a person is told: a value of a megabyte in it helps nobody."""
    text = str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"


def starved_words(error: Exception) -> str | None:
    """Say what the machine did not give or allow, where that is all that an error means; None for any other error."""
    if isinstance(error, BlockingIOError) or str(error) == "can't start new thread":
        return f"too many processes or threads: raise ulimit -u, or the limit of the container (pids.max){_or_memory()}"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "there is not enough memory: raise ulimit -v, ulimit -d, or the limit of the container (memory.max)"
    if not isinstance(error, OSError):
        return None
    if error.errno in _FULL:
        return f"{error.filename or 'the output of soak'} cannot be written: {error.strerror}"
    if error.errno in _NO_MORE_FILES:
        return "too many open files: raise the limit with ulimit -n 1024"
    if error.errno in _OUT_OF_REACH and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}"
    return None if _has_working_folder() else "the working folder was removed: change to another one"


def _or_memory() -> str:
    """Name the limits of memory where there are any: the stack of a thread needs memory too."""
    limits = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return "" if set(limits) == {resource.RLIM_INFINITY} else "; or raise the limits of memory: ulimit -v, ulimit -d"


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


class UsageError(SoakError):
    """The request cannot be carried out as written."""


class StoreError(SoakError):
    """A run's database could not be written or read."""


class SeriesError(SoakError):
    """A series cannot be judged; the message names the wrong row."""
