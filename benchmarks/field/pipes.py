"""A call of a quarter of a second opens two descriptors: twenty calls are enough to say so."""

import os
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["descriptor", "pipes.py:11"]}
REPAIRED = {"verdicts": ["CLEAN", "INCONCLUSIVE"]}


def cycle():
    os.pipe()
    time.sleep(0.25)


def repaired():
    for end in os.pipe():
        os.close(end)
    time.sleep(0.25)
