"""A function of the driver's file that nothing calls bounds no container; one that anything may reach does."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.attribution.causes import Call
from soak.attribution.keepers.finder import KeeperFinder

OURS = Call(file="/x/soak/inside/loop.py", function="run", line=10)
CYCLE = "KEPT = []\ndef cycle():\n    KEPT.append(bytes(9))\n"
FLUSH = "def flush():\n    KEPT.clear()\n"


def is_kept(folder: Path, code: str, others: dict[str, str] | None = None) -> bool:
    """Whether the list of ``CYCLE`` is said to only grow, where ``others`` have run too."""
    files = {"driver.py": code, **(others or {})}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    stack = [Call(file=str(folder / "driver.py"), function="cycle", line=3), OURS]
    return KeeperFinder().find(stack, [str(folder / name) for name in files]) is not None


def test_what_nobody_calls_bounds_nothing(tmp_path: Path):
    assert is_kept(tmp_path, CYCLE + FLUSH)
    assert is_kept(tmp_path, CYCLE + "def repaired():\n    cycle()\n    del KEPT[:]\n")
    assert is_kept(tmp_path, CYCLE + FLUSH + "if __name__ == '__main__':\n    cycle()\n")


def test_what_another_file_may_do_without_the_name_is_not_its_call(tmp_path: Path):
    assert is_kept(tmp_path, CYCLE + FLUSH, {"other.py": "import json\nprint(getattr(json, 'loads', None))\n"})
    assert is_kept(tmp_path, CYCLE + FLUSH, {"lib/python3.11/json.py": "vars\n__import__\nflush()\n"})


@pytest.mark.parametrize(
    "more",
    [
        FLUSH + "def again():\n    flush()\n",
        FLUSH + "HOOKS = ['flush']\n",
        FLUSH + "HOOKS = ['driver:flush']\n",
        FLUSH + "HOOKS = list(vars().values())\n",
        FLUSH + "def again(name):\n    globals()[name]()\n",
        FLUSH + "import driver\ndef again(name):\n    getattr(driver, name)()\n",
        FLUSH + "import driver\ndef again(name):\n    getattr(driver, f'fl{name}')()\n",
        FLUSH + "import sys\nserve(sys.modules[__name__])\n",
        "import events\n@events.every(60)\n" + FLUSH,
        "def setup():\n    KEPT.clear()\n",
        "def teardown(state):\n    KEPT.clear()\n",
        "class Log:\n    def flush(self):\n        KEPT.clear()\n",
        "KEPT.clear()\n",
        "def __getattr__(name):\n    KEPT.clear()\n",
    ],
)
def test_what_may_be_called_may_be_a_bound(tmp_path: Path, more: str):
    assert not is_kept(tmp_path, CYCLE + more)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other.py", "import driver\n"),
        ("other.py", "def flush():\n    pass\n"),
        ("other.py", "def call(module, name):\n    getattr(module, name)()\n"),
        ("other.py", "MODULE = 'driver'\n"),
        ("lib/python3.11/site-packages/tasks.py", "from importlib import import_module\n"),
        ("lib/python3.11/site-packages/tasks.py", "def tick(module):\n    module.flush()\n"),
    ],
)
def test_what_another_file_may_call_may_be_a_bound(tmp_path: Path, name: str, text: str):
    assert not is_kept(tmp_path, CYCLE + FLUSH, {name: text})


def test_the_cycle_itself_is_called(tmp_path: Path):
    assert not is_kept(tmp_path, CYCLE + "    del KEPT[:-400]\n")
