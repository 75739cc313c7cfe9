"""What grows in a component that is not decided yet: the strongest evidence, with its place."""

from __future__ import annotations

from collections.abc import Sequence

from soak.attribution.grouping import group_causes
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS
from soak.reporting.words.causes.advice import origin
from soak.reporting.words.causes.sentences import place_words
from soak.reporting.words.growth import growth_words
from soak.reporting.words.vocabulary import byte_rate, count_words, printable, rate_words
from soak.results import Cause, ComponentResult
from soak.units import format_count
from soak.verdict import Verdict

_NOTABLE_BYTES = 64 * 1024
"""Less than this, of all cycles, may be what a program still takes at first."""


def growth_so_far(component: ComponentResult) -> str | None:
    """Say what grows and where: ``grows by 106 B per call: app.py:14 allocates it``; None if nothing notable does.

    A count that rose in each cycle comes before memory.
    """
    ground = component.grounds[0] if component.grounds else None
    if ground is not None and ground.kind is GroundKind.REPLACING:
        return None  # all memory together does not
    if ground is not None and ground.kind is GroundKind.FEW_CYCLES and component.growth is not None:
        return f"{growth_words(component.growth, component.cycle_noun)}{where_from(component)}"
    return _count_so_far(component, ground) or _ended_so_far(component) or _memory_so_far(component)


def where_from(component: ComponentResult) -> str:
    """Say where the growth comes from and what keeps it, also where that is only probable; empty if not known."""
    came = origin(component.causes, component.keeper)
    return f": {came}" if came else _probably(component.causes)


def _probably(causes: Sequence[Cause]) -> str:
    # A line of Python says more than one of CPython's own source: that maps the arena, or the stack of a thread.
    groups = sorted(group_causes(causes), key=lambda group: all(cause.python_where is None for cause in group.causes))
    places = (origin(group.causes, suspected=True) for group in groups)
    came = next(filter(None, places), None)
    return f": probably {came}" if came else ""


def _count_so_far(component: ComponentResult, ground: Ground | None) -> str | None:
    streak = None if ground is None else ground.streak
    if ground is None or streak is None or SIGNALS[ground.signals[0]].unit == "bytes" or streak.rate <= 0:
        return None
    signal = SIGNALS[ground.signals[0]]
    opened = [cause for cause in component.causes if cause.kind == signal.kind]
    return f"grows by {rate_words(streak.rate, signal.unit, component.cycle_noun)}{_probably(opened)}"


def _ended_so_far(component: ComponentResult) -> str | None:
    """Say what grew in processes that are replaced, which the sum of those that live does not show."""
    noun, decided = component.cycle_noun, (Verdict.LEAK, Verdict.CLEAN)
    roles = [role for role in component.roles if role.ended and role.verdict not in decided]
    role = max(roles, key=lambda role: role.ended_grew_there or 0.0, default=None)
    rate = 0.0 if role is None else role.ended_grew_there or 0.0
    if role is None or role.ended_grew_in is None or rate <= component.tolerance_bytes:
        return None
    place = place_words(role.ended_grew_in)
    enough = f"{count_words(component.n_min, noun)} would" if component.n_min else "more time would"
    return (
        f"grows by {byte_rate(rate)} per {noun} in each process that is replaced ({format_count(role.ended)} × "
        f"{printable(role.command)} so far), and the memory is freed when the process ends: probably {place} allocates "
        f"it. Without replacement (max-requests, maxtasksperchild) {enough} decide it"
    )


def _memory_so_far(component: ComponentResult) -> str | None:
    groups = [group for group in group_causes(component.causes) if group.bytes_per_iteration]
    if not groups:
        return None
    group = max(groups, key=lambda group: group.bytes_per_iteration or 0.0)
    rate = group.bytes_per_iteration or 0.0
    if rate <= component.tolerance_bytes or rate * component.iterations < _NOTABLE_BYTES:
        return None
    processes = group.causes[0].processes
    inside = "" if processes is None else f" in {printable(processes)}"
    return f"grows by {byte_rate(rate)} per {component.cycle_noun}{inside}{_probably(group.causes)}"
