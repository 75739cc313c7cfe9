"""Two workers of a pool that lives on keep 9 kB a call between them; of size 1 it is one constant, again and again."""

from multiprocessing import Pool

EXPECT = {"verdicts": ["LEAK"], "says": ["growing_pool.py:12"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING", "INCONCLUSIVE"]}
kept = []
pool = None


def work(size):
    kept.append(b"x" * 1000 * size)
    return size


def forget(size):
    kept.append(b"x" * 1000 * size)
    kept.clear()
    return size


def _map(function):
    global pool
    if pool is None:
        pool = Pool(2)
    pool.map(function, range(1, 5))


def cycle():
    _map(work)


def repaired():
    _map(forget)
