"""``%load_ext soak`` gives a notebook the cell magic ``%%soak``: the cell is one cycle, and is checked for leaks.

    %%soak --budget 20s
    import json
    json.loads('{"a": [1, 2, 3]}')

The cell runs in a fresh process, so it has nothing of the notebook: it imports and makes what it needs. With ``--here``
it runs in the notebook's own process, with the notebook's variables, and is judged by fewer counters.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from soak.api import CheckResult, check
from soak.errors import UsageError

_FILE, _FUNCTION = "cell.py", "cell"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%soak: {message}")


def load_ipython_extension(ipython: Any) -> None:
    """Give an IPython the magic; called by ``%load_ext soak``."""

    def soak(line: str, cell: str) -> CheckResult | None:
        """Run the cell many times, and say whether it leaks: --here, --budget 20s, --iterations N, --tolerance 1B."""
        try:
            return check_cell(line, cell, ipython.user_ns)
        except UsageError as error:
            print(f"soak: {error}")
            return None

    ipython.register_magic_function(soak, "cell", "soak")


def check_cell(line: str, cell: str, namespace: dict[str, Any]) -> CheckResult:
    """Check the code of a cell. Raises UsageError. ``line``: the options; ``namespace``: the notebook's variables."""
    options = _parser().parse_args(line.split())
    try:
        tree = ast.parse(cell)
    except SyntaxError as error:
        raise UsageError(f"%%soak: line {error.lineno} of the cell is not valid Python: {error.msg}") from None
    limits = {"budget": options.budget, "tolerance": options.tolerance, "iterations": options.iterations}
    given = {name: value for name, value in limits.items() if value is not None}
    if options.here:
        return check(_function_of(cell, namespace), isolate=False, name=_FUNCTION, **given)
    with tempfile.TemporaryDirectory(prefix="soak-cell-") as folder:
        file = Path(folder) / _FILE
        is_driver = any(isinstance(node, ast.FunctionDef) and node.name == "cycle" for node in tree.body)
        file.write_text(cell if is_driver else _as_function(cell), encoding="utf-8")
        target = str(file) if is_driver else f"{file}:{_FUNCTION}"
        return check(target, name=_FUNCTION, **given)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%%soak", add_help=False)
    parser.add_argument("--here", action="store_true")
    parser.add_argument("--budget")
    parser.add_argument("--tolerance")
    parser.add_argument("--iterations", type=int)
    return parser


def _as_function(cell: str) -> str:
    """Return a module with the cell as a function; line n of the cell is line n + 1."""
    return f"def {_FUNCTION}():\n{textwrap.indent(cell, '    ')}\n    return None\n"


def _function_of(cell: str, namespace: dict[str, Any]) -> Callable[[], None]:
    code = compile(cell, "<cell>", "exec")

    def run() -> None:
        exec(code, namespace)

    return run
