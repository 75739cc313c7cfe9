"""A call of a quarter of a second opens two descriptors: twenty calls are enough to say so."""

import os
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["descriptor", "pipes.py:10"]}


def cycle():
    os.pipe()
    time.sleep(0.25)
