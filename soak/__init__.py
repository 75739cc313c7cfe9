"""Soak-test components one by one and say which leaks, how much per cycle, and how sure that is.

This module imports nothing, because the measured process imports ``soak.inside`` through it. The public functions are
fetched when they are first used: ``soak.check``, ``soak.judge`` and ``soak.explain``, and for the program that is
measured ``soak.mark``, ``soak.asgi`` and ``soak.wsgi``.
"""

__version__ = "0.1.0"

__all__ = ["asgi", "check", "explain", "judge", "mark", "wsgi"]

_HOMES = {
    "asgi": "soak.inside.marking.middleware",
    "check": "soak.api",
    "explain": "soak.api",
    "judge": "soak.analysis",
    "load_ipython_extension": "soak.notebook",
    "mark": "soak.inside.marking.marks",
    "wsgi": "soak.inside.marking.middleware",
}


def __getattr__(name):  # the types are in __init__.pyi
    if name not in _HOMES:
        raise AttributeError(f"module 'soak' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
