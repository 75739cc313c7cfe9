"""Containers that take over the memory of others: innocent lines free some, and the last line keeps a new one.

Each function is a cycle. `keep` keeps what it is given. Only the line marked `kept` leaks.
"""

import collections


def dict_with_keys(keep):
    {"x": 1, "y": [1]}.copy()
    dict(x=2)
    keep({"a": 1, "b": 2})  # kept


def dict_empty(keep):
    [{} for _ in range(3)].clear()
    keep({})  # kept


def dict_by_call(keep):
    {"x": 1}.copy()
    keep(dict(a=1))  # kept


def dict_by_comprehension(keep):
    {"x": 1}.copy()
    keep({str(i): i for i in range(3)})  # kept


def dict_copied(keep):
    source = {"x": 1, "y": 2}
    dict(source)
    keep(dict(source))  # kept


def dict_that_outgrew_its_keys(keep):
    grown = {}
    for i in range(20):
        grown[i] = i
    del grown
    keep({1: 1})  # kept


def dict_filled_later(keep):
    {"x": 1}.copy()
    later = {}  # kept
    {"y": 1}.copy()
    later["a"] = 1
    keep(later)


def dict_ordered(keep):
    collections.OrderedDict(x=1).copy()
    {"x": 1}.copy()
    keep(collections.OrderedDict(a=1))  # kept


def dict_with_default(keep):
    {"x": 1}.copy()
    keep(collections.defaultdict(int, a=1))  # kept


def dict_of_an_instance(keep):
    Plain(1).value = 2
    {"x": 1}.copy()
    keep(Plain(3))  # kept


def list_literal(keep):
    [1, 2, 3].reverse()
    [4].clear()
    keep([5, 6])  # kept


def list_empty(keep):
    [1].clear()
    keep([])  # kept


def list_by_comprehension(keep):
    [i for i in range(3)].clear()
    keep([i for i in range(3)])  # kept


def list_slice(keep):
    source = [1, 2, 3]
    source[:2].clear()
    keep(source[1:])  # kept


def list_sorted(keep):
    sorted("cab").clear()
    keep(sorted("cab"))  # kept


def tuple_of_1(keep):
    tuple([keep])
    keep((keep,))  # kept


def tuple_of_2(keep):
    tuple([keep] * 2)
    keep((keep, keep))  # kept


def tuple_of_3(keep):
    tuple([keep] * 3)
    keep((keep, keep, keep))  # kept


def tuple_of_8(keep):
    tuple([keep] * 8)
    keep(tuple([keep] * 8))  # kept


def tuple_of_19(keep):
    tuple([keep] * 19)
    keep(tuple([keep] * 19))  # kept


def tuple_of_20(keep):
    tuple([keep] * 20)
    keep(tuple([keep] * 20))  # kept


def tuple_with_names(keep):
    Point(1, keep)
    tuple([keep] * 2)
    keep(Point(2, keep))  # kept


def set_literal(keep):
    {1, keep}.clear()
    keep({2, keep})  # kept


def set_frozen(keep):
    frozenset([1, 2])
    keep(frozenset([1, 2]))  # kept


def nested(keep):
    {"a": [1, (keep, 2.5)], "b": {"c": [keep]}}.copy()
    keep({"a": [1, (keep, 2.5)], "b": {"c": [keep]}})  # kept


class Plain:
    def __init__(self, value):
        self.value = value  # kept


Point = collections.namedtuple("Point", "x y")
