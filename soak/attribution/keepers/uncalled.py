"""Find the functions of the driver's file that nothing calls while the cycles run.

A file often has a function that empties what another one fills: a repaired twin, or one for tests. It bounds nothing
where nobody calls it. soak itself calls only the cycle and the functions around the loop. So such a function could be
reached only by its name, or by code that goes through all that a module has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from soak.attribution.keepers.code.source import Function, Source, is_of_standard_library
from soak.attribution.keepers.entries import is_of_library

_AROUND_THE_LOOP = re.compile(r"(set_?up|tear_?down|resume|pytest_)|__")
"""The functions that soak or pytest call by their names, and those that Python does."""
_BY_ANY_NAME = re.compile(
    r"\b(globals|locals|vars|dir|eval|exec|__dict__|getmembers|attrgetter|methodcaller)\b|\bgetattr\s*\((?![^,()]*,\s*['\"])"
)
"""Code of the program that may reach what it does not name."""
_MODULES_BY_NAME = re.compile(
    r"\b(import_module|__import__|import_string|import_object|modules|__main__|entry_points|run_path|run_module"
    r"|spec_from_file_location)\b"
)
"""Code that may get a module, and with it its functions, by a name that stands in no code."""
_OF_IMPORTS = re.compile(r"[/\\]site-packages[/\\](_distutils_hack[/\\]|__editable__)")
"""Hooks of setuptools, which Python starts with: they import packages of their own, and call nothing of these."""
_MAIN_GUARD = re.compile(r"__name__\s*==\s*(['\"])__main__\1")


class Uncalled:
    """Knows of the functions of one file whether anything but soak's own loop may call them."""

    def __init__(self, driver: str, cycle: str, texts: Callable[[], Mapping[str, str | None]]) -> None:
        """Read nothing yet.

        ``driver``: the file; empty for none. ``cycle``: its function that soak calls. ``texts``: gives the text of each
        file that has run; None for one that cannot be read.
        """
        self._driver, self._cycle, self._read = driver, cycle, texts

    def has(self, use: ast.AST, source: Source) -> bool:
        """Whether a node is in a function of the driver's module that nothing calls in the cycles."""
        if not self._driver or source.file != self._driver:
            return False
        around = _outermost(use, source)
        if around is None or around.decorator_list or not isinstance(source.parent(around), ast.Module):
            return False
        name = around.name
        if name == self._cycle or _AROUND_THE_LOOP.match(name) or not self._is_told_once(name):
            return False
        return self._calls_by_names_alone

    def _is_told_once(self, name: str) -> bool:
        """Whether the word is only in the definition of the function; a text or a comment may be what names it."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        spoken = [(file, len(word.findall(text))) for file, text in self._texts.items() if text is not None]
        return all(count == (file == self._driver) for file, count in spoken)

    @cached_property
    def _texts(self) -> dict[str, str | None]:
        """The text of the files of the program and its packages."""
        read = self._read().items()
        return {file: text for file, text in read if not (is_of_standard_library(file) or _OF_IMPORTS.search(file))}

    @cached_property
    def _calls_by_names_alone(self) -> bool:
        """Whether no code of the program or its packages could call a function of the driver that it does not name."""
        if is_of_library(self._driver):
            return False
        module = re.compile(rf"\b{re.escape(Path(self._driver).stem)}\b")
        return all(
            text is not None
            and _MODULES_BY_NAME.search(_MAIN_GUARD.sub("", text)) is None
            and (is_of_library(file) or _BY_ANY_NAME.search(text) is None)
            and (file == self._driver or module.search(text) is None)
            for file, text in self._texts.items()
        )


def _outermost(use: ast.AST, source: Source) -> Function | None:
    found = None
    for _, parent in source.path(use):
        if isinstance(parent, Function):
            found = parent
    return found
