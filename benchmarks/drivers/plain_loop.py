"""Run a driver in a plain `for` loop, with nothing of soak: `python plain_loop.py drive_trivial CYCLES FILE`."""

from __future__ import annotations

import sys

driver = __import__(sys.argv[1])
state = driver.setup(file=sys.argv[3])
cycle = driver.cycle
for _ in range(int(sys.argv[2])):
    cycle(state)
driver.teardown(state)
