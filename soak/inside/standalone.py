"""Run a driver by itself: read RSS before and after a loop, then trace a second loop with tracemalloc.

if __name__ == "__main__":
    main(globals())
"""

from __future__ import annotations

import argparse
import os

from soak.inside.clock import RealTime

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_UNITS_S = (("ms", 1e-3), ("min", 60.0), ("s", 1.0), ("h", 3600.0))
_TOP_LINES = 8


def main(driver: dict[str, Any], arguments: list[str] | None = None) -> None:
    """Soak a driver in this process and print its growth. ``driver``: the ``globals()`` of its module.

    ``arguments``: the command line without the name of the program; by default that of this process.
    """
    parser = argparse.ArgumentParser(description=driver.get("__doc__"))
    parser.add_argument("--iterations", type=int, default=2000, metavar="N", help="cycles of the first loop (2000)")
    parser.add_argument(
        "--interval", type=_seconds, default=0.1, metavar="100ms", help="from cycle to cycle; 0: no pause (100ms)"
    )
    options = parser.parse_args(arguments)
    if options.iterations < 1:
        parser.error("--iterations %d: at least one cycle is needed" % options.iterations)

    state = driver["setup"]() if "setup" in driver else None
    try:
        start = _rss_bytes()
        _loop(driver["cycle"], state, options.iterations, options.interval)
        growth = _rss_bytes() - start
        print(
            "iterations=%d Δmemory=%.0f KiB => Δmem_per_iter=%.1f B"
            % (options.iterations, growth / 1024, growth / options.iterations),
            flush=True,
        )
        _trace(driver["cycle"], state, max(1, options.iterations // 10), options.interval)
    finally:
        if "teardown" in driver:
            driver["teardown"](state)


def _seconds(written: str) -> float:
    unit, factor = next(((unit, factor) for unit, factor in _UNITS_S if written.endswith(unit)), ("", 1.0))
    try:
        return float(written[: len(written) - len(unit)]) * factor
    except ValueError:
        raise argparse.ArgumentTypeError("%r is not a duration; write for example 100ms, 2s or 0" % written) from None


def _rss_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _loop(cycle: Callable[[Any], object], state: Any, iterations: int, interval_s: float) -> None:
    due_s = RealTime.monotonic()
    for _ in range(iterations):
        RealTime.sleep(max(0.0, due_s - RealTime.monotonic()))
        cycle(state)
        due_s += interval_s


def _trace(cycle: Callable[[Any], object], state: Any, iterations: int, interval_s: float) -> None:
    import tracemalloc

    tracemalloc.start()
    cycle(state)
    before = tracemalloc.take_snapshot()
    _loop(cycle, state, iterations, interval_s)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    print("tracemalloc over %d more iterations, largest differences first:" % iterations)
    for difference in after.compare_to(before, "lineno")[:_TOP_LINES]:
        print("  %s" % difference)
