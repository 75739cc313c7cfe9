"""A file that every cycle opens and closes."""

opened = []


def cycle(state):
    opened.append(open(__file__, "rb"))  # noqa: PTH123, SIM115
    opened.pop().close()
