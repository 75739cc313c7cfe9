"""106 B by malloc, freed before and after cycle 100,001."""

import native_code

CYCLES = 200_000


def setup(binding="extension", folder=""):
    return {"native": native_code.load(binding, folder), "cycle": 0}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] > 100_000:
        state["native"].repaired_malloc()
    else:
        state["native"].repaired_malloc()
