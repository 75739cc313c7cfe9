"""A message queue of System V that every cycle creates and removes."""

import ctypes

IPC_PRIVATE, IPC_CREAT, IPC_RMID = 0, 0o1000, 0
libc = ctypes.CDLL(None)


def cycle(state):
    libc.msgctl(libc.msgget(IPC_PRIVATE, IPC_CREAT | 0o600), IPC_RMID, None)
