"""Let Python collect cyclic garbage less often in soak's own process.

Imports and judging make many objects and hardly any cycles; in a process that has as many objects as pytest has,
collections take a tenth of a short check. A measured process is another one, which collects as it always does.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_OBJECTS = 200_000
"""So many more objects than before make a collection due. A short command never has as many: two collections of 50,000
objects took a twentieth of it. Garbage takes some tens of megabytes at most."""


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely until the block ends; a process that collects even less often, or not at all, goes on so."""
    youngest, *older = gc.get_threshold()
    if 0 < youngest < _OBJECTS:
        gc.set_threshold(_OBJECTS, *older)
    try:
        yield
    finally:
        gc.set_threshold(youngest, *older)
