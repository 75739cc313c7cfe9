"""A call of a second opens four descriptors: the 60 calls of a budget are enough to say so."""

import os
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["descriptor", "slow_pipes.py:"]}
REPAIRED = {"verdicts": ["CLEAN", "INCONCLUSIVE"]}


def cycle():
    os.pipe()
    os.pipe()
    time.sleep(1)


def repaired():
    for _ in range(2):
        for end in os.pipe():
            os.close(end)
    time.sleep(1)
