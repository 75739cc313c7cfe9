"""Work in pools of processes: each piece keeps 1 kB in a worker, or nothing. A driver for soak run, and a program.

SERVED_POOL says which pool, SERVED_KIND whether anything is kept.
"""

import os
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from random_times import pauses

LEAKS = os.environ.get("SERVED_KIND") == "leak"
RATE_HZ = 50.0

kept = []


def work(number):
    """Keep 1 kB, or nothing."""
    data = bytearray(1000)  # kept
    if LEAKS:
        kept.append(data)
    return number


def _loky():
    from loky import get_reusable_executor

    return get_reusable_executor(max_workers=2, timeout=None)


POOLS = {
    "fork": lambda: get_context("fork").Pool(2),
    "spawn": lambda: get_context("spawn").Pool(2),
    "forkserver": lambda: get_context("forkserver").Pool(2),
    "replaced": lambda: get_context("fork").Pool(2, maxtasksperchild=400),
    "executor": lambda: ProcessPoolExecutor(2),
    "loky": _loky,
}


def setup():
    """Start the workers."""
    return POOLS[os.environ["SERVED_POOL"]]()


def cycle(pool):
    """Give each worker a piece of work."""
    list(pool.map(work, range(2)))


def teardown(pool):
    """End the workers."""
    if hasattr(pool, "terminate"):
        pool.terminate()
        pool.join()
    else:
        pool.shutdown()


def main():
    """Work until somebody ends this."""
    pool = setup()
    for _ in pauses(random.Random(1), rate_hz=RATE_HZ):
        cycle(pool)


if __name__ == "__main__":
    import workers  # of a function of the program itself loky gives each piece of work a copy, with a list of its own

    workers.main()
