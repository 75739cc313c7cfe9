"""How a component failed, in words, and the lines of its stack and output that tell most."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import PurePath

from soak.reporting.words.vocabulary import printable
from soak.results import ComponentResult, Failure
from soak.units import format_count

_OWN_FRAME = re.compile(r'File "[^"]*/soak/inside/')
_IMPORTING_FRAME = re.compile(r'File "<frozen importlib')
_FRAME = re.compile(r'\s*File "([^"]*)", line (\d+) in (.+)')
_CRASHED_THREAD = "Current thread"


def telling_frames(failure: Failure, most: int) -> tuple[str, ...]:
    """Give the lines of a failure's stack that tell most: a traceback's last, of any other dump the first.

    Soak's own frames, below the component's, are left out; so are those of Python's import, and how a process that
    hung was ended to get its stack.
    """
    left_out = (_OWN_FRAME, _IMPORTING_FRAME)
    lines = [line for line in failure.stack if not any(frame.search(line) for frame in left_out)]
    if failure.reason == "hang" and lines and lines[0].startswith("Fatal Python error"):
        lines = lines[1:]
    while lines and not lines[0].strip():
        lines = lines[1:]
    return tuple(lines[-most:] if failure.reason == "exception" else lines[:most])


def last_written(component: ComponentResult, most: int) -> list[str]:
    """Give the last lines that a component wrote, without the stack that was made of it when it was ended."""
    lines = component.output_tail.rstrip().splitlines()
    if component.failure is not None and component.failure.stack and component.failure.stack[0] in lines:
        lines = lines[: lines.index(component.failure.stack[0])]
    return lines[-most:]


def failure_words(failure: Failure | None, noun: str = "call", *, brief: bool = False) -> str:
    """Say how it failed: ``failed in call 12: out of memory``; ``brief``: only where."""
    if failure is None:
        return "failed"
    verb = "hung" if failure.reason == "hang" else "failed"
    lines = printable(failure.detail).strip().splitlines()
    detail = "" if brief or not lines else f": {lines[-1].rstrip('.')}{_more_words(failure)}"
    return f"{verb} {where_it_failed(failure, noun)}{detail}"


def _more_words(failure: Failure) -> str:
    """Say how to measure with another interpreter, where it lacks a module; of a crash, which line of Python ran."""
    if failure.phase == "setup" and failure.detail.startswith("ModuleNotFoundError"):
        return "; --python measures with the interpreter that has it"
    return _crash_words(failure.stack) if failure.reason == "signal" else ""


def _crash_words(stack: tuple[str, ...]) -> str:
    """Say what the thread that crashed was doing: `` in link (bin.py:113), in another thread than the calls``."""
    heads = [number for number, line in enumerate(stack) if line.startswith(_CRASHED_THREAD)]
    if not heads:
        return ""
    lines = list(takewhile(str.strip, stack[heads[0] + 1 :]))
    frames = [frame for line in lines if not _OWN_FRAME.search(line) and (frame := _FRAME.match(line))]
    if not frames:
        return ""
    file, line_number, function = printable(frames[0][1]), frames[0][2], printable(frames[0][3])
    is_other = not any(_OWN_FRAME.search(line) for line in lines)
    place = f" in {function} ({PurePath(file).name}:{line_number})"
    return f"{place}, in another thread than the calls" if is_other else place


def phase_words(failure: Failure, noun: str = "call") -> str:
    """Say where it failed: ``call 12``, ``setup``."""
    return f"{noun} {format_count(failure.cycle)}" if failure.phase == "cycle" else failure.phase


def where_it_failed(failure: Failure, noun: str) -> str:
    """Say where it failed, to follow a verb: ``in call 12``, ``in setup``, ``before its first call``."""
    return f"before its first {noun}" if failure.phase == "start" else f"in {phase_words(failure, noun)}"
