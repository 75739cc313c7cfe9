"""Set two runs against each other: what is new, gone, worse or better, by component and by call site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from soak.analysis.evidence import COUNTS
from soak.measurements import SIGNALS
from soak.results import Cause, ComponentResult, Growth, RunResult
from soak.verdict import Verdict

_UNITS_OF_ITEMS = {SIGNALS[name].kind: SIGNALS[name].unit for name in COUNTS}


class Kind(StrEnum):
    """What became of a component or a call site between two runs."""

    NEW = "new"
    """It leaks now (or fails now) and did not before."""
    WORSE = "worse"
    """It leaks faster: the intervals do not overlap, and the difference is above the tolerance."""
    BETTER = "better"
    GONE = "gone"
    """It leaked (or failed) before; now it is clean, or the call site is no longer among those that grow."""
    SAME = "same"
    UNDECIDED = "undecided"
    """One of the two verdicts is open, so neither change nor its absence can be said."""
    ADDED = "added"
    """The component was not in the run before, and does not leak."""
    REMOVED = "removed"
    """The component is not in the run after."""


@dataclass(frozen=True)
class Rate:
    """Growth per cycle with its interval, in ``unit``; ``measures`` tells requested bytes from allocated ones."""

    rate: float
    low: float
    high: float
    unit: str
    measures: str | None


@dataclass(frozen=True)
class Change:
    """One component's change, or with a ``fingerprint`` that of one place in it."""

    component: str
    kind: Kind
    before: Rate | None
    after: Rate | None
    verdict_before: Verdict | None
    verdict_after: Verdict | None
    fingerprint: str | None = None
    cause: Cause | None = None
    """Of the run after, or for what is gone of the run before."""
    counts: bool = True
    """Whether it may fail the comparison: not with the gate off or a fingerprint listed as known."""

    @property
    def is_failing(self) -> bool:
        """Whether this makes the comparison fail."""
        return self.counts and self.kind in (Kind.NEW, Kind.WORSE)


def compare_runs(before: RunResult, after: RunResult) -> tuple[Change, ...]:
    """Compare component by component in the order of ``after``, each followed by its call sites.

    A component of both runs always has one change, SAME too; a call site only when it changed or leaks in ``after``.
    Rates are compared like with like: requested bytes with requested, allocated with allocated, counts with counts
    of the same signal; where the runs have no measure in common, two leaks are SAME.
    """
    earlier = {component.name: component for component in before.components}
    known = frozenset(str(fingerprint) for fingerprint in after.settings.get("known") or ())
    changes: list[Change] = []
    for component in after.components:
        changes += compare_components(earlier.pop(component.name, None), component, known)
    changes += [
        Change(gone.name, Kind.REMOVED, _own_rate(gone.growth), None, gone.verdict, None) for gone in earlier.values()
    ]
    return tuple(changes)


def compare_components(
    before: ComponentResult | None, after: ComponentResult, known: frozenset[str] = frozenset()
) -> Iterator[Change]:
    """Yield the change of a component, then those of its call sites. ``known``: fingerprints of accepted growth."""
    sites = list(_compare_sites(before, after, known))
    old, new = _like_with_like(None if before is None else before.growth, after.growth)
    kind = _component_kind(before, after, old, new)
    leaking = [cause.fingerprint for cause in _confirmed(after)]
    counts = after.gate and not (after.verdict is Verdict.LEAK and leaking and known.issuperset(leaking))
    yield Change(
        after.name,
        kind,
        old if before is not None and before.verdict is Verdict.LEAK else None,
        new if after.verdict is Verdict.LEAK else None,
        None if before is None else before.verdict,
        after.verdict,
        counts=counts,
    )
    yield from sites


def _component_kind(before: ComponentResult | None, after: ComponentResult, old: Rate | None, new: Rate | None) -> Kind:
    was = None if before is None else before.verdict
    bad = (Verdict.LEAK, Verdict.FAILED)
    if after.verdict in bad:
        return _speed(old, new, after.tolerance_bytes) if was is after.verdict else Kind.NEW
    if was is None:
        return Kind.ADDED
    if after.verdict is not Verdict.CLEAN:
        return Kind.UNDECIDED
    if was in bad:
        return Kind.GONE
    return Kind.SAME if was is Verdict.CLEAN else Kind.BETTER


def _compare_sites(before: ComponentResult | None, after: ComponentResult, known: frozenset[str]) -> Iterator[Change]:
    old_causes = {} if before is None else {cause.fingerprint: cause for cause in _confirmed(before)}
    for cause in _confirmed(after):
        old_cause = old_causes.pop(cause.fingerprint, None)
        old, new = _site_rate(before, old_cause), _site_rate(after, cause)
        kind = Kind.NEW if old_cause is None else _speed(*_if_alike(old, new), after.tolerance_bytes)
        yield Change(
            after.name, kind, old, new, None if before is None else before.verdict, after.verdict,
            cause.fingerprint, cause, after.gate and cause.fingerprint not in known,
        )  # fmt: skip
    if after.verdict not in (Verdict.CLEAN, Verdict.LEAK):
        return  # what an open verdict does not name is not gone
    for fingerprint, cause in old_causes.items():
        assert before is not None
        old = _site_rate(before, cause)
        yield Change(after.name, Kind.GONE, old, None, before.verdict, after.verdict, fingerprint, cause)


def _confirmed(component: ComponentResult) -> Sequence[Cause]:
    """Return the causes that the component's leak consists of; of equal fingerprints the fastest."""
    if component.verdict is not Verdict.LEAK:
        return ()
    causes: dict[str, Cause] = {}
    for cause in component.causes:
        if cause.confirmed:
            causes.setdefault(cause.fingerprint, cause)
    return tuple(causes.values())


def _speed(old: Rate | None, new: Rate | None, tolerance_bytes: float) -> Kind:
    """Tell worse from better from the same, by intervals that do not overlap and a difference that matters."""
    if old is None or new is None:
        return Kind.SAME
    tolerance = tolerance_bytes if new.unit == "bytes" else 0.01
    if new.low > old.high and new.rate - old.rate > tolerance:
        return Kind.WORSE
    if new.high < old.low and old.rate - new.rate > tolerance:
        return Kind.BETTER
    return Kind.SAME


def _like_with_like(before: Growth | None, after: Growth | None) -> tuple[Rate | None, Rate | None]:
    """Return both rates in a measure they have in common, else each in its own (and then not to be compared)."""
    for measures in ("requested", "allocated"):
        old, new = _rate_in(before, measures), _rate_in(after, measures)
        if old is not None and new is not None:
            return old, new
    return _if_alike(_own_rate(before), _own_rate(after))


def _if_alike(old: Rate | None, new: Rate | None) -> tuple[Rate | None, Rate | None]:
    if old is not None and new is not None and (old.unit, old.measures) != (new.unit, new.measures):
        return None, new
    return old, new


def _rate_in(growth: Growth | None, measures: str) -> Rate | None:
    """Return the growth in one measure; with the interval of the measure that decided, in proportion."""
    if growth is None:
        return None
    rate = getattr(growth, f"{measures}_bytes_per_iteration")
    own = _own_rate(growth)
    if rate is None or own is None or own.unit != "bytes":
        return None
    return _scaled(own, rate, measures)


def _own_rate(growth: Growth | None) -> Rate | None:
    if growth is None:
        return None
    if growth.bytes_per_iteration is not None:
        rate = growth.bytes_per_iteration
        low, high = growth.low, growth.high
        return Rate(rate, rate if low is None else low, rate if high is None else high, "bytes", growth.measures)
    if growth.per_iteration is not None:
        rate = growth.per_iteration
        return Rate(rate, rate, rate, growth.unit, growth.signal)
    return None


def _site_rate(component: ComponentResult | None, cause: Cause | None) -> Rate | None:
    """Return a call site's rate; its interval is the component's in proportion, because a site has none of its own.

    Items that have no size (descriptors, threads, processes) are counted, and a count is exact.
    """
    if component is None or cause is None:
        return None
    if cause.bytes_per_iteration is None:
        count, unit = cause.count_per_iteration, _UNITS_OF_ITEMS.get(cause.kind)
        return None if count is None or unit is None else Rate(count, count, count, unit, None)
    whole = _own_rate(component.growth)
    if whole is None or whole.unit != "bytes":
        return Rate(cause.bytes_per_iteration, cause.bytes_per_iteration, cause.bytes_per_iteration, "bytes", None)
    return _scaled(whole, cause.bytes_per_iteration, whole.measures)


def _scaled(whole: Rate, rate: float, measures: str | None) -> Rate:
    if not whole.rate:
        return Rate(rate, rate, rate, whole.unit, measures)
    share = rate / whole.rate
    return Rate(rate, whole.low * share, whole.high * share, whole.unit, measures)
