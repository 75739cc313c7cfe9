"""A list that every cycle adds to."""

EXPECTED = {
    "kind": "python-object",
    "state": "held",
    "holder": "list_append_leak.kept, a list",
    "blocks": 1.0,
    "size": 106,
}
kept = []


def cycle(state):
    kept.append(bytes(106 - 33))  # planted
