"""A thread that every fourth cycle starts and that it waits for."""

import threading

# glibc counts what it keeps of ended threads as in use: that is flat in the long run only.
CYCLES = 20_000


def setup():
    return {"cycle": 0, "closing": threading.Event()}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] % 4 == 0:
        thread = threading.Thread(target=int, daemon=True)
        thread.start()
        thread.join()


def teardown(state):
    state["closing"].set()
