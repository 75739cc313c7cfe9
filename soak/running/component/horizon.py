"""How far a component's verdict looks: n_min, chosen from the pace, and what the child must know of it."""

from __future__ import annotations

from soak.analysis.component import LARGEST_N_MIN, choose_n_min, n_min_at_half_time
from soak.grounds import ENOUGH_N_MIN
from soak.inside.loop import FIRST_CLEAN_FROM
from soak.running.component.stopping import is_used_up
from soak.settings import DEFAULT_BUDGET_S, ComponentPlan

_CYCLE_TIME_KNOWN_AFTER_S, _CYCLE_TIME_KNOWN_SHARE = 1.0, 1 / 8
_CERTAIN_AFTER_S, _CERTAIN_TIMES = 0.1, 4
"""Cycles are fast enough when the largest n_min would fit in even if they were this many times slower."""
_EARLY_SHARE, _EARLY_AT_MOST_S = 1 / 64, 0.25
"""Of the budget: n_min is an eighth of it, and the first look that can decide reaches back to a quarter of n_min."""
_FEWEST_PERIODS = 64
"""In n_min: with a reading at the end of each period, the rule then has two in its smallest block."""
_READINGS_PER_N_MIN = 256
"""A leak that begins late is found by the rule's smallest windows, which need readings of this spacing."""


_COUNTS_ARE_CLEAN_AFTER, _NEARLY = 400, 0.9
"""Descriptors and threads can be CLEAN after so many cycles. A look that comes a little too early for that is followed
by one after twice as many."""


def _fewest_cycles(period: int) -> int:
    """Return the smallest n_min for a driver that is in the same phase once in a period."""
    cycles = _FEWEST_PERIODS * period
    if not _NEARLY * _COUNTS_ARE_CLEAN_AFTER <= cycles <= _COUNTS_ARE_CLEAN_AFTER:
        return cycles
    return (_COUNTS_ARE_CLEAN_AFTER // period + 1) * period


class Horizon:
    """Chooses n_min once the budget in cycles is known, and lowers it at half time where the cycles are slower."""

    def __init__(self, plan: ComponentPlan) -> None:
        self._plan = plan
        self._fewest = _fewest_cycles(plan.target.period) if plan.target.period > 1 else 0
        self.n_min = plan.n_min
        """None until it is chosen."""
        self.is_asked_for = plan.n_min is not None
        """Whether it is the user's, which is never lowered."""
        self._chosen_early_s: float | None = None
        self._cycle_s: float | None = None
        self._cycles = 0

    @property
    def are_cycles_slow(self) -> bool:
        """Whether n_min is small, because few cycles fit into the budget, or into the usual one where there is none."""
        plan = self._plan
        budget_s = DEFAULT_BUDGET_S if plan.budget_s is None else plan.budget_s
        cycle_s = max(self._cycle_s or 0.0, plan.interval_s or 0.0, 1e-9)
        return plan.iterations is None or choose_n_min(budget_s / cycle_s) < ENOUGH_N_MIN

    @property
    def longest(self) -> int:
        """n_min, or the largest that there is while it is not chosen."""
        return self.n_min or LARGEST_N_MIN

    @property
    def checkpoint_spacing(self) -> int:
        """Cycles between two checkpoints, at most, once n_min is chosen."""
        return max(1, self.longest // _READINGS_PER_N_MIN)

    @property
    def early_s(self) -> float:
        """For how long, from the first cycle on, no look reaches back; 0 if that cannot be told beforehand."""
        budget_s = self._plan.budget_s
        if self.is_asked_for or budget_s is None or self._plan.iterations is not None or self.is_early_over:
            return 0.0
        longest_s = min(budget_s * _EARLY_SHARE, _EARLY_AT_MOST_S)
        return longest_s if self._chosen_early_s is None else min(longest_s, self._chosen_early_s)

    @property
    def is_early_over(self) -> bool:
        """Whether the cycles are over to which no look reaches back.

        Where checkpoints take most of the time, as in a process with gigabytes, their time alone does not tell: looks
        would find a part of the cycles without readings.
        """
        return self.n_min is not None and self._cycles >= max(self.n_min / 4, FIRST_CLEAN_FROM)

    def update(
        self,
        cycles: int,
        elapsed_s: float,
        cycle_s: float | None,
        *,
        looked_at_s: float = 0.0,
        ended: bool = False,
    ) -> bool:
        """Choose or lower n_min if it is time to; tell whether it has changed.

        ``cycles``: completed in ``elapsed_s``. ``cycle_s``: what one takes without checkpoints, if that is known.
        ``looked_at_s``: what looks at the memory have taken, beside ``elapsed_s``. ``ended``: no more cycles follow.
        """
        before = self.n_min
        self._cycle_s, self._cycles = cycle_s, cycles
        if before is None:
            self.n_min = self._choose(elapsed_s, cycle_s, ended=ended)
        elif not self.is_asked_for and self._is_half_time(elapsed_s, looked_at_s):
            self.n_min = max(n_min_at_half_time(before, cycles), self._fewest)
        has_changed = self.n_min != before
        if has_changed and self.n_min is not None and cycle_s is not None:
            # Cycles may be faster than the first ones were.
            self._chosen_early_s = self.n_min / 4 * cycle_s / _CERTAIN_TIMES
        return has_changed

    def _choose(self, elapsed_s: float, cycle_s: float | None, *, ended: bool) -> int | None:
        """Return n_min for the cycles that fit into the budget; None while that is not known."""
        plan = self._plan
        budgets = [] if plan.iterations is None else [float(plan.iterations)]
        if plan.budget_s is not None:
            known_after_s = min(_CYCLE_TIME_KNOWN_AFTER_S, plan.budget_s * _CYCLE_TIME_KNOWN_SHARE)
            if not ended and elapsed_s < known_after_s and not self._is_certain(elapsed_s, cycle_s):
                return None
            if cycle_s is not None:
                budgets.append(plan.budget_s / max(cycle_s, plan.interval_s, 1e-9))
        return max(choose_n_min(min(budgets, default=0.0)), self._fewest)

    def _is_certain(self, elapsed_s: float, cycle_s: float | None) -> bool:
        """Whether n_min will be the largest, because the cycles are fast, whatever is still learned of their time."""
        plan = self._plan
        if plan.budget_s is None or cycle_s is None or plan.interval_s or elapsed_s < _CERTAIN_AFTER_S:
            return False
        return choose_n_min(plan.budget_s / max(cycle_s * _CERTAIN_TIMES, 1e-9)) == LARGEST_N_MIN

    def _is_half_time(self, elapsed_s: float, looked_at_s: float) -> bool:
        """Whether half of the time is over, or half of what cycles and looks may take together."""
        budget_s = self._plan.budget_s
        return budget_s is not None and is_used_up(elapsed_s, looked_at_s, budget_s / 2)
