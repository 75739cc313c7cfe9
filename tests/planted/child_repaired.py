"""A process that every fourth cycle starts and waits for."""

import subprocess


def setup():
    return {"cycle": 0}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] % 4 == 0:
        subprocess.run(["/bin/true"], check=True)
