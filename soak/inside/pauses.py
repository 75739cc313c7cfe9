"""How long the loop stands between two cycles for soak's sake: all pauses as a histogram, the latest as windows.

Both are in the ring. A driver with a global ``PAUSES`` is given the windows, so that it can tell a gap that soak made
from one of its own: ``PAUSES[0]`` is the number of pauses so far, and that of number k, from 0, began at
``PAUSES[1 + 2 * (k % 64)]`` and ended at the word after it, in nanoseconds of ``time.monotonic_ns``. A pause that goes
on has 0 for its end.
"""

from __future__ import annotations

WINDOWS = 64
WORDS_OF_WINDOWS = 1 + 2 * WINDOWS
BUCKETS = 256
_SHORTEST_BITS, _PER_OCTAVE_BITS = 14, 3
"""Pauses below 16 µs are in the first bucket; from there on each octave has eight."""


class Pauses:
    """Takes note of the pauses of one loop. Allocates nothing that stays."""

    def __init__(self, words: memoryview[int], windows_at: int, histogram_at: int, worst_at: int) -> None:
        """Write into ``words``: the windows, the histogram and the worst pause begin at these words."""
        self._words = words
        self._windows_at, self._histogram_at, self._worst_at = windows_at, histogram_at, worst_at

    def begin(self, now_ns: int) -> None:
        """Take note that a pause begins."""
        words, at = self._words, self._windows_at
        place = at + 1 + 2 * (words[at] % WINDOWS)
        words[place + 1] = 0
        words[place] = now_ns
        words[at] += 1

    def end(self, now_ns: int, *, counts: bool = True) -> None:
        """Take note that the pause ends; ``counts``: whether a cycle waits for that."""
        words, at = self._words, self._windows_at
        place = at + 1 + 2 * ((words[at] - 1) % WINDOWS)
        words[place + 1] = now_ns
        if counts:
            took_ns = now_ns - words[place]
            words[self._histogram_at + bucket_of(took_ns)] += 1
            words[self._worst_at] = max(words[self._worst_at], took_ns)


def bucket_of(took_ns: int) -> int:
    """Return the number of the bucket of the histogram for a pause."""
    bits = took_ns.bit_length()
    if bits <= _SHORTEST_BITS:
        return 0
    within = took_ns >> (bits - 1 - _PER_OCTAVE_BITS) & ((1 << _PER_OCTAVE_BITS) - 1)
    return min(1 + (bits - 1 - _SHORTEST_BITS << _PER_OCTAVE_BITS) + within, BUCKETS - 1)


def longest_in(bucket: int) -> int:
    """Return the first number of nanoseconds that is too long for a bucket."""
    octave, within = bucket - 1 >> _PER_OCTAVE_BITS, bucket - 1 & ((1 << _PER_OCTAVE_BITS) - 1)
    if bucket == 0:
        return 1 << _SHORTEST_BITS
    return (1 << _PER_OCTAVE_BITS) + within + 1 << octave + _SHORTEST_BITS - _PER_OCTAVE_BITS
