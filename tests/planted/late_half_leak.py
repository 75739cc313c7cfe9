"""106 B by malloc, which nobody frees from cycle 2,001 on."""

import time

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_malloc", "blocks": 1.0, "size": 106}
CYCLES = 4000


def setup(binding="extension", folder=""):
    return {"native": native_code.load(binding, folder), "cycle": 0}


def cycle(state):
    state["cycle"] += 1
    time.sleep(0.0005)  # a cycle of some length: checkpoints may take a tenth of the time
    if state["cycle"] > 2000:
        state["native"].leak_malloc()  # planted
    else:
        state["native"].repaired_malloc()
