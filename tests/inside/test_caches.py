"""Caches among the objects of a process, and what only they hold."""

from __future__ import annotations

import asyncio
import collections
import functools
import gc
import linecache
import queue
import re
import sqlite3
import sys
import types
import weakref

import pytest

from soak.inside.objects import answers, caches, holders


class Thing:
    pass


@pytest.fixture(autouse=True)
def _from_the_state_only(monkeypatch: pytest.MonkeyPatch):
    """Start only from the state: a test process has more modules and variables than a walk has time for."""
    monkeypatch.setattr(holders, "_variables", lambda frame: [])
    monkeypatch.setattr(holders, "_modules", list)
    monkeypatch.setattr(holders, "_of_interpreter", list)


def make_cached(maxsize: int | None):
    @functools.lru_cache(maxsize=maxsize)
    def make(number: int) -> Thing:
        return Thing()

    return make


def walk_to(state: object, *targets: object) -> holders.Walk:
    walk = holders.Walk({id(target): id(type(target)) for target in targets})
    walk.go([("the state", state)])
    return walk


def test_each_kind_of_cache_is_told_with_its_bound_and_its_entries():
    make = make_cached(100)
    make(1)
    things = weakref.WeakValueDictionary({1: make(1)})
    describe = caches.Recogniser().describe

    kind, name, capacity, entries = describe(make) or ("", "", 0, 0)
    assert (kind, capacity, entries) == ("lru_cache", 100, 1)
    assert name == f"{__name__}.make_cached.<locals>.make"
    assert (describe(make_cached(None)) or ())[2:] == (caches.NO_BOUND, 0)
    assert describe(collections.deque([1, 2], maxlen=5)) == ("deque", "", 5, 2)
    assert describe(things) == ("WeakValueDictionary", "", caches.NO_BOUND, 1)
    assert describe(weakref.WeakSet([make])) == ("WeakSet", "", caches.NO_BOUND, 1)
    assert describe(weakref.WeakKeyDictionary({make: 1})) == ("WeakKeyDictionary", "", caches.NO_BOUND, 1)
    assert describe(re._cache) == ("re", "re._cache", re._MAXCACHE, len(re._cache))  # type: ignore[attr-defined]
    assert describe(linecache.cache) == ("linecache", "linecache.cache", caches.NO_BOUND, len(linecache.cache))
    assert [describe(other) for other in (collections.deque(), {}, Thing(), len)] == [None] * 4


def test_the_cursors_that_a_connection_of_sqlite3_lists_are_bounded_and_what_else_it_holds_is_not():
    """A clean pool of connections was a leak of dead weak references, which CPython drops each 200 cursors."""
    kept = [Thing()]
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.row_factory = lambda cursor, row: kept
    for _ in range(5):
        connection.execute("select 1").fetchall()
    (cursors,) = [held for held in gc.get_referents(connection) if type(held) is list and len(held) == 5]
    walk = walk_to({"pool": [connection]}, cursors[3], kept)
    at = {id(target): position for target, position in walk.arrived}

    counted, said = walk.cache_of(at[id(cursors[3])]) or (None, None)

    assert (counted, said) == (connection, ("sqlite3", "the state['pool'][0]", 201, 5))
    assert [target for target, _ in walk.arrived[: walk.direct]] == [kept]  # behind the factory of rows
    assert walk.cache_of(at[id(kept)]) is None


@pytest.mark.parametrize("others", [0, 5, 150])
def test_a_connection_is_watched_though_it_makes_a_new_list_when_it_drops_what_is_dead(others: int):
    connection = sqlite3.connect(":memory:")
    for _ in range(others):
        connection.execute("select 1").fetchall()

    def run(most: int) -> int:
        for _ in range(2 * most):
            connection.execute("select 1").fetchall()
        return most

    assert answers._watch_filling({7: connection}, run) == {7: (16, 8)}


def test_caches_of_cachetools_are_told_without_running_their_code(monkeypatch: pytest.MonkeyPatch):
    class Cache:
        def __init__(self) -> None:
            self.__maxsize, self.__currsize = 3000, 7

        @property
        def maxsize(self) -> int:
            raise AssertionError("asked")

    class LRUCache(Cache):
        pass

    cachetools = types.ModuleType("cachetools")
    cachetools.Cache = Cache  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cachetools", cachetools)

    assert caches.Recogniser().describe(LRUCache()) == ("cachetools", "", 3000, 7)


def test_what_only_a_bounded_cache_holds_is_found_last_and_the_cache_named():
    make = make_cached(100)
    mine, shared = make(1), make(2)
    walk = walk_to({"make": make, "shared": [shared]}, mine, shared)
    found = {id(target): position for target, position in walk.arrived}

    cache, said = walk.cache_of(found[id(mine)]) or (None, None)

    assert [id(target) for target, _ in walk.arrived[: walk.direct]] == [id(shared)]
    assert walk.is_complete
    assert cache is make
    assert said == ("lru_cache", f"{__name__}.make_cached.<locals>.make", 100, 2)
    assert walk.cache_of(found[id(shared)]) is None


@pytest.mark.parametrize("kind", [queue.Queue, queue.LifoQueue, queue.PriorityQueue, asyncio.Queue])
def test_a_queue_with_a_bound_is_a_cache_and_one_without_is_none(kind: type):
    bounded, unbounded = kind(300), kind()
    things = [(number, bytearray(2)) for number in range(3)]
    for thing in things:
        bounded.put_nowait(thing)
        unbounded.put_nowait(thing)
    walk = walk_to({"jobs": bounded}, things[1])

    assert walk.direct == 0
    assert (walk.cache_of(walk.arrived[0][1]) or (None, ()))[1] == ("Queue", "the state['jobs']", 300, 3)
    assert caches.Recogniser().describe(unbounded) is None


def test_an_unbounded_cache_is_a_holder_like_any_other():
    make = make_cached(None)
    thing = make(1)
    walk = walk_to({"make": make}, thing)

    assert walk.direct == 1
    assert (walk.cache_of(walk.arrived[0][1]) or (None, ()))[1][2:] == (caches.NO_BOUND, 1)


def test_a_cache_without_a_name_of_its_own_is_named_by_the_way_to_it():
    thing = Thing()
    walk = walk_to({"recent": collections.deque([thing], maxlen=5)}, thing)

    assert (walk.cache_of(walk.arrived[0][1]) or (None, ()))[1] == ("deque", "the state['recent']", 5, 1)


@pytest.mark.parametrize(("also_held", "expected"), [(1, 1), (3, 0)])
def test_the_variable_that_holds_most_of_some_objects_is_told(also_held: int, expected: int):
    """A frame that each merge makes of a base has a part of the base, which is no part of the growth."""
    things = [Thing() for _ in range(4)]
    module = types.ModuleType("program")
    module.BASE, module.KEPT = things[:also_held], [[thing] for thing in things]  # type: ignore[attr-defined]
    walk = walk_to(module, *things)
    found = {id(target): position for target, position in walk.arrived}

    assert walk.most_alike([found[id(thing)] for thing in things]) == expected


@pytest.mark.parametrize("with_room", [None, 0, 3, 6])
def test_of_many_caches_one_that_has_room_is_told(with_room: int | None):
    """Forty instances with an lru_cache(50) each were a leak while the last of them filled."""
    things = [Thing() for _ in range(7)]
    recent = [collections.deque([thing], maxlen=5 if number == with_room else 1) for number, thing in enumerate(things)]
    samples = [(id(thing), id(Thing)) for thing in things]

    found = answers._look_for([(7, samples)], [("the state", recent)], lambda most: 0, lambda address: 0, None)

    (_, _, cache, is_only_cache), *_ = found["chains"]
    assert is_only_cache
    assert cache[:3] == (
        "deque",
        f"the state[{6 if with_room is None else with_room}]",
        5 if with_room is not None else 1,
    )


@pytest.mark.parametrize(
    ("maxlen", "per_cycle", "gained", "cycles"), [(100, 1, 8, 8), (100, 4, 32, 8), (5, 1, 4, 8), (100, 0, 0, 1024)]
)
def test_a_cache_is_watched_until_it_is_known_how_fast_it_fills(maxlen: int, per_cycle: int, gained: int, cycles: int):
    """Or until it is full, or so long that it clearly does not fill."""
    recent = collections.deque([0], maxlen=maxlen)

    def run(most: int) -> int:
        recent.extend([1] * most * per_cycle)
        return most

    assert answers._watch_filling({7: recent}, run) == {7: (gained, cycles)}


def test_a_cache_is_not_watched_where_no_more_cycles_are_allowed():
    assert answers._watch_filling({7: collections.deque(maxlen=5)}, lambda most: 0) == {7: (0, 0)}
