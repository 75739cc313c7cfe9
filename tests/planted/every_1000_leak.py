"""One block of 106,000 B in each 1,000 cycles that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_large", "blocks": 0.001, "size": 106000}
CYCLES = 20_000


def setup(binding="extension", folder=""):
    return {"native": native_code.load(binding, folder), "cycle": 0}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] % 1000 == 0:
        state["native"].leak_large()  # planted
