"""The columns of a matrix: every interpreter with every choice of package versions."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from soak.errors import UsageError


@dataclass(frozen=True)
class Column:
    """An interpreter, and what is installed for it."""

    python: str | None = None
    """As the user names it; None is soak's own."""
    requirements: tuple[str, ...] = ()
    """Empty: the interpreter as it is, without an environment of its own."""
    title: str = ""
    """In what it differs from the other columns: ``Python 3.12, numpy 2.4.0``; empty for the only column."""


def make_columns(pythons: Sequence[str], requirements: Iterable[str]) -> tuple[Column, ...]:
    """Combine interpreters with package versions.

    Requirements for one package (``numpy==2.3.1``, ``numpy==2.4.0``) are choices, and those for several packages are
    combined. Raises UsageError for what is no requirement, and for anything that is named twice.
    """
    choices: dict[str, list[str]] = {}
    for text in requirements:
        name = name_of(text)
        if text in choices.setdefault(name, []):
            raise UsageError(f"--with {text} is given twice")
        choices[name].append(text)
    for python in pythons:
        if pythons.count(python) > 1:
            raise UsageError(f"--python {python} is given twice")
    combined = list(itertools.product(*choices.values()))
    return tuple(Column(python, chosen) for python in pythons or (None,) for chosen in combined)


def with_titles(columns: Sequence[Column], versions: Mapping[str | None, str]) -> tuple[Column, ...]:
    """Return the columns, each with its title. ``versions``: ``3.12.4`` by interpreter, as far as they are known."""
    pythons = list(dict.fromkeys(column.python for column in columns))
    shared = set.intersection(*(set(column.requirements) for column in columns)) if columns else set()
    names = {python: _interpreter_name(python, pythons, versions) for python in pythons}

    def title(column: Column) -> str:
        varying = [requirement_words(each) for each in column.requirements if each not in shared]
        return ", ".join(([names[column.python]] if len(pythons) > 1 else []) + varying)

    return tuple(replace(column, title=title(column)) for column in columns)


def _interpreter_name(python: str | None, pythons: Sequence[str | None], versions: Mapping[str | None, str]) -> str:
    """Name an interpreter by as much of its version as no other has; where that is not enough, as the user does."""
    asked = python or "soak's own Python"
    version = versions.get(python, "")
    if not version:
        return asked
    minors = Counter(_minor(versions.get(each, "")) for each in pythons)
    if minors[_minor(version)] == 1:
        return f"Python {_minor(version)}"
    is_unique = [versions.get(each) for each in pythons].count(version) == 1
    return f"Python {version}" if is_unique else f"Python {version} ({asked})"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def requirement_words(requirement: str) -> str:
    """Return a requirement as a person would say it: ``numpy 2.4.0`` for ``numpy==2.4.0``."""
    version = version_of(requirement)
    return requirement if version == requirement else f"{Requirement(requirement).name} {version}"


def version_of(requirement: str) -> str:
    """Return the version that a requirement names: ``2.4.0``, ``>=2``; all of it where it names none."""
    return re.sub(r"^===?", "", str(Requirement(requirement).specifier)) or requirement


def name_of(requirement: str) -> str:
    """Return the name of the package that a requirement is for. Raises UsageError."""
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--with {requirement!r} is not a requirement such as numpy==2.4.0: {reason}") from error
