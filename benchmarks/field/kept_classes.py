"""A dict keeps a class for each call."""

import ctypes

EXPECT = {"verdicts": ["LEAK"], "says": ["kept_classes.py:10", "kept_classes.kept"]}
kept = {}


def cycle():
    kept[len(kept)] = type("Item", (ctypes.Structure,), {"_fields_": [("a", ctypes.c_int)]})
