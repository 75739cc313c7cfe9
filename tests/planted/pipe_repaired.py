"""A pipe of which every cycle closes both ends."""

import os


def cycle(state):
    for end in os.pipe():
        os.close(end)
