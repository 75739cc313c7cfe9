"""How the expression of a holder is written."""

from __future__ import annotations

import re

_OF_FUNCTION = re.compile(r"(\w+)( of [\w<>]+)([.\[].*)", re.DOTALL)


def as_function_names_it(expression: str) -> str:
    """Return the expression of what a local variable leads to as its function has it: ``self.inbox of consume``."""
    return _OF_FUNCTION.sub(r"\1\3\2", expression)
