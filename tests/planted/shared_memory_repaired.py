"""A segment of shared memory that every cycle creates, closes and removes."""

from multiprocessing import shared_memory


def cycle(state):
    segment = shared_memory.SharedMemory(create=True, size=106)
    segment.close()
    segment.unlink()
