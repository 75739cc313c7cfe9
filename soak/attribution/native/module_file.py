"""What the file of a shared object or executable says of its functions, lines and variables.

DWARF and symbol tables are read by the library ``symbolic``; names of C++, Rust and Cython are made readable.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from symbolic.debuginfo import Archive, Object
from symbolic.exceptions import SymbolicError
from symbolic.symcache import SourceLocation, SymCache

from soak.attribution.native.elf_file import ElfFile
from soak.attribution.native.kept_symbols import table_of
from soak.attribution.native.names import comes_from_cython_source, is_of_the_language, readable

_Line = tuple[str | None, str | None, int | None]
"""Function, file and line."""

Covers = tuple[list[int], list[tuple[str, int]]]
"""Where symbols begin, ascending, and the name and size of each."""

_BUILD_IDS = Path("/usr/lib/debug/.build-id")
_CYTHON_MAKES = (".c", ".cpp", ".cxx", ".cc")
_CYTHON_SOURCE = re.compile(r'\s*/\* "([^"]+)":(\d+)$')
_VARIABLE, _FUNCTION = 1, 2
"""Kinds of symbols: STT_OBJECT and STT_FUNC."""
_COLD = ".cold"
"""What GCC adds to the name of a function's unlikely part."""


class ModuleFile:
    """One shared object or executable."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path

    def lookup(self, offset: int) -> Sequence[_Line]:
        """Return function, file and line at an offset from where the module is loaded, and of what it is inlined in."""
        for source in self._objects:
            if "debug" in source.features:
                lines = [self._line(location, offset) for location in _lookup(source, offset) if location.line]
                if lines:
                    own = [line for line in lines if not is_of_the_language(line[0] or "", line[1])] or lines[-1:]
                    # A part of a function that the compiler made one of its own is inlined into the rest of it.
                    return own[:1] + [line for before, line in pairwise(own) if line[0] != before[0]]
        return [(self._covering_symbol(offset), None, None)]

    def _line(self, location: SourceLocation, offset: int) -> _Line:
        """Return the line of a location at an offset.

        DWARF's reader names a function by the symbol at its lowest address. GCC puts the unlikely parts of all
        functions there, so the name may be another function's: ``_PyEval_EvalFrameDefault`` came out as
        ``ast2obj_expr.cold``.
        """
        file, line, symbol = location.full_path or None, location.line, location.symbol
        if file is not None and comes_from_cython_source(symbol):
            file, line = _cython_lines(file).line_of(line) or (file, line)
        return (_COLD in symbol and self._covering_symbol(offset)) or readable(symbol), file, line

    @cached_property
    def _objects(self) -> list[Object]:
        """The module and, where the system has it, its separate debug file."""
        try:
            found = list(Archive.open(str(self._path)).iter_objects())
        except (SymbolicError, OSError):
            return []
        separate = [_BUILD_IDS / code[:2] / f"{code[2:]}.debug" for code in (o.code_id for o in found) if code]
        for file in separate:
            if file.is_file():
                try:
                    found = [*Archive.open(str(file)).iter_objects(), *found]
                except (SymbolicError, OSError):
                    continue
        return found

    @cached_property
    def size(self) -> int:
        """Bytes of address space that the module takes when it is loaded; 0 for what is no module."""
        try:
            with self._path.open("rb") as file:
                begin, end = ElfFile(file).loaded()
                return end - begin
        except (OSError, ValueError):
            return 0

    def variable(self, offset: int) -> str | None:
        """Return the variable that covers an offset from where the module is loaded."""
        return _covering(self._variables, offset)

    def _covering_symbol(self, offset: int) -> str | None:
        return _covering(self._functions, offset)

    @cached_property
    def _functions(self) -> Covers:
        return self._read_symbols(_FUNCTION)

    @cached_property
    def _variables(self) -> Covers:
        return self._read_symbols(_VARIABLE)

    def _read_symbols(self, kind: int) -> Covers:
        """Return the symbols of a kind that have a size, by address from where the module is loaded."""
        found: dict[int, tuple[str, int]] = {}
        try:
            with self._path.open("rb") as file:
                elf = ElfFile(file)
                base = elf.loaded()[0]
                for symbols, names in elf.symbol_tables():
                    for value, name, size in _symbols(symbols, names, kind):
                        found.setdefault(value - base, (name, size))
        except (OSError, ValueError):
            return [], []
        starts = sorted(found)
        return starts, [found[start] for start in starts]


def _symbols(symbols: NDArray[np.void], names: bytes, kind: int) -> Iterator[tuple[int, str, int]]:
    """Give value, name and size of the symbols of a kind that have a size."""
    for symbol in symbols[(symbols["info"] & 0xF == kind) & (symbols["size"] > 0)].tolist():
        start, _, _, _, value, size = symbol
        yield value, names[start : names.index(b"\0", start)].decode("utf-8", "replace"), size


def _covering(symbols: Covers, offset: int) -> str | None:
    starts, named = symbols
    position = bisect_right(starts, offset) - 1
    if position < 0:
        return None
    name, size = named[position]
    return readable(name) if offset < starts[position] + size else None


class _CythonLines:
    """The lines of Cython's source in the C file that it made of it, where that file is here and says so."""

    def __init__(self, generated: Path) -> None:
        self._folder = generated.parent
        self._starts: list[int] = []
        self._sources: list[tuple[str, int]] = []
        if generated.suffix not in _CYTHON_MAKES or not generated.is_file():
            return
        with generated.open(encoding="utf-8", errors="replace") as file:
            if not file.readline().startswith("/* Generated by Cython"):
                return
            for number, text in enumerate(file, 2):
                match = _CYTHON_SOURCE.match(text)
                if match is not None:
                    self._starts.append(number)
                    self._sources.append((match[1], int(match[2])))

    def line_of(self, line: int) -> tuple[str, int] | None:
        """Return file and line of the statement that a line of C belongs to."""
        position = bisect_right(self._starts, line) - 1
        if position < 0:
            return None
        named, source_line = self._sources[position]
        beside = self._folder / Path(named).name
        return (str(beside) if beside.is_file() else named), source_line


@cache
def _cython_lines(generated: str) -> _CythonLines:
    return _CythonLines(Path(generated))


@cache
def _symcache(source: Object) -> SymCache:
    return table_of(source)


def _lookup(source: Object, offset: int) -> Iterator[SourceLocation]:
    try:
        yield from _symcache(source).lookup(offset)  # type: ignore[no-untyped-call]
    except SymbolicError:
        return
