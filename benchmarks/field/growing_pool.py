"""Two workers of a pool that lives on keep 10 kB a call between them: never CLEAN."""

from multiprocessing import Pool

EXPECT = {"verdicts": ["LEAK", "INCONCLUSIVE"], "says": ["2 child processes (python, forked)"]}
kept = []
pool = None


def work(size):
    kept.append(b"x" * 1000 * size)
    return size


def cycle():
    global pool
    if pool is None:
        pool = Pool(2)
    pool.map(work, range(1, 5))
