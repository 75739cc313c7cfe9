"""A list that every cycle adds to."""

EXPECTED = {"kind": "python-object", "blocks": 1.0, "size": 106}
kept = []


def cycle(state):
    kept.append(bytes(106 - 33))  # planted
