"""A cycle that records its start time."""

from __future__ import annotations

import time
from array import array

MOST_CYCLES = 1000000


class State:
    """The start times, in an array made before the first cycle, and the file for them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.starts_ns = array("q", bytes(8 * MOST_CYCLES))
        self.count = 0


def setup(file: str) -> State:
    """``file``: where the start times go at the end, as 64-bit integers, nanoseconds of the monotonic clock."""
    return State(file)


def cycle(state: State) -> None:
    """Record the time."""
    state.starts_ns[state.count] = time.monotonic_ns()
    state.count += 1


def teardown(state: State) -> None:
    """Write the times."""
    with open(state.file, "wb") as file:  # noqa: PTH123 - pathlib would be resident
        state.starts_ns[: state.count].tofile(file)
