"""A function's cache without a bound only grows where each call has a new key; else it may be full one day."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.attribution.causes import Call
from soak.attribution.keepers.finder import KeeperFinder

LOOP = Call(file="/x/soak/inside/loop.py", function="run", line=10)
MADE = "import functools, itertools, time\nIDS = itertools.count()\nclass Thing:\n    pass\n"
CALL = "def cycle():\n    load(next(IDS))  # here\n"
CACHED = MADE + "@functools.cache\ndef load(key):\n    return bytes(9)\n"
METHOD = (
    MADE + "class Own:\n    @functools.lru_cache(None)\n    def load(self):\n        return bytes(9)\nOWN = Own()\n"
)
GROWS = {
    "cache": CACHED + CALL,
    "lru_cache(None)": CACHED.replace("cache\n", "lru_cache(None)\n") + CALL,
    "lru_cache by name": CACHED.replace("cache\n", "lru_cache(maxsize=None, typed=True)\n") + CALL,
    "imported": "from functools import cache\n" + CACHED.replace("functools.cache", "cache") + CALL,
    "the time": CACHED + CALL.replace("next(IDS)", "9, now=time.time()"),
    "a new object": CACHED + CALL.replace("next(IDS)", "Thing()"),
    "a method of a new object": METHOD + CALL.replace("load(next(IDS))", "Own().load()"),
    "asked for its size": CACHED + CALL + "    print(load.cache_info())\n",
}
MAY_BE_FULL = {
    "of a size": CACHED.replace("cache\n", "lru_cache(500)\n") + CALL,
    "of the usual size": CACHED.replace("cache\n", "lru_cache\n") + CALL,
    "of another cache": "from cachetools import cache\n" + CACHED.replace("functools.cache", "cache") + CALL,
    "few keys": CACHED + CALL.replace("next(IDS)", "next(IDS) % 500"),
    "a key that nobody knows": CACHED + CALL.replace("next(IDS)", "IDS"),
    "an object that stays": METHOD + CALL.replace("load(next(IDS))", "OWN.load()"),
    "emptied": CACHED + CALL + "def flush():\n    load.cache_clear()\nHOOK = flush\n",
    "on a condition": CACHED + CALL.replace("    load", "    if load.cache_info().currsize < 500:\n        load"),
    "handed on": CACHED + CALL + "import atexit\natexit.register(print, load)\n",
    "replaced": CACHED
    + CALL
    + "def renew():\n    global load\n    load = functools.cache(load.__wrapped__)\nHOOK = renew\n",
}


def find(folder: Path, code: str, *, is_of_table: bool = True) -> str | None:
    file = folder / "driver.py"
    file.write_text(code, encoding="utf-8")
    line = next(number for number, text in enumerate(code.splitlines(), 1) if "# here" in text)
    stack = [Call(file=str(file), function="cycle", line=line), LOOP]
    found = KeeperFinder().find(stack, [str(file)], is_of_table=is_of_table)
    assert found is None or (found.file, found.line) == (str(file), line)
    return None if found is None else found.name


@pytest.mark.parametrize("code", GROWS.values(), ids=GROWS)
def test_a_cache_without_a_bound_only_grows_where_each_call_has_a_new_key(tmp_path: Path, code: str):
    assert find(tmp_path, code) == "the cache of load"


@pytest.mark.parametrize("code", MAY_BE_FULL.values(), ids=MAY_BE_FULL)
def test_nothing_is_said_of_a_cache_that_may_be_full_one_day(tmp_path: Path, code: str):
    assert find(tmp_path, code) is None


def test_what_a_cached_function_allocates_may_be_dropped_so_only_its_table_tells(tmp_path: Path):
    assert find(tmp_path, CACHED + CALL, is_of_table=False) is None


def test_of_a_table_only_the_line_that_allocated_it_tells(tmp_path: Path):
    code = "KEPT = []\nCACHE = {}\ndef cycle():\n    one = bytes(9)\n    CACHE[9] = one  # here\n    KEPT.append(one)\n"

    assert find(tmp_path, code) is None
