"""The causes of growth in ``report.html``, with their stacks: what ``templates/causes.html`` shows of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from soak.attribution.reference_cycles import describe_ring
from soak.reporting import words as say
from soak.reporting.figures.holder_chain import chain_figure
from soak.reporting.figures.svg import inline
from soak.reporting.templating import OwnMarkup
from soak.reporting.words.paths import own_frame, short_frame
from soak.results import Cause, ChainNode

_FRAMES_AT_ONCE, _FRAMES_NOT_FOLDED = 10, 4
"""Frames of a cause's stack that are not folded away; and how few are not worth folding."""
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Frame:
    """A line of a stack; ``is_own`` the one where a person will look first."""

    text: str
    is_own: bool


@dataclass(frozen=True)
class Stack:
    """A stack, innermost first; ``callers`` are folded away."""

    title: str
    nearest: list[Frame]
    callers: list[Frame]


@dataclass(frozen=True)
class CauseView:
    """What the page shows of a cause."""

    is_confirmed: bool
    sentence: str
    advice: str
    is_known: bool
    facts: str
    stack: Stack | None
    is_held: bool
    holders: str
    """Who holds it, a line each; empty where that is drawn."""
    drawings: list[OwnMarkup]


def view_causes(causes: Sequence[Cause], known: Collection[str]) -> list[CauseView]:
    """Say what the page shows of each; objects of one cycle are often held in one way, which is drawn once."""
    drawn: set[object] = set()
    views = []
    for cause in causes:
        way, ring = _outline(cause.chain), frozenset(_outline(cause.ring))
        views.append(_view(cause, draws=(way, ring) not in drawn, is_known=cause.fingerprint in known))
        drawn.update((way[:length], ring) for length in range(len(way) + 1))
    return views


def _outline(nodes: Sequence[ChainNode]) -> tuple[tuple[str, str], ...]:
    return tuple((_INDEX.sub("[]", node.name), node.type) for node in nodes if node.name)


def _view(cause: Cause, *, draws: bool, is_known: bool) -> CauseView:
    way = chain_figure(cause.chain, f"Who holds it: {' → '.join(cause.held_by)}") if draws else None
    ring = None
    if draws and cause.ring:
        ring = chain_figure(cause.ring, f"A reference cycle: {describe_ring(cause.ring)}", is_ring=True)
    return CauseView(
        is_confirmed=cause.confirmed,
        sentence=say.cause_sentence(cause),
        advice=cause.advice,
        is_known=is_known,
        facts=" · ".join(say.cause_facts(cause)),
        stack=_stack(cause) if cause.frames else None,
        is_held=bool(cause.held_by),
        holders="" if way else "\n".join(cause.held_by),
        drawings=[inline(drawing) for drawing in (way, ring) if drawing],
    )


def _stack(cause: Cause) -> Stack:
    """Mark the first line in a person's own Python code; what called that is folded where it is long."""
    own = own_frame(cause.frames)
    frames = [Frame(short_frame(frame), is_own=frame is own) for frame in cause.frames]
    nearest = max(_FRAMES_AT_ONCE, cause.frames.index(own) + 1 if own is not None else 0)
    if len(frames) <= nearest + _FRAMES_NOT_FOLDED:
        nearest = len(frames)
    return Stack(f"{say.stack_title(cause)}, innermost first", frames[:nearest], frames[nearest:])
