"""106 B by malloc, which nobody frees from cycle 100,001 on."""

import native_code

EXPECTED = {"kind": "native", "function": "leak_malloc", "blocks": 1.0, "size": 106}
CYCLES = 200_000


def setup(binding="extension", folder=""):
    return {"native": native_code.load(binding, folder), "cycle": 0}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] > 100_000:
        state["native"].leak_malloc()  # planted
    else:
        state["native"].repaired_malloc()
