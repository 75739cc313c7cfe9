"""A message queue of System V that every cycle creates and leaves behind; teardown removes them."""

import ctypes

EXPECTED = {"kind": "left-behind", "count": 1.0}
CYCLES = 400
IPC_PRIVATE, IPC_CREAT, IPC_RMID = 0, 0o1000, 0
libc = ctypes.CDLL(None)
numbers = []


def cycle(state):
    numbers.append(libc.msgget(IPC_PRIVATE, IPC_CREAT | 0o600))  # planted


def teardown(state):
    for number in numbers:
        libc.msgctl(number, IPC_RMID, None)
