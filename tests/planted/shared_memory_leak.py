"""A segment of shared memory that every cycle creates, closes and leaves behind; teardown removes them."""

from multiprocessing import shared_memory

EXPECTED = {"kind": "left-behind", "count": 1.0}
CYCLES = 400
names = []


def cycle(state):
    segment = shared_memory.SharedMemory(create=True, size=106)  # planted
    segment.close()
    names.append(segment.name)


def teardown(state):
    for name in names:
        shared_memory.SharedMemory(name).unlink()
