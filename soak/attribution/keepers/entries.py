"""Tell in a stack of a watched program which function of its own serves a request, and what that one called.

No loop of soak's is around the cycle there. What is outermost is the server's: it waits, accepts, dispatches. Its code
says nothing of a bound, so it is left out, up to the first function of the program itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from soak.attribution.causes import Call, is_ours

_LIBRARY = re.compile(
    r"[/\\](lib|lib64|Lib)[/\\](python\d\.\d+[a-z]?[/\\]|site-packages[/\\])|[/\\](site|dist)-packages[/\\]|^<"
)
_SCRIPT_OF_ENVIRONMENT = re.compile(r"[/\\](bin|Scripts)[/\\][^/\\]+$")
_MODULE = "<module>"
_MOST_FRAMES = 48
"""The tracker keeps this many Python frames of a stack (PYTHON_LIMIT in stacks.c): what is further out is unknown."""


def served_frames(stack: Sequence[Call]) -> tuple[Call, ...]:
    """Return the program's Python frames from the innermost to the function that serves; nothing if none is known.

    ``stack``: of an allocation, innermost first. If a mark of soak is on the stack, a cycle begins there. A
    program that loops in a function or script of its own has no such function: there a cycle is what its loop does.
    """
    frames: list[Call] = []
    for call in stack:
        if call.file is None:
            continue
        if is_ours(call):
            break
        frames.append(call)
    if len(frames) >= _MOST_FRAMES:
        return ()
    while frames and _is_of_server(frames[-1]):
        frames.pop()
    return () if not frames or frames[-1].function == _MODULE else tuple(frames)


def own_frames(stack: Sequence[Call]) -> tuple[Call, ...]:
    """Return the frames of the program's own code, innermost first, without those of packages and of soak's loop."""
    python = (call for call in stack if call.file is not None)
    until_ours = itertools.takewhile(lambda call: not is_ours(call), python)
    return tuple(call for call in until_ours if not is_of_library(call.file or ""))


def is_of_library(file: str) -> bool:
    """Whether a file is of an installed package, or of the standard library."""
    return _LIBRARY.search(file) is not None


def _is_of_server(call: Call) -> bool:
    """Whether a frame is of an installed package, of the standard library, or of the script that starts a server."""
    file = call.file or ""
    is_script = call.function == _MODULE and _SCRIPT_OF_ENVIRONMENT.search(file) is not None
    return is_script or is_of_library(file)
