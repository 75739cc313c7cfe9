"""tracemalloc as its documentation says: two snapshots, and the line with the largest difference.

It gives no verdict. The rule used here is what a careful user would do: a warm-up of 500 calls, a collection of
garbage, 5,000 calls. A line that grew by at least one byte per call is a leak.
"""

from __future__ import annotations

import gc
import linecache
import tracemalloc

import suspect

WARM_UP = 500
CALLS = 5_000


def snapshot() -> tracemalloc.Snapshot:
    """Return a snapshot of the memory that is left after a collection."""
    gc.collect()
    return tracemalloc.take_snapshot()


def without_tools(taken: tracemalloc.Snapshot) -> tracemalloc.Snapshot:
    """Return it without tracemalloc's and the import system's own. Call it after both snapshots: it allocates."""
    return taken.filter_traces(
        (
            tracemalloc.Filter(False, "<frozen importlib._bootstrap>"),
            tracemalloc.Filter(False, "<unknown>"),
            tracemalloc.Filter(False, tracemalloc.__file__),
            tracemalloc.Filter(False, linecache.__file__),
        )
    )


def main() -> None:
    """Trace, compare, answer."""
    call = suspect.load()
    tracemalloc.start()
    calls = suspect.calls_that_fit(call, WARM_UP + CALLS)
    warm_up = calls * WARM_UP // (WARM_UP + CALLS)
    for _ in range(warm_up):
        call()
    before = snapshot()
    for _ in range(calls - warm_up):
        call()
    after = snapshot()
    top = without_tools(after).compare_to(without_tools(before), "lineno")[0]
    rate = top.size_diff / (calls - warm_up)
    frame = top.traceback[0]
    leaks = rate >= 1.0
    suspect.answer(
        verdict="leak" if leaks else "clean",
        cycles=calls,
        rate=rate if leaks else None,
        place=f"{frame.filename}:{frame.lineno}: {linecache.getline(frame.filename, frame.lineno).strip()}",
        told=str(top),
    )


if __name__ == "__main__":
    main()
