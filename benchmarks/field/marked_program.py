"""A program that soak watches: it marks each round, and keeps 533 B in it, beside what it needs from the start."""

import ctypes
import sys
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["533 B", "marked_program.py:"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING", "INCONCLUSIVE"]}
COMMANDS = {"cycle": [], "repaired": ["repaired"]}
SECONDS = 20


def main(is_repaired):
    try:
        mark = ctypes.PyDLL(None).soak_mark
    except AttributeError:
        print("soak's tracker is not in this process")
        return
    kept = [str(number) * 3 for number in range(120_000)]  # a program of ordinary size
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        kept.append(bytes(500))
        if is_repaired:
            kept.pop()
        mark()
        time.sleep(0.005)


if __name__ == "__main__":
    main("repaired" in sys.argv[1:])
