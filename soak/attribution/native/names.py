"""Read a compiler's name of a function or variable as a person wrote it: C++, Rust and Cython."""

from __future__ import annotations

import re
from functools import cache

import pycxxfilt

_RUST_HASH = re.compile(r"::h[0-9a-f]{16}(?= |$)")
_RUST_CHARACTERS = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}
_RUST_ESCAPE = re.compile(r"\$(?:(SP|BP|RF|LT|GT|LP|RP|C)|u([0-9a-f]{1,6}))\$")
_COPY = r"(?:\.(?:llvm|isra|constprop|part|cold|lto_priv|localalias)(?:\.\d+)*)+"
_CLONE = re.compile(rf" \({_COPY}\)$|{_COPY}(?=\)?$)")
"""What compilers put behind the name of a copy that they made of a function, or behind its second name."""

INTERPRETER_MODULES = ("python", "libpython")
"""How the file names of CPython itself begin."""

_CYTHON = re.compile(r"__pyx_(?:(?P<kind>f|pf|pw|gb|v|fuse_\d+|tp_\w+?)_)(?=\d)")
_CYTHON_STATEMENTS = re.compile(r"__pyx_(f|pf|pw|gb)_\d")
_CYTHON_WRAPPER = "pw"
_CYTHON_NUMBER = re.compile(r"\d+(?=\D)")

_LANGUAGE = re.compile(
    r"(?:void |<)*(?:std|__gnu_cxx|alloc|core|hashbrown|__rustc)::"
    r"|<[^<>:]* as (?:std|alloc|core)::"  # of any type, T; what implements it for a type of its own is a person's
    r"|operator (?:new|delete)\b"
    r"|__r(?:ust|dl|g)_|__Pyx_"
)
_LANGUAGE_FILES = re.compile(r"^/rustc/[0-9a-f]+/|^/rust/deps/|/lib/rustlib/src/|/include/c\+\+/")


@cache
def readable(symbol: str) -> str:
    """Return a C++, Rust or Cython name as it is written in the source; others, and what cannot be read, as they are.

    Without what differs from build to build, or between copies of a function: one leak then has one name.
    """
    try:
        name = pycxxfilt.demangle(symbol) or symbol
    except ValueError:
        name = symbol
    name = _CLONE.sub("", name)
    if _RUST_HASH.search(name):
        return _read_old_rust(name)
    return _read_cython(name) or name


def is_of_the_language(function: str, file: str | None) -> bool:
    """Tell whether a readable function is of a language's own library, through which everybody allocates."""
    return bool(_LANGUAGE.match(function) or (file and _LANGUAGE_FILES.search(file)))


def comes_from_cython_source(symbol: str) -> bool:
    """Tell whether a function's statements were written in Cython; others are in the C file that it makes as well."""
    return _CYTHON_STATEMENTS.match(symbol.partition("(")[0]) is not None


def _read_old_rust(name: str) -> str:
    """Rust's names before its own scheme: C++'s, with a hash at the end and all but letters and digits escaped."""
    name = _RUST_HASH.sub("", name)
    name = _RUST_ESCAPE.sub(lambda found: _RUST_CHARACTERS.get(found[1]) or chr(int(found[2], 16)), name)
    return re.sub(r"(^|::)_(?=[<&*(\[{])", r"\1", name.replace("..", "::"))


def _read_cython(name: str) -> str | None:
    """``__pyx_pf_4pack_5codec_5Codec_2encode`` is encode, with a number that makes it unique, of pack.codec.Codec."""
    name = name.partition("(")[0]
    found = _CYTHON.match(name)
    if found is None:
        return None
    parts, rest = [], name[found.end() :]
    while number := _CYTHON_NUMBER.match(rest):
        end = number.end() + int(number[0])
        if len(rest) < end or rest[end : end + 1] not in ("", "_"):
            rest = rest[number.end() :]
            break
        parts.append(rest[number.end() : end])
        rest = rest[end + 1 :]
    kind = found["kind"]
    inside = ".".join([*parts, rest] if rest else parts)
    if kind.startswith("tp_"):
        return f"{inside} ({kind})"
    return f"{inside} (wrapper)" if kind == _CYTHON_WRAPPER else inside
