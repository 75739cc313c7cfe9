"""A growth in words, and as the cell of a table."""

from __future__ import annotations

from dataclasses import replace

from soak.grounds import GroundKind
from soak.reporting.words.verdicts.failures import failure_words
from soak.reporting.words.vocabulary import byte_rate, interval_words, rate_number, rate_words, short_number
from soak.results import ComponentResult, Growth, SignalResult
from soak.units import format_number
from soak.verdict import Verdict

_LONGEST_FAILURE = 60
"""Characters of a failure in a table; the whole stands below it."""
_OPENED_UNITS = ("fds", "threads", "processes", "resources")
_FEWEST_MAPPINGS, _SMALLEST_PART = 8, 0.05
"""Fewer mappings are no growth; what is mapped, and less than this share of what is told, is not told."""
_FEWEST_OPENED = 20
_OF_MEMORY, _SELDOM, _NOTABLE_PART = ("native", "python-object"), 0.5, 0.1
_MOST_PART = 0.95
_PROVES_THE_REST = frozenset(
    (
        GroundKind.KEPT_BLOCKS,
        GroundKind.GROWING_SITES,
        GroundKind.STEADY_MEMORY,
        GroundKind.MEMORY_EVERY_CYCLE,
        GroundKind.GROWING_PROCESSES,
    )
)
"""What is lost and more than this share of all growth is as good as all of it."""


def growth_words(growth: Growth | None, noun: str = "call") -> str:
    """Say the growth itself: ``grows by 106 B per call``; requested bytes where they are known.

    Of descriptors, threads, processes and what is left behind their number, not the memory that goes with them.
    """
    if growth is None:
        return "grows"
    if growth.unit in _OPENED_UNITS and growth.per_iteration is not None:
        return f"grows by {rate_words(growth.per_iteration, growth.unit, noun)}"
    in_bytes = growth.requested_bytes_per_iteration
    in_bytes = growth.bytes_per_iteration if in_bytes is None else in_bytes
    if in_bytes is not None:
        return f"grows by {byte_rate(in_bytes)} per {noun}"
    if growth.per_iteration is not None:
        return f"grows by {rate_words(growth.per_iteration, growth.unit, noun)}"
    return "grows"


def growth_cell(component: ComponentResult, *, brief: bool = False) -> str:
    """Give the deciding growth for a table: ``128 B/cycle [127.9, 128.2]``, for CLEAN the bound ``≤ 0.21 B/cycle``.

    Where both requested and allocated bytes are known and differ, the other one follows: ``(106 requested)``.
    Of a component that failed it says how. ``brief``: the rate, or the place, alone.
    """
    growth = component.growth
    if component.verdict is Verdict.FAILED and component.failure is not None:
        words = failure_words(component.failure, component.cycle_noun, brief=brief)
        return words if len(words) <= _LONGEST_FAILURE else f"{words[: _LONGEST_FAILURE - 1]}…"
    if growth is None:
        return "–"
    rate, low, high = _measured(component, growth)
    unit = "B" if in_bytes(growth) else growth.unit
    if component.verdict is Verdict.CLEAN and high is not None:
        return f"≤ {short_number(max(high, 0.0), up=True)} {unit}/cycle"
    if rate is None:
        return "–"
    if brief:
        return f"{format_number(rate)} B/cycle" if unit == "B" else f"{rate_number(rate, unit)}/cycle"
    if growth.unit == "blocks" and growth.per_iteration is not None and low is not None and low <= 0:
        # The number of blocks decided; their bytes come in leaps, as of a table that doubles.
        decider = component.signals.get(growth.signal)
        interval = interval_words(decider.low, decider.high) if decider is not None else ""
        return f"{format_number(growth.per_iteration)} blocks/cycle{interval} ({format_number(rate)} B)"
    return f"{format_number(rate)} {unit}/cycle{interval_words(low, high)}{_aside(growth)}"


def signal_cell(signal: SignalResult) -> str:
    """Give one signal's rate with its interval: ``0.1 fds/cycle [0.1, 0.1]``, for CLEAN the bound."""
    if signal.per_iteration is None:
        return "–"
    unit = "B" if signal.unit == "bytes" else signal.unit
    if signal.verdict is Verdict.CLEAN and signal.high is not None:
        return f"≤ {short_number(max(signal.high, 0.0), up=True)} {unit}/cycle"
    return f"{format_number(signal.per_iteration)} {unit}/cycle{interval_words(signal.low, signal.high)}"


def bound_words(component: ComponentResult) -> str:
    """Say of a clean component by how much it grows at most."""
    growth = component.growth
    high = None if growth is None else _measured(component, growth)[2]
    if growth is None or high is None or high <= 0:
        return "does not grow"
    if in_bytes(growth):
        return f"does not grow by more than {short_number(high, up=True)} B per {component.cycle_noun}"
    return f"does not grow by more than {rate_words(high, growth.unit, component.cycle_noun)}"


def in_bytes(growth: Growth) -> bool:
    """Whether a growth is told in bytes rather than as its signal counts."""
    return growth.unit == "bytes" or (growth.unit == "blocks" and growth.bytes_per_iteration is not None)


def _measured(component: ComponentResult, growth: Growth) -> tuple[float | None, float | None, float | None]:
    """Give rate, low and high in bytes where the growth is known in bytes, else as the deciding signal counts."""
    if in_bytes(growth):
        return growth.bytes_per_iteration, growth.low, growth.high
    signal = component.signals.get(growth.signal)
    return growth.per_iteration, signal.low if signal else None, signal.high if signal else None


def growth_until_then(growth: Growth | None, noun: str) -> str:
    """Say, after a failure, how it grew before: ``; until then it grew by 106 B per call``."""
    if growth is None or growth.per_iteration is None:
        return ""
    if short_number(growth.per_iteration) == "0":
        return "; until then it did not grow"
    return f"; until then it {growth_words(growth, noun).replace('grows', 'grew', 1)}"


def loss_alone(component: ComponentResult) -> str:
    """Give the rate at which memory is lost, where nothing else of the growth is proven to stay; else nothing.

    A batch that is emptied every thousand cycles keeps much more than a small leak does, and gives it back.
    """
    is_rest_proven = any(ground.kind in _PROVES_THE_REST for ground in component.grounds)
    is_lost = bool(component.grounds) and component.grounds[0].kind is GroundKind.LOST_BLOCKS
    is_alone = is_lost and bool(lost_part(component)) and not is_rest_proven
    return byte_rate(component.grounds[0].proven_rate or 0.0) if is_alone else ""


def without_held(component: ComponentResult) -> ComponentResult:
    """Return a component without the causes that something holds: none of them is the place of a loss."""
    return replace(component, causes=tuple(cause for cause in component.causes if cause.state != "held"))


def lost_part(component: ComponentResult) -> str:
    """Say which part of the growth is proven to be lost, where it is not all of it: ``, of which 100 B are lost``.

    A scan after the last cycle may find it when something else has decided before.
    """
    growth, ground = component.growth, component.grounds[0] if component.grounds else None
    if growth is None or growth.unit in _OPENED_UNITS:
        return ""
    if ground is not None and ground.kind is GroundKind.LOST_BLOCKS:
        lost = ground.proven_rate or 0.0
    else:
        causes = (cause for cause in component.causes if cause.confirmed and cause.state == "lost")
        lost = sum(cause.bytes_per_iteration or 0.0 for cause in causes)
    total = growth.requested_bytes_per_iteration or 0.0
    return f", of which {byte_rate(lost)} are lost" if 0 < lost < _MOST_PART * total else ""


def other_measure(growth: Growth | None) -> str:
    """Say what the allocator makes of the bytes that were asked for, where that differs."""
    if growth is None or growth.requested_bytes_per_iteration is None or growth.allocated_bytes_per_iteration is None:
        return ""
    if growth.unit in _OPENED_UNITS:
        return ""
    if growth.allocated_bytes_per_iteration < growth.requested_bytes_per_iteration:
        return ""  # some of what was asked for does not come from the allocator, such as the stacks of Python frames
    requested = byte_rate(growth.requested_bytes_per_iteration)
    allocated = byte_rate(growth.allocated_bytes_per_iteration)
    return "" if requested == allocated else f" (the allocator uses {allocated} for it)"


def memory_beside(component: ComponentResult) -> str:
    """Say the memory that grows beside descriptors, threads or processes, where that was decided too."""
    growth, memory = component.growth, component.signals.get("tracked")
    if growth is None or growth.unit not in _OPENED_UNITS or memory is None or memory.per_iteration is None:
        return ""
    return f", and by {byte_rate(memory.per_iteration)} of memory" if memory.verdict is Verdict.LEAK else ""


def count_beside(component: ComponentResult) -> str:
    """Say of memory that leaks the threads, descriptors or processes that came with it, though no rule decided on them.

    A busy machine may have left too few readings of what is read from outside; first and last tell the number.
    """
    growth, cycles = component.growth, component.iterations
    if growth is None or growth.unit in _OPENED_UNITS or not cycles:
        return ""
    for signal in component.signals.values():
        rose = (signal.last or 0.0) - (signal.first or 0.0)
        is_open = signal.unit in _OPENED_UNITS and signal.verdict is Verdict.INCONCLUSIVE
        if is_open and rose >= _FEWEST_OPENED and rose >= _MOST_PART * cycles:
            return f", and by {rate_words(rose / cycles, signal.unit, component.cycle_noun)}"
    return ""


def mapped_beside(component: ComponentResult) -> str:
    """Say the mapped memory that grows beside memory in use: an object of 96 B may have mapped a megabyte."""
    growth = component.growth
    if growth is None or not in_bytes(growth) or growth.signal == "mapped":
        return ""
    causes = [cause for cause in component.causes if cause.kind == "mapping" and cause.blocks_per_iteration]
    often = (cause for cause in causes if (cause.blocks_per_iteration or 0) * component.iterations >= _FEWEST_MAPPINGS)
    mapped = sum(cause.bytes_per_iteration or 0.0 for cause in often)
    is_worth_saying = mapped > _SMALLEST_PART * (growth.bytes_per_iteration or 0.0)
    return f", and by {byte_rate(mapped)} of mapped memory" if is_worth_saying else ""


def suspected_beside(component: ComponentResult) -> str:
    """Say the memory that may grow beside what is proven, in so few large blocks that its rate is not known well."""
    growth = component.growth
    if growth is None or not in_bytes(growth):
        return ""
    suspected = [cause for cause in component.causes if cause.kind in _OF_MEMORY and not cause.confirmed]
    seldom = (cause for cause in suspected if 0 < (cause.blocks_per_iteration or 0.0) < _SELDOM)
    rate = sum(cause.bytes_per_iteration or 0.0 for cause in seldom)
    told = growth.requested_bytes_per_iteration or growth.bytes_per_iteration or 0.0
    return f", and perhaps by another {byte_rate(rate)}" if rate > _NOTABLE_PART * told else ""


def _aside(growth: Growth) -> str:
    measures = {
        "requested": ("allocated", growth.allocated_bytes_per_iteration),
        "allocated": ("requested", growth.requested_bytes_per_iteration),
    }
    name, other = measures.get(growth.measures or "", ("", None))
    if other is None or growth.bytes_per_iteration is None or byte_rate(other) == byte_rate(growth.bytes_per_iteration):
        return ""
    return f" ({format_number(other)} {name})"
