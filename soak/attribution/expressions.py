"""How the expression of a holder is written."""

from __future__ import annotations

import re

_OF_FUNCTION = re.compile(r"(\w+)( of [\w<>]+)([.\[].*)", re.DOTALL)
_NOT_WRITTEN = re.compile(r"->(?=[.\[]|->|$)")


def without_arrows(expression: str) -> str:
    """Return an expression without the steps that source code cannot write: ``.cache inside app.view``."""
    outside, *inside = _NOT_WRITTEN.split(expression)
    return f"{inside[-1]} inside {outside}".lstrip() if inside else expression


def as_function_names_it(expression: str) -> str:
    """Return the expression of what a local variable leads to as its function has it: ``self.inbox of consume``."""
    return _OF_FUNCTION.sub(r"\1\3\2", expression)
