"""Records as plain JSON values, and back: what is stored, drawn and exported is one thing.

A document may be another's, or damaged. So the types of all values are checked where it is read, and nobody who uses a
record meets text for a number, or infinity.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from soak.results import Cause, MemoryKind, Place, RunResult

Record = typing.TypeVar("Record")
FAULTS = (KeyError, TypeError, ValueError, AttributeError)
"""What `parse` and `from_document` raise for a document that is something else."""
_DEEPEST = 64
_LARGEST_NUMBER = 2.0**100
_PLAIN = frozenset({int, float, str, bool})


@dataclass(frozen=True)
class _Budget:
    budget_s: float | None = None
    iterations: int | None = None


@dataclass(frozen=True)
class _Settings:
    """What soak itself takes from the settings of a run, which may have anything else."""

    components: dict[str, _Budget] = field(default_factory=dict)
    known: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Environment:
    """What soak itself takes from the environment of a run."""

    memory_bytes: float | None = None
    processors: float | None = None


def to_document(record: Any) -> dict[str, Any]:
    """Turn a record into plain JSON values."""
    return dataclasses.asdict(record)


def parse(text: str | bytes) -> Any:
    """Return what JSON text says. Raises ValueError if it is none, is nested deeply, or has an infinite number."""
    try:
        document = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [document]
    for _ in range(_DEEPEST):
        level = [inner for value in level if isinstance(value, dict | list) for inner in _values(value)]
    if level:
        raise ValueError("it is nested too deeply")
    return document


def with_finite_numbers(value: Any) -> Any:
    """Return a value in which each number that is infinite or none stands as text: JSON has no such numbers."""
    if isinstance(value, dict):
        return {key: with_finite_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_finite_numbers(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _values(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def from_document(kind: type[Record], document: Any) -> Record:
    """Build a record from plain JSON values.

    Unknown fields are ignored and missing ones take their default, so documents of later and earlier versions of the
    same schema can be read. Raises one of `FAULTS` when the document is something else.
    """
    return typing.cast("Record", _build(kind, document))


def _build(kind: Any, value: Any) -> Any:  # a case for each kind
    if kind in _PLAIN:  # most values of a run are
        return _checked(kind, value)
    origin, arguments = _parts(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _build(next(option for option in arguments if option is not types.NoneType), value)
    if origin is tuple:
        return _build_tuple(arguments, value)
    if origin is dict:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _build_record(typing.cast("type", kind), value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return _checked(kind, value)


def _build_record(kind: type, value: Any) -> Any:
    if kind is Place and isinstance(value, str):
        return Place(value, None, None)  # as earlier versions wrote it
    if not isinstance(value, Mapping):
        raise TypeError(f"{_shown(value)} is not a record")
    if kind is RunResult:
        _build(_Settings, value.get("settings", {}))
        _build(_Environment, value.get("environment", {}))
    value = _with_records(value) if kind is Cause else value
    hints = _type_hints(kind)
    return kind(**{f.name: _build(hints[f.name], value[f.name]) for f in dataclasses.fields(kind) if f.name in value})


@functools.cache
def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what a type is made of: ``tuple[int, ...]`` of tuple with int and ``...``."""
    return typing.get_origin(kind), typing.get_args(kind)


@functools.cache
def _type_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build_tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{_shown(value)} is not a list")
    if kinds[-1] is Ellipsis:
        return tuple(_build(kinds[0], item) for item in value)
    return tuple(_build(kind, item) for kind, item in zip(kinds, value, strict=True))


def _checked(kind: Any, value: Any) -> Any:
    """Return a plain value of its kind; a number of either kind for a number."""
    if kind in (int, float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= _LARGEST_NUMBER:
            raise TypeError(f"{_shown(value)} is not a number")
    elif kind in (str, bool) and not isinstance(value, kind):
        raise TypeError(f"{_shown(value)} is not a {'text' if kind is str else 'true or false value'}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _with_records(cause: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a cause with the records that earlier versions wrote as lines of text."""
    held_by = [{"kind": MemoryKind.TEXT, "name": line} for line in cause.get("held_by", ())]
    return {"frames": cause.get("stack", ()), "memory_path": held_by, **cause}
