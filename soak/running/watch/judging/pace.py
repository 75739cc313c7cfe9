"""What a cycle of a watched process is."""

from __future__ import annotations

from soak.analysis.component import LARGEST_N_MIN, SMALLEST_N_MIN
from soak.grounds import ENOUGH_N_MIN
from soak.running.watch.plan import WatchPlan

_PART_OF_ALL_MARKS = 64
_PACE_TAKES_SAMPLES = 8
"""The first marks of a program may be slow: it imports what the work needs."""


class WatchPace:
    """What a cycle is: a sample, until the program marks its own."""

    def __init__(self, plan: WatchPlan, first_sample: int, *, tracked: bool) -> None:
        self._plan = plan
        self._first = first_sample
        self._seen: tuple[int, int] | None = None
        self._marks = 0
        self._is_new = True
        self._quiet_samples, self._latest = 0, first_sample
        self.noun = "sample"
        self.n_min = plan.choose_samples(tracked=tracked)
        self.cycles = 0
        """Since judging began."""

    def turn(self, sample: int, marks: int) -> bool:
        """See how many marks there are by now; return whether the cycles are marks from here on.

        Not at the first marks: how many there are to a sample is what n_min follows from.
        """
        self._is_new = marks > self._marks
        self._marks = max(marks, self._marks)  # of a process that has just ended none can be read
        if self.noun == "mark" or not marks:
            return False
        if self._seen is None:
            self._seen = (sample, marks)
            return False
        first_sample, first_marks = self._seen
        if not self._is_new or (sample - first_sample < _PACE_TAKES_SAMPLES and marks - first_marks < ENOUGH_N_MIN):
            return False
        pace = (marks - first_marks) / (sample - first_sample)
        chosen = min(max(int(self.n_min * pace), SMALLEST_N_MIN), self._most_marks(pace))
        self.n_min = self._plan.n_min or chosen
        self.noun, self._first = "mark", marks
        return True

    def _most_marks(self, pace: float) -> int:
        """Return the largest n_min: marks are so many that n_min need not wait for as many samples.

        By ``ENOUGH_N_MIN`` most caches are full. A watch that has hours takes a part of them. ``pace``: marks a sample.
        """
        expected = pace * (self._plan.duration_s or 0.0) / self._plan.every_s
        return int(min(max(ENOUGH_N_MIN, expected / _PART_OF_ALL_MARKS), LARGEST_N_MIN))

    @property
    def marks(self) -> int:
        """How many there were so far, also before judging began."""
        return self._marks

    def catch_up(self, marks: int) -> int:
        """See how many marks there are now, where cycles are marks; return the cycles since judging began."""
        self._marks = max(marks, self._marks)
        self.cycles = self._marks - self._first
        return self.cycles

    @property
    def first_mark(self) -> int:
        """The mark at which judging began, where cycles are marks."""
        return self._first

    @property
    def quiet_samples(self) -> int:
        """In how many samples the program did nothing; they are no cycles."""
        return self._quiet_samples

    def cycles_at(self, sample: int, *, is_quiet: bool = False) -> int | None:
        """Return the cycles since judging began; None when none has passed since the sample before.

        ``is_quiet``: the program did nothing since then.
        """
        if self.noun == "mark":
            if not self._is_new:
                return None
            self.cycles = self._marks - self._first
        elif self._marks:
            return None  # it has just begun to mark
        else:
            if is_quiet:
                self._quiet_samples += sample - self._latest
            self._latest = sample
            if is_quiet:
                return None
            self.cycles = sample - self._first - self._quiet_samples
        return self.cycles
