"""Read a profile's file with little memory and little time: ``python -I -S profile_reader.py < FILE > JSON``.

A .prof is marshal data. Its reader trusts it: a few bytes can request all memory or run for hours. So a process of its
own reads it, after it has limited itself, and writes JSON:

    [[file, line, name, primitive calls, calls, own s, cumulative s, callers], …]

where callers are [[place in the outer list, calls, primitive calls, own s, cumulative s], …].
Run as a script; it imports nothing of soak.
"""

from __future__ import annotations

import json
import marshal
import math
import os
import resource
import sys
from typing import Any

MEMORY_BYTES = 512 * 2**20
CPU_S = 5
FILE_BYTES = 16 * 2**20
OUTPUT_BYTES = 16 * 2**20
_LARGEST_COUNT = 2**53
"""Beyond it a browser, and a float, cannot tell counts apart."""


def main() -> int:
    """Translate stdin to stdout; return 0, or 1 with one line on stderr saying why it is not a profile."""
    _limit()
    try:
        # Read to its end first: a marshal reader on a stream would ask for whatever size the data claim.
        statistics = marshal.loads(sys.stdin.buffer.read(FILE_BYTES + 1))
        sys.stdout.write(json.dumps(_rows(statistics), allow_nan=False))
        sys.stdout.flush()
    except MemoryError:
        sys.stderr.write(f"it needs more than {MEMORY_BYTES >> 20} MiB to be read\n")
        return 1
    except (ValueError, TypeError, EOFError, RecursionError, AttributeError, OverflowError) as error:
        sys.stderr.write(f"it is not a profile: {_one_line(error)}\n")
        return 1
    except OSError:
        sys.stderr.write(f"what it holds takes more than {OUTPUT_BYTES >> 20} MiB\n")
        os._exit(1)  # an ordinary end would try to write the rest once more
    return 0


def _one_line(error: Exception) -> str:
    """Return what an error says; it may quote the file, with the ends of lines and control characters in it."""
    words = str(error)[:200] or type(error).__name__
    return "".join(character if character.isprintable() else " " for character in words)


def _limit() -> None:
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 8),
    ):
        hard = resource.getrlimit(what)[1]
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(what, (limit, limit))


def _rows(statistics: Any) -> list[Any]:
    if type(statistics) is not dict:
        raise TypeError("the file holds no statistics of cProfile")
    places = {_key(key): place for place, key in enumerate(statistics)}
    rows = []
    for (file, line, name), (primitive, calls, own_s, cumulative_s, callers) in statistics.items():
        shares = [[places[key], *_share(share)] for key, share in callers.items() if key in places]
        rows.append([file, line, name, *_numbers(primitive, calls, own_s, cumulative_s), shares])
    return rows


def _key(key: Any) -> tuple[str, int, str]:
    file, line, name = key
    if type(file) is not str or type(line) is not int or type(name) is not str:
        raise TypeError("a function is not named by file, line and name")
    _numbers(line, 0, 0.0, 0.0)
    return key  # type: ignore[no-any-return]  # checked above


def _share(share: Any) -> list[float]:
    if type(share) is int:  # the profile module, unlike cProfile, only counts
        return _numbers(share, share, 0.0, 0.0)
    return _numbers(*share)


def _numbers(first: Any, second: Any, own_s: Any, cumulative_s: Any) -> list[float]:
    for count in (first, second):
        if type(count) is not int or abs(count) > _LARGEST_COUNT:
            raise TypeError("a count is not a number")
    for seconds in (own_s, cumulative_s):
        if type(seconds) not in (int, float) or not math.isfinite(seconds):
            raise TypeError("a time is not a number")
    return [first, second, float(own_s), float(cumulative_s)]


if __name__ == "__main__":
    sys.exit(main())
