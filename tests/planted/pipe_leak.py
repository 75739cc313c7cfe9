"""A pipe of which every cycle closes one end only."""

import os

EXPECTED = {"kind": "file-descriptor", "count": 1.0}
CYCLES = 400


def cycle(state):
    _, writing = os.pipe()  # planted
    os.close(writing)
