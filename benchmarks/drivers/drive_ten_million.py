"""Cycles as cheap as they come, of which one in ``every`` loses a block of 106 B by malloc; none for 0."""

# ruff: noqa: PTH123  (pathlib would be resident)

from __future__ import annotations

import ctypes

MALLOC = ctypes.CDLL(None).malloc
MALLOC.restype, MALLOC.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)


class State:
    """Counts the cycles, and looks at soak's own files when ``look_at`` have been done and in the end."""

    def __init__(self, every: int, look_at: int, file: str) -> None:
        self.cycle = 0
        self.every = every
        self.look_at = look_at
        self.file = file
        self.seen = (0, 0)


def setup(every: int = 0, look_at: int = 0, file: str = "") -> State:
    """Take the file that is to get the growth of soak's own files; empty for none."""
    return State(every, look_at, file)


def cycle(state: State) -> None:
    """Count, and lose a block now and then."""
    state.cycle += 1
    if state.every and state.cycle % state.every == 0:
        MALLOC(106)
    if state.cycle == state.look_at:
        state.seen = own_files()


def teardown(state: State) -> None:
    """Write by how much their size and what is resident of them have grown."""
    if state.file:
        size, resident = own_files()
        with open(state.file, "w") as file:
            file.write(f"{size - state.seen[0]} {resident - state.seen[1]}\n")


def own_files() -> tuple[int, int]:
    """Return the bytes mapped, and resident, of the files that soak shares with this process: the ring, the ledger."""
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
