"""Small objects that take over the memory of others: innocent lines free some, and the last line keeps a new one.

Each function is a cycle. `keep` keeps what it is given. Only the line marked `kept` leaks.
"""

import weakref


def float_by_arithmetic(keep):
    half = float(len("ab")) / 4
    half * 3.5
    keep(half * 4.5)  # kept


def float_by_arithmetic_at_once(keep):
    half = float(len("ab")) / 4
    (half + 1.25) * 2.5 - 3.75
    keep((half + 1.25) * 2.5 - 3.75)  # kept


def float_from_text(keep):
    float("1.5") + 2.5
    keep(float("2.5"))  # kept


def int_large(keep):
    big = 10**6 * len("ab")
    big + 1
    keep(big + 2)  # kept


def complex_number(keep):
    complex(1, 2)
    float("1.5")
    keep(complex(3, 4))  # kept


def text(keep):
    str(len("abc") * 12345)
    keep(str(len("abc") * 54321))  # kept


def bytes_object(keep):
    bytes([1, 2, 3])
    keep(bytes([4, 5, 6]))  # kept


def slice_object(keep):
    [1, 2, 3][len("a") :]
    slice(len("a"), 2)
    keep(slice(len("ab"), 3))  # kept


def range_object(keep):
    range(len("abc"))
    keep(range(len("ab")))  # kept


def list_iterator(keep):
    for _ in [1, 2]:
        pass
    keep(iter([1, 2]))  # kept


def tuple_iterator(keep):
    for _ in (1, 2):
        pass
    keep(iter((1, 2)))  # kept


def zip_iterator(keep):
    list(zip("ab", "cd"))
    keep(zip("ab", "cd"))  # kept


def dict_items(keep):
    table = {"a": 1}
    list(table.items())
    keep({"b": 1}.items())  # kept


def small_memoryview(keep):
    memoryview(b"abcdef")[1:3].tolist()
    keep(memoryview(b"abcdef")[2:4])  # kept


def weak_reference(keep):
    weakref.ref(Plain())
    held = Plain()  # kept
    keep((held, weakref.ref(held)))  # kept


def instance_with_slots(keep):
    Slotted(1)
    keep(Slotted(2))  # kept


def instance_of_object(keep):
    object()
    keep(object())  # kept


def memory_error(keep):
    MemoryError()
    keep(MemoryError())  # kept


class Plain:
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value
