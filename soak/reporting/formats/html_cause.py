"""The causes of growth in ``report.html``, with their stacks: what ``templates/causes.html`` shows of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from soak.attribution.grouping import CauseGroup, outline
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.reporting import words as say
from soak.reporting.figures.holder_chain import chain_figure
from soak.reporting.figures.plot import inline
from soak.reporting.templating import OwnMarkup
from soak.reporting.words.paths import own_frame, short_frame
from soak.results import Cause

_FRAMES_AT_ONCE, _FRAMES_NOT_FOLDED = 10, 4
"""Frames of a cause's stack that are not folded away; and how few are not worth folding."""
_SITES_AT_ONCE = 6


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
class Site:
    """What the page shows of one call site."""

    line: str
    """Empty if the cause's sentence has said it."""
    is_known: bool
    facts: str
    stack: Stack | None


@dataclass(frozen=True)
class CauseView:
    """What the page shows of causes with one holder; most often of one alone."""

    is_confirmed: bool
    sentence: str
    advice: str
    sites: list[Site]
    more_sites: str
    """How many are folded away; empty if none is."""
    other_sites: list[Site]
    is_held: bool
    holders: str
    """Who holds it, a line each; empty if that is drawn."""
    drawings: list[OwnMarkup]


def view_causes(groups: Sequence[CauseGroup], known: Collection[str], noun: str) -> list[CauseView]:
    """Say what the page shows of each; what is held in one way is drawn once. ``noun``: what a cycle is called."""
    drawn: set[object] = set()
    views = []
    for group in groups:
        way, ring = outline(group.head.chain), frozenset(outline(group.head.ring))
        views.append(_view(group, known, noun, draws=(way, ring) not in drawn))
        drawn.update((way[:length], ring) for length in range(len(way) + 1))
    return views


def _view(group: CauseGroup, known: Collection[str], noun: str, *, draws: bool) -> CauseView:
    head, holders = group.head, say.group_held_by(group)
    way = chain_figure(head.chain, f"Who holds it: {' → '.join(holders)}") if draws else None
    ring = None
    if draws and head.ring:
        ring = chain_figure(head.ring, f"A reference cycle: {describe_ring(head.ring)}", is_ring=True)
    lines = say.site_lines(group, noun) or ("",)
    sites = [_site(cause, line, known) for cause, line in zip(group.causes, lines, strict=True)]
    shown = _SITES_AT_ONCE if len(sites) > _SITES_AT_ONCE + 1 else len(sites)
    return CauseView(
        is_confirmed=group.confirmed,
        sentence=say.group_sentence(group, noun),
        advice=say.advise_on_group(group, noun),
        sites=sites[:shown],
        more_sites=say.site_lines(group, noun, most=shown)[-1] if shown < len(sites) else "",
        other_sites=sites[shown:],
        is_held=bool(holders),
        holders="" if way else "\n".join(holders),
        drawings=[inline(drawing) for drawing in (way, ring) if drawing],
    )


def _site(cause: Cause, line: str, known: Collection[str]) -> Site:
    facts = " · ".join(say.cause_facts(cause))
    return Site(line, cause.fingerprint in known, facts, _stack(cause) if cause.frames else None)


def _stack(cause: Cause) -> Stack:
    """Mark the first line in a person's own Python code; what called that is folded where it is long."""
    own = own_frame(cause.frames)
    frames = [Frame(short_frame(frame), is_own=frame is own) for frame in cause.frames]
    nearest = max(_FRAMES_AT_ONCE, cause.frames.index(own) + 1 if own is not None else 0)
    if len(frames) <= nearest + _FRAMES_NOT_FOLDED:
        nearest = len(frames)
    return Stack(f"{say.stack_title(cause)}, innermost first", frames[:nearest], frames[nearest:])
