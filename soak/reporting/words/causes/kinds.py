"""The kinds of causes: for each its name, and what to do about it where nothing more is known."""

from __future__ import annotations

from dataclasses import dataclass

from soak.reporting.words.vocabulary import capitalised


@dataclass(frozen=True)
class KindWords:
    """The words for one kind of cause."""

    name: str
    """In a sentence: ``native memory``."""
    title: str
    """A sentence without its full stop."""
    advice: str
    """With ``{place}`` for the line of code and ``{noun}`` for what a cycle is called."""
    nowhere: str = "each {noun}"
    """What stands for the place where that is not known."""

    def advise(self, place: str | None, noun: str) -> str:
        """Return the advice. ``place``: the line of code, None if it is not known."""
        text = self.advice.format(place=place or self.nowhere.format(noun=noun), noun=noun)
        return capitalised(text) if place is None else text


KINDS = {
    "native": KindWords(
        "native memory",
        "Memory from malloc is not freed",
        "Look for a missing free on the return paths of {place}, the error paths first.",
        "the C code that each {noun} runs",
    ),
    "python-object": KindWords(
        "Python objects",
        "Python objects stay",
        "Look at {place} for a list, dict or cache that each {noun} adds to, or for a C extension that never drops "
        "a reference.",
        "the code that each {noun} runs",
    ),
    "reference-cycle": KindWords(
        "a reference cycle",
        "Objects that refer to each other stay",
        "These objects refer to each other and garbage collection is off: turn it on, call gc.collect() now and then, "
        "or break the reference cycle.",
    ),
    "lost-reference": KindWords(
        "a reference that is never dropped",
        "A reference is never dropped",
        "C code took a reference to these objects and never dropped it: look for a missing Py_DECREF, first in "
        "{place}.",
        "the C extension that handles them",
    ),
    "file-descriptor": KindWords(
        "file descriptors that are not closed",
        "File descriptors are not closed",
        "Close what {place} opens, on the error paths too: a with statement does both.",
    ),
    "thread": KindWords(
        "threads that do not end",
        "Threads do not end",
        "Join the threads that {place} starts, or keep one pool for all of the work.",
    ),
    "child-process": KindWords(
        "child processes that are not reaped",
        "Child processes are not reaped",
        "Wait for the processes that {place} starts: one that has ended stays in the process table until then.",
    ),
    "left-behind": KindWords(
        "left behind outside the process",
        "Files, shared memory or other resources are left behind",
        "Remove what {place} creates, on the error paths too: close and unlink it, in a with statement or a finally.",
    ),
    "mapping": KindWords(
        "mappings that are not unmapped",
        "Mappings are not unmapped",
        "{place} maps memory that is not unmapped: look for mmap, shared memory, or a library's own allocator.",
    ),
    "fragmentation": KindWords(
        "fragmentation: memory in use stays flat while resident memory grows",
        "Resident memory grows, memory in use does not",
        "Look for block sizes that vary, or for memory that is reserved once and touched later.",
    ),
}
UNCOLLECTABLE = (
    "A collection found these objects to be garbage and put them into gc.garbage, where they stay: a debug flag of gc "
    "is set (DEBUG_SAVEALL, DEBUG_LEAK), or a C type does not let gc clear it."
)
"""The advice on reference cycles in gc.garbage."""
FREE_MEMORY = (
    "Free blocks between live ones are too small for later requests, so the heap grows: reuse buffers, allocate few "
    "different sizes, or allocate blocks that stay before large blocks that do not."
)
"""The advice on fragmentation that an audit has found."""
FAILURE = KindWords(
    "a failure",
    "A driver failed",
    "The component raised, crashed, hung or was stopped, so soak cannot tell whether it leaks.",
)
GROWTH = KindWords(
    "growth",
    "A component grows",
    "No cause is known: soak it with the tracker, which names the call sites (soak doctor says whether it can run).",
)


def kind_words(kind: str) -> KindWords:
    """Return the words for a kind; for one of a later version its own name."""
    return KINDS.get(kind) or KindWords(
        kind, kind.capitalize(), "This version of soak has no advice on this kind of leak."
    )
