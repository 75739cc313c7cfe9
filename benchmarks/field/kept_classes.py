"""A dict keeps a class for each call."""

import ctypes

EXPECT = {"verdicts": ["LEAK"], "says": ["kept_classes.py:11", "kept_classes.kept"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING"]}
kept = {}


def cycle():
    kept[len(kept)] = type("Item", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_int)]})


def repaired():
    kept[len(kept) % 50] = type("Item", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_int)]})
