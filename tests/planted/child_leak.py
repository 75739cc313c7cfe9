"""A process that every fourth cycle starts and that nobody waits for."""

import subprocess

EXPECTED = {"kind": "child-process", "count": 0.25}
CYCLES = 1000
started = []


def setup():
    return {"cycle": 0}


def cycle(state):
    state["cycle"] += 1
    if state["cycle"] % 4 == 0:
        started.append(subprocess.Popen(["/bin/true"]))  # planted


def teardown(state):
    for process in started:
        process.wait()
