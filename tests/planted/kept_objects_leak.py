"""Objects of some thirty types, in untracked tuples and dicts too, all of them kept: held, and no DECREF missing."""

import array
import collections
import ctypes
import datetime as dt
import decimal
import fractions
import functools
import itertools
import types
import weakref

EXPECTED = {"kind": "python-object", "state": "held", "holder": "kept_objects_leak.kept, a list"}
kept = []


class Thing:
    pass


class Slotted:
    __slots__ = ("__weakref__", "a")


Pair = collections.namedtuple("Pair", "a b")


def function(a):
    return lambda: a


def objects(n):
    """Return new objects, about thirty."""
    thing, slotted = Thing(), Slotted()
    thing.other, slotted.a = slotted, (n,)
    return (
        (bytes(50), f"text {n}", n * 1.5, n * 10**20, complex(n, 1), range(n)),
        {"a": bytearray(30), "b": frozenset((n, n + 1)), "c": dt.timedelta(n)},
        [thing, {n}, [n], {n: n}, Pair(n, n), function(n), function(n).__closure__, decimal.Decimal(n)],  # planted
        [fractions.Fraction(n, 7), array.array("d", [n]), memoryview(bytes(40)), collections.deque([n])],
        [functools.partial(function, n), weakref.ref(thing), thing.__init__, iter([n]), itertools.count(n)],
        [type("Kind", (), {}), {id(thing): thing}, (item for item in (n,))],
        [slice(n), types.SimpleNamespace(a=n), ValueError(n), ctypes.c_int(n), bytes, None, True, 5, ()],
    )


def cycle(state):
    kept.append(objects(len(kept) + 1000))
