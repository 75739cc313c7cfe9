"""numpy arrays, views of them, scalars and types, in tuples and dicts that keep them: held, and no DECREF missing."""

import numpy as np

EXPECTED = {"kind": "python-object or native", "state": "held", "holder": "kept_arrays_leak.kept, a dict"}
NEEDS = "numpy"
kept = {}


def objects(n):
    """Return new arrays and what hangs on them."""
    return (
        (np.zeros((4, 5)), np.float64(n + 0.5), np.dtype([("a", "i4"), ("b", "f8")])),
        (np.zeros((8, 8))[2:], np.arange(50).reshape(5, 10).T, np.array([[1], None], object)),
    )


def cycle(state):
    kept[len(kept)] = objects(len(kept))  # planted
