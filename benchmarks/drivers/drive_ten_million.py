"""The cheapest possible cycles. One in ``every`` loses a block of 106 B by malloc; none if ``every`` is 0."""

# ruff: noqa: PTH123  (pathlib would be resident)

from __future__ import annotations

import ctypes

MALLOC = ctypes.CDLL(None).malloc
MALLOC.restype, MALLOC.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)


class State:
    """Counts the cycles, and reads the size of soak's own files after ``look_at`` cycles and at the end."""

    def __init__(self, every: int, look_at: int, file: str) -> None:
        self.cycle = 0
        self.every = every
        self.look_at = look_at
        self.file = file
        self.seen = (0, 0)


def setup(every: int = 0, look_at: int = 0, file: str = "") -> State:
    """``file``: where the growth of soak's own files is written; empty for none."""
    return State(every, look_at, file)


def cycle(state: State) -> None:
    """Count, and lose a block in every ``every``-th cycle."""
    state.cycle += 1
    if state.every and state.cycle % state.every == 0:
        MALLOC(106)
    if state.cycle == state.look_at:
        state.seen = own_files()


def teardown(state: State) -> None:
    """Write the growth of the files' size and of their resident part."""
    if state.file:
        size, resident = own_files()
        with open(state.file, "w") as file:
            file.write(f"{size - state.seen[0]} {resident - state.seen[1]}\n")


def own_files() -> tuple[int, int]:
    """Return the mapped and the resident bytes of the files that soak shares with this process: ring and ledger."""
    size = resident = 0
    is_own = False
    with open("/proc/self/smaps") as maps:
        for line in maps:
            words = line.split()
            if "-" in words[0]:
                is_own = "soak-" in line
            elif is_own and words[0] == "Size:":
                size += int(words[1]) * 1024
            elif is_own and words[0] == "Rss:":
                resident += int(words[1]) * 1024
    return size, resident
