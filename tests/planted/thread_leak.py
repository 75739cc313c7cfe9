"""A thread that every fourth cycle starts and that waits for ever."""

import threading

EXPECTED = {"kind": "thread", "count": 0.25}
CYCLES = 1000


def setup():
    return {"cycle": 0, "closing": threading.Event()}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] % 4 == 0:
        thread = threading.Thread(target=state["closing"].wait, daemon=True)
        thread.start()  # planted


def teardown(state):
    state["closing"].set()
