"""A condition on what a function makes itself has the same answer each time; one on what stays may be a bound."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from soak.attribution.causes import Call
from soak.attribution.keepers.finder import KeeperFinder

LOOP = Call(file="/x/soak/inside/loop.py", function="run", line=10)
MADE = "LIMIT, N = 5, 0\nMOST = 9\nKEPT = []\ndef rows(count=9):\n    return [bytes(n) for n in range(count)]\n"
CYCLE = "def cycle():\n    made = rows()\n    if {}:\n        KEPT.append(made)  # here\n"
SAME = {
    "a length": "len(made) > 5",
    "of two": "made and len(made[0]) < 3",
    "a type": "isinstance(made, list)",
    "what is made in it": "len(rows(3)) == 3",
    "a number that stays": "len(made) <= MOST",
    "none of them": "not [each for each in made if not each and 4 < 3]",
}
MAY_CHANGE = {
    "the container": "len(KEPT) < 400",
    "a variable of the module": "len(made) > N",
    "what is set more than once": "len(made) > LIMIT",
    "what is not known": "allowed(made)",
    "an attribute": "made.size",
    "a method": "made.count(9)",
}
CHANGES = {
    "it is passed on before": CYCLE.format("made").replace("    if", "    shorten(made)\n    if"),
    "it is set again": CYCLE.format("made").replace("    if", "    made = made[N:]\n    if"),
    "it is an argument": (
        "def cycle():\n    add(N < 400)\ndef add(made):\n    if made:\n        KEPT.append([9])  # here\n"
    ),
    "it is in a loop": (
        "def cycle():\n    made = rows()\n    for _ in rows():\n        if made:\n            KEPT.append(9)  # here\n"
        "        made.pop()\n"
    ),
    "its function reads a variable": CYCLE.format("made").replace("rows()", "few()")
    + "def few():\n    return [N][N:]\n",
    "its function is replaced": CYCLE.format("made") + "def stop():\n    global rows\n    rows = list\nHOOK = stop\n",
    "it is written like a built-in": CYCLE.format("len(made) > 5") + "def len(one):\n    return 400 - N\n",
}


def is_found(folder: Path, code: str, *, has_run: bool = True) -> bool:
    file = folder / "driver.py"
    file.write_text(MADE + code, encoding="utf-8")
    ast.parse(MADE + code)
    lines = (MADE + code).splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "# here" in text)
    frames = [Call(file=str(file), function="add" if "def add" in code else "cycle", line=line)]
    if "def add" in code:
        frames.append(Call(file=str(file), function="cycle", line=lines.index("    add(N < 400)") + 1))
    return KeeperFinder().find([*frames, LOOP], [str(file)], lambda *_: has_run) is not None


@pytest.mark.parametrize("test", SAME.values(), ids=SAME)
def test_a_condition_on_what_is_made_anew_is_no_bound_where_the_line_has_run(tmp_path: Path, test: str):
    assert is_found(tmp_path, CYCLE.format(test))
    assert not is_found(tmp_path, CYCLE.format(test), has_run=False)


@pytest.mark.parametrize("test", MAY_CHANGE.values(), ids=MAY_CHANGE)
def test_a_condition_on_anything_else_may_be_a_bound(tmp_path: Path, test: str):
    assert not is_found(tmp_path, CYCLE.format(test))


@pytest.mark.parametrize("code", CHANGES.values(), ids=CHANGES)
def test_so_may_one_on_what_something_else_may_change(tmp_path: Path, code: str):
    assert not is_found(tmp_path, code)
