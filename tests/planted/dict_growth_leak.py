"""A dict that gets a new key in every cycle."""

EXPECTED = {"kind": "python-object", "state": "held", "holder": "the driver's state, a dict", "blocks": 1.0}


def setup():
    return {"cycle": 1000, "seen": {}}


def cycle(state):
    state["cycle"] += 1
    state["seen"][state["cycle"]] = str(state["cycle"])  # planted
