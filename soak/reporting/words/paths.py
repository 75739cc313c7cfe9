"""How files are named for people: those of a library without the folders that it happens to be installed in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from soak.results import Place

_INSTALLED = re.compile(r".*/(?:(?:site|dist)-packages|lib(?:64)?/python3\.\d+t?)/")
_BUILT_FROM = re.compile(r".*/[Pp]ython-3[^/]*/(?=[A-Z])")
"""Where CPython was built: its sources are in Modules/, Objects/, Python/, …"""


_OF_CPYTHON = re.compile(r"/lib-dynload/|/libpython3[^/]*$|/python3[^/]*$")


def library_file(path: str) -> str | None:
    """Return the part of a path that names a file of a library or of CPython; None for any other.

    ``/usr/lib/python3.11/json/decoder.py`` is ``json/decoder.py``.
    """
    match = _INSTALLED.match(path) or _BUILT_FROM.match(path)
    return None if match is None else path[match.end() :]


def is_own_file(path: str) -> bool:
    """Whether a person can open a file and change it: no library's, and no code without a file (``<frozen abc>``)."""
    return library_file(path) is None and not path.startswith("<")


def is_of_cpython(place: Place) -> bool:
    """Whether a place is in C code of CPython itself: in its library, its program, or a module of its standard library.

    A person does not look there for a leak.
    """
    return _OF_CPYTHON.search(place.module or "") is not None


def short_file(path: str) -> str:
    """Name a file in a sentence: of a library by its path in it, any other without the folders above it.

    Relative paths stay as they are; of a package's ``__init__.py`` the package is named too.
    """
    if not path.startswith("/"):
        return path
    folder, _, name = path.rpartition("/")
    return library_file(path) or (f"{folder.rpartition('/')[2]}/{name}" if name == "__init__.py" else name)


def short_frame(frame: Place) -> str:
    """Name a line of a stack, ``FUNCTION at FILE:LINE in MODULE``: files that are no library's keep their whole path.

    A terminal or an editor opens those at a click.
    """
    return str(replace(frame, file=library_file(frame.file or "") or frame.file))


def without_folders(place: Place) -> Place:
    """Return the place with its file's name alone, for where there is little room."""
    return replace(place, file=place.file and place.file.rpartition("/")[2])


def own_frame(frames: Sequence[Place]) -> Place | None:
    """Return the innermost line of a stack in Python code that is no library's: where a person will look first."""
    return next(iter(own_frames(frames)), None)


def own_frames(frames: Sequence[Place]) -> list[Place]:
    """Return the lines of a stack in Python code that is no library's, innermost first."""
    return [frame for frame in frames if _is_own(frame)]


def _is_own(frame: Place) -> bool:
    return frame.is_python and is_own_file(frame.file or "")
