"""Where memory was allocated, and the ways that lead to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Place:
    """A line of code; on a stack, one call."""

    function: str | None
    file: str | None
    line: int | None
    module: str | None = None
    """The file that compiled code was loaded from; None for Python code."""
    package: str | None = None

    @property
    def is_python(self) -> bool:
        """Whether it is a line of Python code. Of an address in no module neither file nor module is known."""
        return self.file is not None and self.module is None

    def __str__(self) -> str:
        """Return it as a line of a stack: ``decode at /src/decoder.c:120 in decoder.so``."""
        line = f"{self.file}:{self.line}" if self.file and self.line else self.file
        text = " at ".join(part for part in (self.function, line) if part)
        module = (self.module or "").rpartition("/")[2]
        if not text or text.startswith(module):  # decoder.so+0x60 names the module already
            return text or module
        return f"{text} in {module}"


@dataclass(frozen=True)
class ChainNode:
    """An object on the way to another, or in a reference cycle."""

    name: str
    """How the previous object leads to it: an attribute, an index, a key. For the first object: the variable."""
    what: str
    type: str
    """Empty where nodes are left out."""
    size_bytes: int | None
    """The size of the object alone."""
    allocated_at: Place | None
    """The call that allocated it, where the tracker knows that."""


class MemoryKind(StrEnum):
    """What a `MemoryStep` is."""

    BLOCK = "block"
    LOST_BLOCK = "lost-block"
    """A block that is lost itself, with everything that it points to."""
    GOBJECT = "gobject"
    """A block that holds an object of GLib, and nothing else can be the holder."""
    STATIC = "static"
    """A static variable, or static data that has no symbol."""
    MAIN_STACK = "main-stack"
    THREAD_STACK = "thread-stack"
    UNMAPPED = "unmapped"
    UNKNOWN = "unknown"
    """From before the tracker began, or of an allocator of its own."""
    TEXT = "text"
    """What an earlier version wrote in words."""


@dataclass(frozen=True)
class MemoryStep:
    """Memory that points to what stays, or to the step below it, as a scan of the memory saw it."""

    kind: str
    """A `MemoryKind`."""
    name: str | None = None
    """Of a static variable its symbol; of a block the variable of a module that is assigned where it was allocated.

    Of ``text`` what an earlier version wrote.
    """
    module: str | None = None
    """The file that a static variable was loaded from."""
    type: str | None = None
    """The type of the object in a block."""
    size_bytes: int | None = None
    """The size of a block."""
    allocated_at: Place | None = None
    """The call that allocated a block."""
