"""A file that every cycle opens and that stays open."""

EXPECTED = {"kind": "file-descriptor", "count": 1.0}
CYCLES = 400
opened = []


def cycle(state):
    opened.append(open(__file__, "rb"))  # noqa: PTH123, SIM115  # planted
