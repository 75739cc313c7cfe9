"""A list that keeps its last hundred entries."""

kept = []


def cycle(state):
    kept.append(bytes(106 - 33))
    del kept[:-100]
