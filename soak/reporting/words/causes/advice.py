"""What to do about a cause, in a sentence or two."""

from __future__ import annotations

from collections.abc import Sequence

from soak.attribution.grouping import INSIDE, CauseGroup, group_causes, holder_of
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.grounds import WEAK_KINDS, Keeper
from soak.reporting.words.causes.holders import (
    cache_advice,
    cache_words,
    container_words,
    gobject_step,
    held_by,
    named_step,
    step_words,
)
from soak.reporting.words.causes.kinds import FREE_MEMORY, UNCOLLECTABLE, kind_words
from soak.reporting.words.causes.owners import UNKNOWN_PLACE, kept_with_words, made_at, made_at_words, spot, though_lost
from soak.reporting.words.paths import is_of_cpython, own_frame, short_file
from soak.reporting.words.vocabulary import capitalised, made_words, printable, with_article
from soak.results import Cause, ChainNode, MemoryKind, MemoryStep, Unseen
from soak.units import format_count, format_size

_VIEWS = ("memoryview", "ndarray")
_STACKS = (MemoryKind.MAIN_STACK, MemoryKind.THREAD_STACK)
_UNNAMED = (MemoryKind.UNMAPPED, MemoryKind.UNKNOWN)
_NEVER_GROWS = (
    *("method", "builtin_function_or_method", "function", "cell", "code", "frame", "weakref"),
    *("int", "float", "str", "bytes", "tuple"),
)
_CUT = "How Python code reaches it is not known: there are more objects than soak can walk through in a moment."
_WHY_UNSEEN: dict[str, str] = {
    Unseen.NOT_READABLE: "it could not read the memory of the process",
    Unseen.TOO_FEW_BLOCKS: "too few blocks of past {noun}s were alive when it looked",
    Unseen.SOME_HELD: "something points to some of the blocks, and nothing to the others",
    Unseen.FREED_LATER: "nothing pointed to some of them, but they were freed later",
    Unseen.NOT_MORE: "nothing pointed to them, but their number did not grow from one scan to the next",
}

_MOST_OF_THEM = 0.5
"""A line of Python that opens this share of what the largest place opens is named instead of it."""
_PROBABLY_LOST: dict[str, str] = {
    Unseen.MOST_LOST: "nothing points to most of the blocks",
    Unseen.SEEN_ONCE: "nothing pointed to them, but soak could look only once",
}


def advise_on_group(group: CauseGroup, noun: str = "call") -> str:
    """Say what to do about causes of one holder, below the sentence that names it."""
    owner = group.owner
    if owner is not None and owner.function is not None:
        return (
            f"The {owner.type} holds this function, and the function holds the {owner.type}, partly outside of Python. "
            "Garbage collection does not look there: disconnect the function, or let it hold a weak reference to the "
            "object."
        )
    if owner is not None and owner.is_lost:
        return (
            f"A reference to each {owner.type} was taken and never dropped, or the {owner.type} and its parts refer to "
            "each other. Look for a reference that C code takes, and for objects that refer back to their owner."
        )
    if owner is not None and owner.memory is not None and _keeper(group.head) is None:
        return (
            f"{spot(owner.memory)} passes the {owner.type} to C code, which keeps it: remove the callback, handler or "
            "probe that was added there, or let it hold a weak reference to the object."
        )
    return advise(group.head, noun, is_named=not group.is_alone)


def advise(cause: Cause, noun: str = "call", *, is_named: bool = False) -> str:
    """Say what to do. ``noun``: what a cycle is called; ``is_named``: the holder has just been named."""
    if _is_uncollectable(cause):
        return f"{UNCOLLECTABLE}{_ring_sentence(cause)}"
    if cause.is_free_memory:
        return FREE_MEMORY
    if _is_growing_children(cause):
        return "Run the workers' function on its own: soak run FILE.py:FUNCTION."
    general = kind_words(cause.kind).advise(_place(cause), noun)
    if cause.kind == "reference-cycle":
        return f"{general}{_ring_sentence(cause)}"
    if cause.kind == "lost-reference":
        holders = held_by(cause) if cause.state == "held" else ()
        return f"{general} They are held by {holders[0]} as well." if holders else general
    if cause.state == "lost":
        return _advise_on_lost(cause)
    if cause.holder is not None:
        bound = cache_advice(cause.holder) or "It is bounded, so its growth ends when it is full."
        return bound if is_named else f"They are held by {cache_words(cause.holder, noun)}. {bound}"
    if cause.state == "held" and (kept := _advise_on_held(cause, noun, is_named)):
        return kept
    return f"{_unseen_sentence(cause, noun)}{general}"


def _unseen_sentence(cause: Cause, noun: str) -> str:
    """Say why it is not known what holds the blocks, or that they are probably lost; empty where no reason is known."""
    if cause.unseen in _PROBABLY_LOST:
        return f"They are probably lost: {_PROBABLY_LOST[cause.unseen]}. "
    if cause.unseen in _WHY_UNSEEN:
        detail = f" ({cause.unseen_detail})" if cause.unseen_detail else ""
        return f"soak could not find what holds them: {_WHY_UNSEEN[cause.unseen].format(noun=noun)}{detail}. "
    return ""


def origin(causes: Sequence[Cause], only_grows: Keeper | None = None, *, suspected: bool = False) -> str:
    """Say of the first proven cause where it comes from and what keeps it; empty where no place is known.

    ``app.py:14 allocates it, and app.HISTORY keeps it``; ``fast.pyx:6 allocates it, and nothing points to it``.
    ``only_grows``: the container for which it is a leak, where there is one. Then that is said. ``suspected``: also of
    a cause that is not confirmed.
    """
    group = _leading_group(causes, suspected=suspected)
    if only_grows is not None:
        group = _group_of(only_grows, causes)
        if group is None:
            return f"{_line_of(only_grows)} adds to {only_grows.name}, and no code removes anything from it"
    cause = None if group is None else group.causes[0]
    if cause is not None and _is_growing_children(cause):
        return f"in {_children(cause)} that keep running"
    place = None if cause is None else _line(cause)
    if group is None or cause is None or place is None:
        return ""
    if cause.waits_at is not None:
        return f"each is at {place}"
    if cause.count_per_iteration is not None:
        made = f"{made_words(cause.kind)} at {place}"
        name = _name_without_line(cause)
        return f"{name}, {made}" if name else made
    keeper = keeper_words(group)
    owner = group.owner
    if owner is not None:
        by = f" by {keeper}" if keeper else ""
        with_what = kept_with_words(group, owner)
        though = "" if keeper else though_lost(owner, "it")
        return f"each {owner.type}{made_at_words(group, owner)} is kept{by}{with_what}{though}"
    if cause.state == "lost":
        what = "only lost memory" if is_lost_with_others(cause) else "nothing"
        return f"{place} allocates it, and {what} points to it"
    if _is_ring(cause):
        return f"{place} allocates it, and {_ring_words(cause)} keeps it"
    comma = "," if keeper and ", " in keeper else ""
    return f"{place} allocates it" + (f", and {keeper}{comma} keeps it" if keeper else "")


def origin_brief(causes: Sequence[Cause], only_grows: Keeper | None = None, *, suspected: bool = False) -> str:
    """Give the same in few words, to follow a rate: `` at app.py:14, kept by app.HISTORY``; empty where not known.

    ``suspected``: also of a cause that is not confirmed.
    """
    group = _leading_group(causes, suspected=suspected)
    if only_grows is not None:
        group = _group_of(only_grows, causes)
        if group is None:
            return f" at {_line_of(only_grows)}, kept by {only_grows.name}"
    if group is not None and _is_growing_children(group.causes[0]):
        return f" in {_children(group.causes[0])}"
    place = None if group is None else _line(group.causes[0])
    if group is None or place is None:
        return ""
    name = _name_without_line(group.causes[0])
    at = f" at {place} ({name})" if name else f" at {place}"
    if group.owner is not None:
        made = made_at(group, group.owner)
        at = f" in {group.owner.type} objects" if made is None else f" at {spot(made)}"
    keeper = _ring_words(group.causes[0]) if _is_ring(group.causes[0]) else keeper_words(group)
    return f"{at}, kept by {keeper}" if keeper else at


def _is_ring(cause: Cause) -> bool:
    """Whether objects are known to hold only each other, or to be in gc.garbage."""
    is_held_elsewhere = bool(cause.memory_path or cause.chain) and not cause.ring
    return cause.kind == "reference-cycle" and cause.state == "held" and not is_held_elsewhere


def _ring_words(cause: Cause) -> str:
    """Name the reference cycle that keeps objects, by why it is not collected."""
    return (
        "a reference cycle that gc cannot free"
        if _is_uncollectable(cause)
        else "a reference cycle that is not collected"
    )


def _group_of(only_grows: Keeper, causes: Sequence[Cause]) -> CauseGroup | None:
    """Return the first group that this container keeps: by another name, ``app.bus.handlers`` of ``self.handlers``."""
    last = _last_name(only_grows.name)
    groups = (group for group in group_causes(causes) if group.confirmed)
    return next((group for group in groups if _last_name(keeper_words(group) or "") == last), None)


def _last_name(container: str) -> str:
    return container.partition(" of ")[0].rpartition(".")[2]


def _line_of(keeper: Keeper) -> str:
    return f"{short_file(keeper.file)}:{keeper.line}"


def _leading_group(causes: Sequence[Cause], *, suspected: bool) -> CauseGroup | None:
    """Return the first group; of what is counted (threads, descriptors) rather one with a line of Python.

    What a registry of weak references seems to hold is held by something else: another group that has as much is first.
    Of mapped memory nobody sees a holder; the object that the same line makes for it has one.
    """
    groups = [group for group in group_causes(causes) if group.confirmed or suspected]
    if not groups:
        return None
    if _is_weakly_held(groups[0]):
        fewest_bytes = _MOST_OF_THEM * (groups[0].bytes_per_iteration or 0.0)
        others = (each for each in groups if not _is_weakly_held(each) and keeper_words(each) is not None)
        return next((each for each in others if (each.bytes_per_iteration or 0.0) >= fewest_bytes), groups[0])
    first = groups[0].causes[0]
    if first.kind == "mapping":
        # The object that unmaps it when it is freed is made by the same line.
        beside = (each for each in groups if each.causes[0].python_where == first.python_where is not None)
        return next((each for each in beside if keeper_words(each) is not None), groups[0])
    if first.count_per_iteration is None or first.python_where is not None:
        return groups[0]
    fewest = _MOST_OF_THEM * first.count_per_iteration
    alike = (group for group in groups if group.causes[0].kind == first.kind and group.confirmed == groups[0].confirmed)
    with_line = (group for group in alike if group.causes[0].python_where is not None)
    return next((group for group in with_line if (group.causes[0].count_per_iteration or 0.0) >= fewest), groups[0])


def _is_weakly_held(group: CauseGroup) -> bool:
    return group.head.holder is not None and group.head.holder.kind in WEAK_KINDS


def _is_growing_children(cause: Cause) -> bool:
    """Whether it is memory of child processes that live between cycles, not their number."""
    return cause.kind == "child-process" and cause.bytes_per_iteration is not None and bool(cause.opened)


def _children(cause: Cause) -> str:
    number = sum(opened.count for opened in cause.opened)
    names = ", ".join(printable(opened.name) for opened in cause.opened)
    return f"{format_count(number)} child process{'' if number == 1 else 'es'} ({names})"


def is_lost_with_others(cause: Cause) -> bool:
    """Whether lost blocks point to what is lost: they hold each other."""
    return cause.state == "lost" and any(step.kind == MemoryKind.LOST_BLOCK for step in cause.memory_path)


def keeper_words(group: CauseGroup) -> str | None:
    """Name what keeps the memory of a group, as a person would type it; None where that is not known."""
    owner = group.owner
    if owner is not None and owner.is_lost and owner.function is None:
        return None
    if owner is not None and owner.function is not None:
        return f"the function made at {spot(owner.function)}"
    keeper = _keeper(group.head)
    if keeper is None and owner is not None and owner.memory is not None:
        named = next(filter(None, (named_step(cause.memory_path) for cause in group.causes)), None)
        return named.name if named is not None else f"memory that {spot(owner.memory)} allocates"
    return keeper


def _name_without_line(cause: Cause) -> str | None:
    """Return the usual name of what stays open where no line of source says what it is; None elsewhere."""
    name = None if cause.count_per_iteration is None or _has_line(cause) else _usual_name(cause)
    return printable(name) if name else None


def _usual_name(cause: Cause) -> str | None:
    """Return the name that most of what stays open has; None where it has none."""
    most = max(cause.opened, key=lambda opened: opened.count, default=None)
    is_usual = most is not None and 2 * most.count > sum(opened.count for opened in cause.opened)
    return most.name or None if most is not None and is_usual else None


def _has_line(cause: Cause) -> bool:
    """Whether a line of source is known that leads to it."""
    return _in_source(cause) or cause.python_where is not None or own_frame(cause.frames) is not None


def _in_source(cause: Cause) -> bool:
    return cause.where is not None and cause.where.file is not None and cause.where.line is not None


def _line(cause: Cause) -> str | None:
    """Return the line of code to open first: of C code its own where that is known, else the person's own."""
    own = own_frame(cause.frames)
    is_of_c = _in_source(cause) and cause.kind != "python-object" and not (cause.where and is_of_cpython(cause.where))
    first = (cause.where, own) if is_of_c else (own, cause.python_where)
    place = next((place for place in (*first, cause.python_where, cause.where) if place is not None), None)
    return None if place is None else spot(place)


def _keeper(cause: Cause) -> str | None:
    """Name what keeps it, as a person would type it; None where that is not known."""
    if cause.state != "held":
        return None
    if cause.holder is not None:
        return cause.holder.name
    found = holder_of(cause)
    if found is not None:
        return found[0].removeprefix(INSIDE)
    named = named_step(cause.memory_path)
    if named is not None:
        return named.name
    gobject = gobject_step(cause.memory_path)
    if gobject is not None:
        place = gobject.allocated_at
        return f"the {gobject.type}{f' made at {spot(place)}' if place is not None and place.is_python else ''}"
    root = cause.memory_path[0] if cause.memory_path else None
    return step_words(root) if root is not None and root.kind == MemoryKind.STATIC else None


def _advise_on_lost(cause: Cause) -> str:
    first = cause.memory_path[0] if cause.memory_path else None
    if first is not None and first.kind == MemoryKind.LOST_BLOCK:
        where = spot(first.allocated_at or UNKNOWN_PLACE)
        return f"The block allocated at {where} points to them and is lost itself: fix that first."
    place = _place(cause)
    if place is None:
        return "One path out of the code that allocates this never frees it."
    return f"{place} allocates this, and one path out of it never frees it."


def _advise_on_held(cause: Cause, noun: str, is_named: bool) -> str | None:
    """Name the holder and say how to make it let go; None where none is known."""
    cut = f" {_CUT}" if cause.unseen == Unseen.TOO_MANY_OBJECTS else ""
    found = holder_of(cause)
    if found is not None:
        view = _view_words(cause.chain, cause.requested_size if cause.kind == "native" else None)
        if view is not None:
            return f"{view}: copy it, or give {found[0]} a bound."
        bound = f"give it a bound, or remove what each {noun} adds."
        return f"{capitalised(bound) if is_named else f'They are held by {container_words(*found)}: {bound}'}{cut}"
    if not cause.memory_path:
        return None
    root, nearest = named_step(cause.memory_path) or cause.memory_path[0], cause.memory_path[-1]
    if root.kind in _STACKS:
        return f"They are held by {step_words(root)}: by a variable of a function that is still running.{cut}"
    if root.kind not in _UNNAMED and not _is_no_holder(root):
        bound = f"give it a bound, or free what each {noun} adds."
        return f"{capitalised(bound) if is_named else f'They are held by {_step_words(root)}: {bound}'}{cut}"
    if nearest.allocated_at is not None:
        return f"{capitalised(_step_words(nearest))} points to them; soak could not find what holds that.{cut}"
    place = _place(cause)
    return f"soak could not find what holds them{f'; they are allocated at {place}' if place else ''}.{cut}"


def _is_no_holder(root: MemoryStep) -> bool:
    """Whether a way ends at an object that cannot grow, whose own holder was not found."""
    return root.kind == MemoryKind.BLOCK and root.name is None and root.type in _NEVER_GROWS


def _step_words(step: MemoryStep) -> str:
    """Name memory that holds something; of a block the line without its folders."""
    if step.kind == MemoryKind.BLOCK and step.allocated_at is not None and step.name:
        return f"{step.name}, the {step.type or 'block'} allocated at {spot(step.allocated_at)}"
    if step.kind in (MemoryKind.BLOCK, MemoryKind.GOBJECT) and step.allocated_at is not None:
        return f"the {step.type or 'block'} allocated at {spot(step.allocated_at)}"
    return step_words(step)


def _view_words(chain: Sequence[ChainNode], data_bytes: int | None) -> str | None:
    """Say that a small view keeps a large buffer; None where there is none.

    ``data_bytes``: the size of the data that stays, where those are no object. numpy does not tell gc what an array is
    a view of, so the way to such data ends at the view.
    """
    views = [number for number, node in enumerate(chain) if node.type in _VIEWS]
    if not views:
        return None
    view, end = chain[views[-1]], chain[-1]
    what, kept_bytes = ("array", data_bytes) if view is end else (f"{end.type} object", end.size_bytes)
    if not view.size_bytes or not kept_bytes or kept_bytes <= view.size_bytes:
        return None
    made = f" made at {spot(view.allocated_at)}" if view.allocated_at is not None else ""
    return f"A view of {format_size(view.size_bytes)}{made} keeps {with_article(what)} of {format_size(kept_bytes)}"


def _place(cause: Cause) -> str | None:
    """Return where to look, in words: for what Python holds the person's own line, for C code its function."""
    is_of_c = cause.kind in ("native", "lost-reference")
    own = own_frame(cause.frames) if cause.kind == "python-object" else None
    places = (cause.where, cause.python_where) if is_of_c else (own, cause.python_where, cause.where)
    place = next((place for place in places if place is not None and str(place)), None)
    if place is None:
        return None
    return f"the C code that {spot(place)} calls" if is_of_c and place is not cause.where else spot(place)


def _is_uncollectable(cause: Cause) -> bool:
    """Whether gc has found the objects to be garbage, and keeps them in gc.garbage."""
    return bool(cause.chain) and (cause.chain[0].type, cause.chain[0].name) == ("module", "gc")


def _ring_sentence(cause: Cause) -> str:
    return f" The cycle: {describe_ring(cause.ring)}." if cause.ring else ""
