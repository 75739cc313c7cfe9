"""106 B by malloc, freed before and after cycle 2,001."""

import time

import native_code

CYCLES = 4000


def setup(binding="extension", folder=""):
    return {"native": native_code.load(binding, folder), "cycle": 0}


def cycle(state):
    state["cycle"] += 1
    time.sleep(0.0005)  # a cycle of some length: checkpoints may take a tenth of the time
    if state["cycle"] > 2000:
        state["native"].repaired_malloc()
    else:
        state["native"].repaired_malloc()
