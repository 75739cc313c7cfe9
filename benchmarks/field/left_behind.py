"""A call leaves a segment of shared memory behind; another a file in the folder of temporary files."""

import atexit
import glob
import itertools
import os
import tempfile
from multiprocessing import resource_tracker, shared_memory

EXPECT = {"verdicts": ["LEAK"], "says": ["left behind", "left_behind.py:"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING"]}
PREFIX = f"soak_field_{os.getpid()}_"
numbers = itertools.count()


@atexit.register
def remove():
    """Leave nothing behind after all."""
    for path in glob.glob(f"/dev/shm/{PREFIX}*"):
        os.unlink(path)


def cycle():
    segment = shared_memory.SharedMemory(PREFIX + str(next(numbers)), create=True, size=64)
    resource_tracker.unregister(segment._name, "shared_memory")  # or the tracker of resources removes it at the end
    segment.close()


def files():
    descriptor, _ = tempfile.mkstemp()
    os.close(descriptor)


def repaired():
    segment = shared_memory.SharedMemory(PREFIX + str(next(numbers)), create=True, size=64)
    segment.close()
    segment.unlink()


def repaired_files():
    descriptor, path = tempfile.mkstemp()
    os.close(descriptor)
    os.unlink(path)
