"""numpy arrays of 1,000 bytes, the last ten of them kept."""

import numpy as np

NEEDS = "numpy"
kept = []


def cycle(state):
    kept.append(np.empty(1000, np.uint8))
    del kept[:-10]
