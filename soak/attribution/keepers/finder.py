"""Find out from source code whether a container only grows: each cycle adds to it, and nothing removes from it.

In every count, a bounded cache that fills looks like a leak. But a bound must be somewhere in the code. This module
looks for containers that live as long as the program (see .code.lifetimes). It reports one only if

- a function adds to it, and neither that function nor any of its callers, up to soak's own loop, does so on a
  condition; to a dict under a key that is another one each time (see .keys);
- in all files that ran, its name is used for nothing but adding, reading and iterating, but for functions of the
  driver's file that nothing calls (see .uncalled).

In another file the name alone is another variable, unless it is imported; what is not found by its name is not seen.
Whatever else is done with the name (removing, assigning, passing it on, asking for its length to compare it) may be a
bound. Then nothing is reported, also where it is none.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from soak.attribution.causes import Call, is_ours
from soak.attribution.keepers.bounds import Bound, bound_in
from soak.attribution.keepers.cached_functions import cached_at
from soak.attribution.keepers.code.callees import callees, filled_in, stays
from soak.attribution.keepers.code.conditions import (
    NO_SETTINGS,
    Given,
    Settings,
    body_of,
    runs_as_written,
    served_arguments,
)
from soak.attribution.keepers.code.flows import may_be_added, may_be_passed
from soak.attribution.keepers.code.items import Filled
from soak.attribution.keepers.code.lifetimes import Program, class_of_base, is_permanent
from soak.attribution.keepers.code.settings import constants_of, numbers_of, settings_asked
from soak.attribution.keepers.code.source import Container, Function, Source, knows_no_program, nodes_of
from soak.attribution.keepers.code.stateless import same_each_time
from soak.attribution.keepers.code.uses import additions, is_harmless, may_be_of_other_file, may_be_of_same_file
from soak.attribution.keepers.entries import is_of_library, own_frames
from soak.attribution.keepers.filling import filled_with
from soak.attribution.keepers.keys import Keys
from soak.attribution.keepers.registrations import registrations
from soak.attribution.keepers.uncalled import Uncalled
from soak.grounds import Keeper

_TEST_RUNNERS = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
_LARGEST_FILE_BYTES = 4 << 20
_FIGURES = "matplotlib._pylab_helpers.Gcf.figs"
_REQUEST = "request"
"""Flask has the request of the thread under this name."""
_MATPLOTLIB, _PYPLOT = "matplotlib", "matplotlib/pyplot.py"
_MAKES_FIGURE = ("figure", "subplots")
_CLOSES_FIGURE = re.compile(r"\b(close|destroy|destroy_all|destroy_fig)\b")


class KeeperFinder:
    """Looks for containers that only grow. It reads each file once."""

    def __init__(self, frames_of: Callable[[Sequence[Call]], tuple[Call, ...]] | None = None) -> None:
        """Read nothing yet.

        ``frames_of``: returns of a stack the program's Python frames, innermost first, up to the function that each
        cycle calls; by default that which soak's own loop calls.
        """
        self._frames_of = frames_of or _own_frames
        self._is_served = frames_of is not None
        self._sources: dict[str, Source | None] = {}
        self._texts: dict[str, str | None] = {}
        self._found: dict[tuple[tuple[Call, ...], int, bool], Keeper | None] = {}
        self._bounds: dict[tuple[tuple[Call, ...], int], tuple[Bound, ...]] = {}
        self._mentions: dict[tuple[str, int], list[Source] | None] = {}

    def find(
        self,
        stack: Sequence[Call],
        files: Iterable[str],
        has_kept: Callable[[str, int, int], bool] | None = None,
        *,
        is_of_table: bool = False,
    ) -> Keeper | None:
        """Return the container that a function on the stack adds to whenever it runs; None if there is none.

        ``stack``: of an allocation, innermost first. ``files``: all files of the program that have run. ``has_kept``:
        whether lines of a file, from the first to the last, have allocated memory that is still there; without
        it nothing is found that a setting may switch off. ``is_of_table``: what was allocated is the table of a
        container, so only what the innermost line itself adds to is looked for.
        """
        frames = self._frames_of(stack)
        if not frames:
            return None
        own = (file for file in files if not is_ours(Call(file=file)))
        known = sorted({*own, *(frame.file or "" for frame in frames)})
        key = (frames, len(known), is_of_table)
        if key not in self._found:
            found = self._look(frames, known, has_kept, is_of_table=is_of_table)
            is_here = found is not None and (found.file, found.line) == (frames[0].file, frames[0].line)
            self._found[key] = found if is_here or not is_of_table else None
        return self._found[key]

    def bound_of(self, name: str, files: Iterable[str], stacks: Iterable[Sequence[Call]] = ()) -> Bound | None:
        """Return the bound of the container that a variable or an attribute is, as the program's files have it.

        ``stacks``: of allocations of what it holds. They tell which functions run.
        """
        files = [file for file in files if not is_ours(Call(file=file))]
        known = self._mentioning(name, sorted(files))
        if known is None:
            return None
        running = {call.function for stack in stacks for call in stack if call.file and call.function}
        programs = (self._source(file) for file in sorted(files) if not is_of_library(file))
        return bound_in(name, known, running, [source for source in programs if source is not None])

    def may_be_bounded(self, stack: Sequence[Call], files: Iterable[str]) -> bool:
        """Whether what is allocated may go into a container that code keeps small.

        ``stack``: of the allocation, innermost first. ``files``: all files of the program that have run.
        """
        return bool(self._bounds_of_filled(stack, files))

    def most_entries(self, stack: Sequence[Call], files: Iterable[str]) -> int:
        """Return the largest number by which code bounds a container that may get what is allocated; 0 without one.

        ``stack``, ``files``: as for `may_be_bounded`.
        """
        return max((bound.capacity or 0 for bound in self._bounds_of_filled(stack, files)), default=0)

    def _bounds_of_filled(self, stack: Sequence[Call], files: Iterable[str]) -> tuple[Bound, ...]:
        """Return the bounds of the containers that get what is allocated."""
        frames = own_frames(stack)
        known = sorted(files)
        key = frames, len(known)
        if key not in self._bounds:
            names = set[str]().union(*(self._filled_by(frame) for frame in frames))
            found = (self.bound_of(name, known, [stack]) for name in sorted(names))
            self._bounds[key] = tuple(bound for bound in found if bound is not None)
        return self._bounds[key]

    def _filled_by(self, frame: Call) -> set[str]:
        """Return the containers that get what a frame's line makes."""
        source = self._source(frame.file or "")
        function = None if source is None else source.function_at(frame.line or 0, frame.function or "")
        if source is None or function is None:
            return set()
        return filled_with(function, source, frame.line or 0)

    def _look(
        self,
        frames: Sequence[Call],
        files: Sequence[str],
        has_kept: Callable[[str, int, int], bool] | None,
        *,
        is_of_table: bool,
    ) -> Keeper | None:
        driver = "" if self._is_served else frames[-1].file or ""
        uncalled = Uncalled(driver, frames[-1].function or "", lambda: {file: self._text(file) for file in files})
        program = Program(lambda name: self._mentioning(name, files), driver, uncalled.has)
        keys = Keys(program)
        given, calls = Given(), list[ast.Call]()
        for frame in reversed(frames):
            source = self._source(frame.file or "")
            function = None if source is None else source.function_at(frame.line or 0, frame.function or "")
            is_served = self._is_served and frame is frames[-1]
            if source is None or function is None or not runs_as_written(function, is_served=is_served):
                return None
            keys.enter(function, source, calls)
            arguments = served_arguments(function) if is_served else given.passed_on(calls, function)
            given = self._given(source, program, arguments, function)
            line = frame.line or 0
            keeper = cached_at(function, source, line, keys, program) if is_of_table else None
            keeper = keeper or _added_in(function, source, keys, program, given, line)
            if keeper is None:
                inner = replace(given, arguments=frozenset(), filled=Filled(given.filled.numbers))
                calls_of = callees(function, source, program, given.filled)
                called = (each for each, name in calls_of if may_be_passed(name, function, line))
                keeper = next(filter(None, (_added_in(each, source, keys, program, inner) for each in called)), None)
            settings = NO_SETTINGS if self._is_served or has_kept is None else _settings(function, source, program)
            if settings != NO_SETTINGS:
                # What is on the stack has run, so its settings are on; the memory shows whether others are.
                given = replace(given, settings=settings)
                if keeper is None:
                    keeper = _added_in(function, source, keys, program, given, line, has_kept)
            keeper = keeper or self._registered_at(function, source, program, given, line)
            if keeper is not None:
                return keeper
            calls = _calls_at(function, source, frame.line or 0)
            if not calls or not all(body_of(function, given).always_reaches(call) for call in calls):
                return None
            if any(_makes_figure(call) for call in calls):
                return self._figures(frames, source.file, calls[0].lineno, files)
        return None

    def _registered_at(
        self, function: Function, source: Source, program: Program, given: Given, line: int
    ) -> Keeper | None:
        """Return what keeps for good the thing that a line makes, if the function always registers it.

        If the line itself registers it, that has run, whatever setting asks for it.
        """
        if self._is_served:
            return None  # there a function may serve a few requests of another kind
        for call, words in registrations(function, source, program):
            body = body_of(function, given if _is_on(call, line) else Given())
            if may_be_added(call, function, line) and body.always_reaches(call):
                return Keeper(words, source.file, call.lineno)
        return None

    def _given(self, source: Source, program: Program, arguments: frozenset[str], function: Function) -> Given:
        """Return what conditions of a function may ask for, and what has items. In a run each cycle does the same."""
        filled = filled_in(function, source, program)
        if not self._is_served:
            return Given(filled=filled)
        return Given(constants_of(source, program), arguments | {_REQUEST}, filled=filled)

    def _figures(self, frames: Sequence[Call], file: str, line: int, files: Sequence[str]) -> Keeper | None:
        """Return pyplot's figures, which stay until they are closed, if no code outside matplotlib does that."""
        if not any((frame.file or "").endswith(_PYPLOT) for frame in frames):
            return None
        users = self._mentioning(_MATPLOTLIB, [each for each in files if _MATPLOTLIB not in each])
        if users is None or any(_MATPLOTLIB in each.imported and _CLOSES_FIGURE.search(each.text) for each in users):
            return None
        return Keeper(_FIGURES, file, line)

    def _mentioning(self, name: str, files: Sequence[str]) -> list[Source] | None:
        """Return the files in which a name occurs; None if it may occur in one that cannot be read."""
        key = name, len(files)
        if key not in self._mentions:
            word = re.compile(rf"\b{re.escape(name)}\b")
            texts = {file: self._text(file) for file in files}
            spoken = {
                file: text for file, text in texts.items() if text is None or (name in text and word.search(text))
            }
            found = [(self._source(file), text) for file, text in spoken.items()]
            is_open = any(source is None and (text is None or _may_reach(name, text)) for source, text in found)
            self._mentions[key] = None if is_open else [source for source, _ in found if source is not None]
        return self._mentions[key]

    def _source(self, file: str) -> Source | None:
        if file not in self._sources:
            text = self._text(file)
            try:
                self._sources[file] = None if text is None else Source(file, text)
            except (SyntaxError, ValueError, RecursionError):
                self._sources[file] = None
        return self._sources[file]

    def _text(self, file: str) -> str | None:
        """Return what is in a file; nothing of code without a file, None of one that cannot be read."""
        if file not in self._texts:
            self._texts[file] = "" if file.startswith("<") else None
            with contextlib.suppress(OSError, ValueError):
                if Path(file).stat().st_size <= _LARGEST_FILE_BYTES:
                    self._texts[file] = Path(file).read_text(encoding="utf-8", errors="replace")
        return self._texts[file]


def _may_reach(name: str, text: str) -> bool:
    """Whether a file that cannot be parsed may mean another file's variable: as an attribute, a text, or an import.

    It may be of a newer Python than soak's. A bare name there is a variable of its own, or a word of a comment.
    """
    word, joined = re.escape(name), text.replace("\\\n", " ")
    in_import = rf"\bimport\b[^\n(]*\b{word}\b|\bimport\s*\([^)]*\b{word}\b|\bimport\s*\*|\bfrom\s+\S*\b{word}\b"
    return re.search(rf"\.\s*{word}\b|(['\"]){word}\1|{in_import}", joined) is not None


def _settings(function: Function, source: Source, program: Program) -> Settings:
    """Return what conditions of a function may ask for and have the same answer in each cycle."""
    same = same_each_time(
        function, source, numbers_of(source, program), lambda called, name: stays(called, name, source, program)
    )
    return replace(settings_asked(function, source, program), tests=same)


def _added_in(
    function: Function,
    source: Source,
    keys: Keys,
    program: Program,
    given: Given,
    line: int | None = None,
    has_kept: Callable[[str, int, int], bool] | None = None,
) -> Keeper | None:
    """Return the container that each call of a function adds to, and that only grows.

    ``line``: that of the function whose call allocates; what is added must be from there. None for any. ``has_kept``:
    tells of what adds whether it has run, as the table of the container shows; None if the code alone tells it.
    """
    with keys.within(function, source):
        for node, container in additions(function, keys.is_new, given):
            may_be = line is None or may_be_added(node, function, line)
            may_be &= has_kept is None or has_kept(source.file, node.lineno, node.end_lineno or node.lineno)
            if may_be and source.function_of(node) is function and _only_grows(container, node, source, program):
                return Keeper(str(container), source.file, node.lineno)
    return None


def _only_grows(container: Container, node: ast.AST, source: Source, program: Program) -> bool:
    known = program.mentioning(container.name)
    own = None if container.base is None else class_of_base(container.base, node, source)
    may_be_inherited = container.base is not None and (own is None or bool(own.bases))
    return (
        known is not None
        and is_permanent(container, node, source, program)
        and all(
            is_harmless(use, each, container, node) or program.is_uncalled(use, each)
            for each in known
            if may_be_inherited or not knows_no_program(each, source)
            for use in each.uses(container.name)
            if (may_be_of_same_file if each is source else may_be_of_other_file)(use, container, each)
        )
    )


def _own_frames(stack: Sequence[Call]) -> tuple[Call, ...]:
    """Return the program's Python frames, innermost first; nothing if the stack does not reach soak's loop."""
    frames: list[Call] = []
    for call in stack:
        if call.file is None:
            continue
        if is_ours(call) or _TEST_RUNNERS.search(call.file):
            return tuple(frames)
        frames.append(call)
    return ()


def _calls_at(function: Function, source: Source, line: int) -> list[ast.Call]:
    """Return the calls that a line makes, of the function itself."""
    calls = [node for node in nodes_of(function) if isinstance(node, ast.Call)]
    here = [call for call in calls if call.lineno <= line <= (call.end_lineno or call.lineno)]
    return [call for call in here if source.function_of(call) is function]


def _is_on(node: ast.expr, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _makes_figure(call: ast.Call) -> bool:
    """Whether a call makes a new figure of pyplot: without a number, of which there may be few."""
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    numbered = any(keyword.arg in (None, "num") for keyword in call.keywords)
    return name in _MAKES_FIGURE and not numbered and not (name == "figure" and call.args)
