"""%%soak checks a cell of a notebook, in a fresh process or in the notebook's own."""

from __future__ import annotations

from typing import Any

import pytest

import soak
from soak.errors import UsageError
from soak.notebook import check_cell

LEAK = """
import builtins
if not hasattr(builtins, "kept_by_cells"):
    builtins.kept_by_cells = []
builtins.kept_by_cells.append(bytearray(1000))
"""


class Notebook:
    """What the magic needs of IPython."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {"kept": []}
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, kind: str, name: str) -> None:
        self.magics[f"{kind}:{name}"] = function


def test_the_extension_gives_the_notebook_its_magic():
    notebook = Notebook()

    soak.load_ipython_extension(notebook)
    result = notebook.magics["cell:soak"]("--here --iterations 600", "kept.append(bytearray(1000))")

    assert (result.name, result.verdict) == ("cell", "LEAK")
    assert len(notebook.user_ns["kept"]) >= result.iterations > 100  # the verdict may stand before cycle 600


def test_a_cell_that_leaks_in_a_fresh_process_has_its_line_and_is_shown_as_html():
    result = check_cell("--iterations 2200", LEAK, {})
    shown = result._repr_html_()

    assert result.verdict == "LEAK"
    assert result.causes[0].python_where is not None
    assert result.causes[0].python_where.line == 6  # the fifth line of the cell
    assert shown.startswith('<div><strong style="color:#b3261e">')
    assert "cell.py:6" in shown
    assert "&lt;" not in result.name


def test_a_cell_with_a_function_cycle_is_a_driver():
    cell = "def setup():\n    return []\n\ndef cycle(state):\n    state.append(bytearray(500))\n"

    assert check_cell("--iterations 2200", cell, {}).verdict == "LEAK"


@pytest.mark.parametrize(
    ("line", "cell", "said"),
    [("--loud", "pass", "--loud"), ("", "%matplotlib inline", "line 1 of the cell is not valid Python")],
)
def test_what_cannot_be_checked_is_refused_in_one_line(line: str, cell: str, said: str):
    with pytest.raises(UsageError, match=said):
        check_cell(line, cell, {})
