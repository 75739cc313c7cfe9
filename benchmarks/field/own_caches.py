"""Caches of a program's own, of 1,000 entries, in slow cycles; and one whose eviction is never reached."""

import itertools
import time

EXPECT = {"verdicts": ["LEAK", "INCONCLUSIVE"], "says": ["own_caches.py"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING", "INCONCLUSIVE"]}

MOST = 1000
numbers = itertools.count()
slots = [None] * MOST
by_time = {}


class Counted:
    """Drops its oldest entry by a count of its own."""

    def __init__(self):
        self.entries, self.count = {}, 0

    def put(self, key, entry, counts):
        """Add an entry."""
        if self.count >= MOST:
            del self.entries[next(iter(self.entries))]
            self.count -= 1
        self.entries[key] = entry
        self.count += counts


counted, uncounted = Counted(), Counted()


def _make():
    """Return a number and an entry that takes a few blocks."""
    number = next(numbers)
    time.sleep(0.004)
    return number, {"text": f"entry {number}", "numbers": [number, number + 0.5]}


def evicts_never():
    """Forget to count."""
    uncounted.put(*_make(), 0)


def repaired_counts():
    """Count."""
    counted.put(*_make(), 1)


def repaired_slots():
    """Write to a ring."""
    number, entry = _make()
    slots[number % MOST] = entry


def repaired_ages():
    """Drop what is older than five seconds."""
    number, entry = _make()
    now = time.monotonic()
    for old in [key for key, (since, _) in by_time.items() if now - since > 5]:
        del by_time[old]
    by_time[number] = now, entry
