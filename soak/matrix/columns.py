"""The columns of a matrix: every interpreter with every choice of package versions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def name_of(requirement: str) -> str:
    """Return the name of the package that a requirement is for. Raises UsageError."""
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--with {requirement!r} is no requirement, such as numpy==2.4.0: {reason}") from error
