"""What a setting switches on only grows where the setting is for ever and its lines have run; else nothing is said."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_keepers import OURS, stack_of

from soak.attribution.keepers.code.flows import may_be_added
from soak.attribution.keepers.finder import KeeperFinder
from soak.grounds import Keeper


def has_run(_file: str, _first: int, _last: int) -> bool:
    return True


def has_not_run(_file: str, _first: int, _last: int) -> bool:
    return False


def find(folder: Path, code: str, has_kept=has_run, others: dict[str, str] | None = None) -> Keeper | None:
    """Look for a keeper on the stack of the marked lines, as `test_keepers` does."""
    texts = {"driver.py": code, **(others or {})}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    stack = stack_of(str(folder / "driver.py"), code)
    return KeeperFinder().find([*stack, OURS], [str(folder / name) for name in texts], has_kept)


def player(condition: str, made: str = "self.mode = mode", more: str = "", before: str = "") -> str:
    """Return a driver whose object keeps what it made before, on a condition."""
    before = f"        {before}\n" if before else ""
    return (
        "class Mode:\n    KEEP = 'keep'\n"
        f"class Player:\n    def __init__(self, mode: str, keeps: bool):\n        self.kept = []\n        {made}\n"
        f"    def add(self):\n        one = bytes(9)  # 1\n{before}        if {condition}:\n"
        "            self.kept.append(one)\n"
        f"{more}"
        "def setup() -> 'Player':\n    return Player(Mode.KEEP, True)\n"
        "def cycle(player: Player):\n    player.add()  # 2\n"
    )


FOR_EVER = {
    "a mode": player("self.mode is Mode.KEEP"),
    "a text": player("self.mode == 'keep'"),
    "two of them": player("not self.keeps and self.mode != 'keep'", "self.mode, self.keeps = mode, keeps"),
    "a flag": player("self.keeps", "self.keeps = keeps"),
    "a flag that is compared": player("self.keeps", "self.keeps = mode == 'keep'"),
    "by a name of the function": player("mode is Mode.KEEP", before="mode = self.mode"),
    "a constant of the module": "KEEPS = True\n" + player("KEEPS"),
    "an end of the function in another mode": player("self.keeps", "self.keeps = self.mode = keeps").replace(
        "        if self.keeps:\n",
        "        if self.keeps is None:\n            return\n        if self.keeps is not None:\n",
    ),
}
MAY_CHANGE = {
    "set again": player("self.mode is Mode.KEEP", more="    def stop(self):\n        self.mode = None\n"),
    "set by who has the object": player("self.mode is Mode.KEEP", more="def stop(one):\n    one.mode = None\n"),
    "set by its name as a text": player("self.mode is Mode.KEEP", more="def stop(one):\n    setattr(one, 'mode', 0)\n"),
    "deleted": player("self.mode is Mode.KEEP", more="    def stop(self):\n        del self.mode\n"),
    "what may be emptied": player("self.rest", "self.rest = list(mode)"),
    "how many there are": player("len(self.kept) < 400"),
    "another number each time": player("self.mode == self.other", "self.mode, self.other = mode, keeps"),
    "one that counts": player("self.n < 400", "self.n = 0"),
    "a name that is set again": player("mode is Mode.KEEP", before="mode = self.mode; mode = mode if bytes() else 0"),
    "a constant that another function sets": "KEEPS = True\n"
    + player("KEEPS", more="def stop():\n    global KEEPS\n    KEEPS = False\n"),
    "of each object's own": player("self.mode is Mode.KEEP").replace("player.add()", "Player(1, 2).add()"),
    "asked for beside something else": player("self.mode is Mode.KEEP and one not in self.kept"),
}


@pytest.mark.parametrize("code", FOR_EVER.values(), ids=FOR_EVER)
def test_a_setting_that_is_for_ever_is_no_bound_where_its_lines_have_run(tmp_path: Path, code: str):
    found = find(tmp_path, code)

    assert found is not None
    assert (found.name, "append" in code.splitlines()[found.line - 1]) == ("self.kept", True)


@pytest.mark.parametrize("code", FOR_EVER.values(), ids=FOR_EVER)
def test_what_a_setting_switches_off_keeps_nothing(tmp_path: Path, code: str):
    assert find(tmp_path, code, has_not_run) is None
    assert find(tmp_path, code, None) is None


@pytest.mark.parametrize("code", MAY_CHANGE.values(), ids=MAY_CHANGE)
def test_a_condition_that_may_change_may_be_a_bound(tmp_path: Path, code: str):
    assert find(tmp_path, code) is None


@pytest.mark.parametrize(
    "other",
    [
        "def stop(player):\n    player.mode = None\n",
        "import driver\ndef stop(player):\n    vars(player)['mode'] = None\n",
        "class Other:\n    def stop(self):\n        self.mode = None\n",
    ],
)
def test_another_file_may_change_a_setting(tmp_path: Path, other: str):
    code = FOR_EVER["a mode"]

    assert find(tmp_path, code, others={"other.py": "def show(player):\n    print(player.mode)\n"}) is not None
    assert find(tmp_path, code, others={"other.py": other}) is None


def test_what_stands_on_the_stack_has_run_so_its_setting_is_on(tmp_path: Path):
    code = (
        player("self.mode is Mode.KEEP")
        .replace("            self.kept.append(one)\n", "            self.keep()  # 2\n")
        .replace("one = bytes(9)  # 1", "one = 5")
        .replace("player.add()  # 2", "player.add()  # 3")
    )
    code = code.replace("def setup", "    def keep(self):\n        self.kept.append(bytes(9))  # 1\ndef setup")

    assert find(tmp_path, code, has_not_run) is not None


@pytest.mark.parametrize(
    ("other", "is_found"),
    [
        ("from driver import Player\ndef play(song):\n    Player(song, True).add()\n", True),
        ("from driver import Player\ndef play(song):\n    Player(song, True).add()\nplay(5)\n", False),
        ("from driver import Player\n@command\ndef play(song):\n    Player(song, True).add()\n", False),
        ("from driver import Player\nclass Other:\n    def play(self):\n        self.player = Player(1, 2)\n", False),
        ("from driver import Player\nPLAYER: Player\ndef show(one: Player) -> 'Player': ...\n", True),
    ],
)
def test_a_function_that_nothing_calls_makes_no_second_object(tmp_path: Path, other: str, is_found: bool):
    assert (find(tmp_path, FOR_EVER["a mode"], others={"other.py": other}) is not None) is is_found


@pytest.mark.parametrize(("added", "may_be"), [("last", True), ("self.now", True), ("self.name", False)])
def test_what_the_cycle_before_has_set_may_be_added(added: str, *, may_be: bool):
    code = f"def add(self):\n    last = self.now\n    self.now = bytes(9)\n    self.kept.append({added})\n"
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    addition = function.body[-1]
    assert isinstance(addition, ast.Expr)

    assert may_be_added(addition.value, function, 3) is may_be
