"""What ``--mark`` puts into the environment of a watched program."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import soak.inside.marking.frameworks as frameworks
from soak.errors import UsageError

MARK_VARIABLE = "SOAK_MARK"
_PATH_VARIABLE = "PYTHONPATH"
_STARTUP = Path(frameworks.__file__).parent / "startup"
_DOTTED_NAME = re.compile(r"[^\W\d]\w*([.:][^\W\d]\w*)+")


def check_names(names: Sequence[str]) -> None:
    """Raise UsageError for a name that says nothing to mark."""
    for name in names:
        if name not in frameworks.FRAMEWORKS and not _DOTTED_NAME.fullmatch(name):
            known = ", ".join(frameworks.FRAMEWORKS)
            raise UsageError(f"--mark {name}: name one of {known}, or a function with its module: orders.jobs.handle")


def environment_that_marks(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Python marks the cycles that are named."""
    before = environment.get(_PATH_VARIABLE)
    path = str(_STARTUP) if not before else f"{_STARTUP}{os.pathsep}{before}"
    return {**environment, MARK_VARIABLE: ",".join(names), _PATH_VARIABLE: path}
