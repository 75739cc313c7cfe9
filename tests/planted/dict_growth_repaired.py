"""A dict that has a hundred keys."""


def setup():
    return {"cycle": 1000, "seen": {}}


def cycle(state):
    state["cycle"] += 1
    state["seen"][state["cycle"] % 100] = str(state["cycle"])
