"""numpy arrays of 1,000 bytes, all of them kept."""

import numpy as np

EXPECTED = {"kind": "native", "state": "held", "holder": "array_kept_leak.kept, a list", "size": 1000, "blocks": 1.0}
NEEDS = "numpy"
kept = []


def cycle(state):
    kept.append(np.empty(1000, np.uint8))  # planted
