"""Caches that hold growing memory: a bounded one that fills is no leak, whatever the series say; its twins are."""

from __future__ import annotations

from pathlib import Path

import pytest
from attribution_builder import N_MIN, interpreter_of, soak_text

from soak.grounds import HoldingCache
from soak.reporting.words import advise, held_by, why_words
from soak.results import ComponentResult
from soak.verdict import Verdict

# A stale word that looks like a pointer leaves a scan undecided now and then, which no single run can rule out.
pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.long]

VERSIONS = ("3.8", "3.11", "3.13")
SOON = 128
"""An n_min that the run reaches, so that the rule says LEAK of all that grows at one rate."""

LRU = """
    import functools, itertools
    calls = itertools.count(1000)
    also_kept = []
    @functools.lru_cache(maxsize={maxsize})
    def lookup(number):
        return bytes(bytearray(number % 2 + 267))
    def cycle(state):
        answer = lookup(next(calls))
        {more}
"""

ENTRIES_GROW = """
    import functools, itertools
    calls = itertools.count()
    @functools.lru_cache(maxsize=1000)
    def history(camera):
        return []
    def cycle(state):
        history(next(calls) % 3).append(bytearray(100))
"""

DEQUE = """
    import collections
    recent = collections.deque(maxlen=50_000)
    def cycle(state):
        recent.append(bytearray(100))
"""

PATTERNS = """
    import itertools, re
    numbers = itertools.count()
    def cycle(state):
        re.compile("^(?:ab|c)%d+$" % next(numbers))
"""

CURSORS = """
    import sqlite3, itertools
    connections = [sqlite3.connect(":memory:", check_same_thread=False) for _ in range(10)]
    calls, kept = itertools.count(), []
    def cycle(state):
        connection = connections[next(calls) % 10]
        cursor = connection.execute("select 1")
        cursor.fetchall()
        {more}
"""

OTHERS = {"deque": (DEQUE, 600, "drive_it.recent", 50_000), "re": (PATTERNS, 400, "re._cache", 512)}


def holders(result: ComponentResult) -> list[HoldingCache]:
    return [cause.holder for cause in result.causes if cause.holder is not None]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("n_min", [SOON, N_MIN])
def test_a_cache_that_still_fills_is_settling_and_says_when_it_is_full(tmp_path: Path, version: str, n_min: int):
    """Before n_min, where nothing is decided, and after, where the rule says LEAK."""
    text = LRU.format(maxsize=5000, more="")

    result = soak_text(tmp_path, text, interpreter_of(version), n_min=n_min)

    assert (result.verdict, result.failure, result.iterations) == (Verdict.SETTLING, None, 600)
    assert set(holders(result)) == {HoldingCache("lru_cache", "drive_it.lookup", 5000, 600, 5000)}
    assert "of 5,000, drive_it.lookup, with 600 entries and full at about call 5,000, holds" in why_words(result)
    assert result.needed_iterations == max(n_min, 21_000) - 600


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_cache_is_clean_after_the_cycles_that_were_named(tmp_path: Path, version: str):
    """The same run, with the number of cycles that the report asked for."""
    text = LRU.format(maxsize=2000, more="")
    python = interpreter_of(version)

    filling = soak_text(tmp_path, text, python, n_min=SOON)
    assert filling.needed_iterations is not None
    full = soak_text(tmp_path, text, python, cycles=600 + filling.needed_iterations, n_min=SOON, checkpoint_every=40)

    assert (filling.verdict, full.verdict) == (Verdict.SETTLING, Verdict.CLEAN)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_held_by_something_else_too_is_a_leak(tmp_path: Path, version: str):
    """The cache is only one of two holders: when it is full, the other still grows."""
    text = LRU.format(maxsize=5000, more="also_kept.append(answer)")

    result = soak_text(tmp_path, text, interpreter_of(version), n_min=SOON)

    largest = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert result.verdict is Verdict.LEAK
    assert held_by(largest)[0].startswith("drive_it.also_kept, a list of ")
    assert largest.holder is None


def test_a_cache_whose_entries_grow_is_a_leak(tmp_path: Path):
    """It has room left, but it was not seen to fill."""
    result = soak_text(tmp_path, ENTRIES_GROW, n_min=SOON)

    assert result.verdict is Verdict.LEAK
    assert {(holder.capacity, holder.filled, holder.full_at_cycle) for holder in holders(result)} == {(1000, 3, None)}


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.13"])
@pytest.mark.parametrize(("more", "verdict"), [("pass", Verdict.SETTLING), ("kept.append(cursor)", Verdict.LEAK)])
def test_cursors_that_a_pool_of_connections_lists_are_no_leak_and_those_that_are_kept_are(
    tmp_path: Path, version: str, more: str, verdict: Verdict
):
    """CPython drops the weak references to dead cursors each 200: until then they look like a leak."""
    result = soak_text(tmp_path, CURSORS.format(more=more), interpreter_of(version), cycles=1000, n_min=SOON)

    assert result.verdict is verdict, why_words(result)
    if verdict is Verdict.SETTLING:
        assert {(holder.kind, holder.capacity) for holder in holders(result)} == {("sqlite3", 201)}


OWN = """
    import itertools
    calls, cache = itertools.count(), {{}}
    def put(key, value):
        {bound}
        cache[key] = value
    def cycle(state):
        put(next(calls), bytearray(200))
"""
EVICTS = "if len(cache) >= 1500: cache.pop(next(iter(cache)))"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("bound", "verdict"), [(EVICTS, Verdict.INCONCLUSIVE), ("pass", Verdict.LEAK)])
def test_a_dict_that_its_code_bounds_may_be_a_cache(tmp_path: Path, version: str, bound: str, verdict: Verdict):
    """Nothing but the code knows its bound. The run that the report asks for shows that it is a cache."""
    text, python = OWN.format(bound=bound), interpreter_of(version)

    found = soak_text(tmp_path, text, python, n_min=SOON)

    assert found.verdict is verdict, why_words(found)
    if verdict is Verdict.INCONCLUSIVE:
        assert HoldingCache("dict", "drive_it.cache", 1500, 600, 1500, is_bounded_by_code=True) in holders(found)
        assert found.needed_iterations is not None
        full = soak_text(tmp_path, text, python, cycles=600 + found.needed_iterations, n_min=2550, checkpoint_every=40)
        assert full.verdict is Verdict.CLEAN


def test_an_unbounded_cache_is_a_leak_and_wants_a_bound(tmp_path: Path):
    result = soak_text(tmp_path, LRU.format(maxsize=None, more=""), n_min=SOON)

    assert result.verdict is Verdict.LEAK
    assert set(holders(result)) == {HoldingCache("lru_cache", "drive_it.lookup", None, 600, None)}
    assert any("an lru_cache without a bound, drive_it.lookup" in advise(cause) for cause in result.causes)
    assert any("Give it a maxsize" in advise(cause) for cause in result.causes)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OTHERS)
def test_other_bounded_caches_are_known_too(tmp_path: Path, name: str, version: str):
    text, cycles, holder_name, capacity = OTHERS[name]

    result = soak_text(tmp_path, text, interpreter_of(version), cycles=cycles, n_min=SOON)

    named = {(holder.kind, holder.name, holder.capacity) for holder in holders(result)}
    assert (name, holder_name, capacity) in named
    # What 3.8 keeps beside each code object grows for a while as well.
    assert result.verdict is Verdict.SETTLING or (version, name) == ("3.8", "re"), why_words(result)


IMPORTS = """
    import importlib, itertools, os, sys, tempfile
    temporary = tempfile.TemporaryDirectory(); folder = temporary.name
    numbers = itertools.count()
    def write(number):
        with open(os.path.join(folder, "lazy_%d.py" % number), "w") as file:
            file.write("TABLE = {{key: [key] for key in range(8)}}\\n")
    for number in range({written}):
        write(number)
    sys.path.insert(0, folder)
    def cycle(state):
        number = next(numbers)
        {before}
        importlib.invalidate_caches()
        importlib.import_module("lazy_%d" % number)
"""


@pytest.mark.parametrize(
    ("written", "before", "verdict"), [(800, "pass", Verdict.SETTLING), (0, "write(number)", Verdict.LEAK)]
)
def test_modules_that_are_imported_lazily_settle_and_those_that_cycles_write_leak(
    tmp_path: Path, written: int, before: str, verdict: Verdict
):
    result = soak_text(tmp_path, IMPORTS.format(written=written, before=before), n_min=SOON)

    assert result.verdict is verdict, why_words(result)
    assert ("imported for the first time" in why_words(result)) is (verdict is Verdict.SETTLING)
