"""A dict whose table is made larger: for names that come and go, for objects that stay, or for a dict that stays."""

import itertools

BEFORE, ENLARGED_AT = 7000, 3922


def setup(function):
    objects = [object() for _ in range(BEFORE * 4)]
    return {
        "function": function,
        "count": itertools.count(1),
        "names": {f"name {number}": None for number in range(BEFORE)},
        "objects": dict.fromkeys(objects[:BEFORE]),
        "rest": iter(objects[BEFORE:]),
        "dicts": [],
    }


def cycle(state):
    number = next(state["count"])
    if state["function"] == "come_and_go":
        state["names"][f"newest {number}"] = None
        del state["names"][f"newest {number}"]
    elif state["function"] == "stay":
        state["objects"][next(state["rest"])] = None
    elif number == ENLARGED_AT:
        emptied = {f"name {number}": None for number in range(2 * BEFORE)}
        for name in list(emptied):
            del emptied[name]
        state["dicts"].append(emptied)
