"""The sentences of a series' verdict, and the limits that belong beside it."""

from __future__ import annotations

from soak.analysis.rule import ONE_RATE, LookOutcome

KNOWN_LIMITS = (
    "Growth in proportion to n^p is called LEAK from about p = 0.68 upwards.",
    "A container's table that grows without new objects shows only when it resizes.",
    "An event rarer than one in 10,000 cycles needs millions of cycles to be judged.",
    "A leak that starts after 80 % of the run is at best INCONCLUSIVE, growing.",
)
"""What the rule cannot see or cannot tell apart, one sentence each; said in reports where it applies."""

RSS_LIMIT = "RSS by itself never proves CLEAN: freed heap that stays resident can take in a leak for a long time."
CLEAN_SO_FAR = "CLEAN means clean so far: a leak may still begin later."


def lookalike_limit(n_min: float) -> str:
    """Return the sentence printed with every LEAK that rests on growth of a counter or of a live count."""
    return f"A bounded cache or a period of more than about {count(0.6 * n_min)} cycles would look the same."


def growth(rate: float, low: float, high: float, unit: str = "") -> str:
    """Write a rate with its interval: ``128 B per cycle [128, 128]``."""
    return f"{amount(rate, unit)} per cycle [{number(low)}, {number(high)}]"


def amount(value: float, unit: str = "") -> str:
    """Write a number with its unit, if it has one."""
    return f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """Write a number as people do: three digits, or all digits before the point and none after it."""
    rounded = float(f"{value:.3g}") or 0.0  # -0.0 becomes 0
    return f"{value:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def count(cycles: float) -> str:
    """Write a whole number of cycles with separators."""
    return f"{round(cycles):,}"


def more_cycles(cycles: int) -> str:
    """Write how many cycles are missing."""
    return "1 more cycle" if cycles == 1 else f"{count(cycles)} more cycles"


def explain_leak(shown_growth: str, since: float, until: float | None) -> str:
    """LEAK: how fast, since when, and until when if it has stopped."""
    ended = "" if until is None else f", until cycle {count(until)} at the latest and not since"
    return f"Grows by {shown_growth}, steady since cycle {count(since)} at the latest{ended}."


def explain_clean(bound: float, tolerance: str, cycles: float, unit: str = "") -> str:
    """CLEAN: the proven bound, and over which cycles it was proven."""
    proven = amount(max(bound, 0.0), unit)
    return f"Grew by {proven} per cycle at most (tolerance {tolerance}) over the last {count(cycles)} cycles."


def explain_undecided(finding: LookOutcome, shown_growth: str, tolerance: str, n_min: float, needed: int) -> str:
    """SETTLING and INCONCLUSIVE: what is known, what is missing, and how many more cycles would decide."""
    more = more_cycles(needed)
    match finding:
        case LookOutcome.SETTLING:
            return (
                f"Grows by {shown_growth}, but less than {ONE_RATE:g} times as fast as before; "
                f"at this pace {more} bring it below the tolerance of {tolerance}."
            )
        case LookOutcome.TOO_FEW:
            return f"Too few readings for an estimate; {more} at the present spacing give enough."
        case LookOutcome.EARLY:
            return f"{shown_growth} so far; no verdict before {count(n_min)} cycles (n_min): {more}."
        case LookOutcome.UNSTEADY:
            return f"Growing, by {shown_growth}, but not at one rate yet; {more} would tell."
        case _:
            return f"{shown_growth} does not tell growth above the tolerance of {tolerance} from none; {more} would."
