"""The names that an interpreter keeps of the attributes that C code has looked up: bounded, so they are no growth.

CPython's cache of attribute look-ups keeps the name of each of its 4,096 entries. C code that looks an attribute up by
a string of C makes a new name each time, which stays until its entry is used again: it takes hours to fill by that. A
run empties the cache at each checkpoint (`soak.inside.counting.counters`); nothing is done in a watched program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from soak.attribution.native.symbols import Symbols
from soak.native.layout import STACK_SITE
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.tables import WatchedTables
from soak.running.scanning.code_reading import CodeReading

_ENTRIES = 4096
_LOOK_UPS = (
    "PyObject_GetAttrString",
    "PyObject_GetOptionalAttrString",
    "PyObject_HasAttrString",
    "_PyImport_GetModuleAttrString",  # CPython 3.12 and 3.13: time.struct_time for each date
    "PyImport_ImportModuleAttrString",
)
_NEAR = 6
"""The look-up is among this many innermost frames of the block that is a name."""


class NameCache:
    """Leaves these names out of what is alive, where the stack that made them is known.

    Stacks are recorded only after some time. If all stacks of a call that make blocks of one size are look-ups, its
    earlier blocks of that size are names too.
    """

    def __init__(self, tables: WatchedTables, symbols: CodeReading | None = None) -> None:
        """Know no names yet. ``symbols``: reads the symbols of an interpreter, which takes seconds the first time."""
        self._tables = tables
        self._reading = symbols or CodeReading()
        self._symbols: Symbols | None = None
        self._known = 0
        self._unread: list[int] = []
        self._sites: set[int] = set()

    def without(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint without them; as it is where there are more than the cache has entries."""
        self._learn(checkpoint)
        if not self._sites:
            return checkpoint
        is_name = np.isin(checkpoint.rows["site"], list(self._sites))
        is_name |= self._are_earlier_names(checkpoint, is_name)
        if int(checkpoint.rows["live_blocks"][is_name].sum()) > _ENTRIES:
            return checkpoint
        return replace(checkpoint, rows=checkpoint.rows[~is_name])

    def _are_earlier_names(self, checkpoint: Checkpoint, is_name: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which rows are of names that were made before their stacks were recorded, ``(rows,)``."""
        rows, owners = checkpoint.rows, checkpoint.site_table.owners[checkpoint.rows["site"]]
        has_stack = checkpoint.sites["kind"][rows["site"]] == STACK_SITE
        size, rest = np.divmod(rows["live_bytes"], np.maximum(rows["live_blocks"], 1))
        found = np.zeros(len(rows), np.bool_)
        for call in set(owners[is_name].tolist()):
            of_call = (rows["site"] == call) & (rows["bucket"] > 0) & (rest == 0)
            of_others = size[has_stack & ~is_name & (owners == call)]
            found |= of_call & np.isin(size, size[is_name & (owners == call)]) & ~np.isin(size, of_others)
        return found

    def _learn(self, checkpoint: Checkpoint) -> None:
        new = np.flatnonzero(checkpoint.sites["kind"][self._known :] == STACK_SITE) + self._known
        self._known = len(checkpoint.sites)
        asked = {site: self._is_name(checkpoint, site) for site in (*self._unread, *new.tolist())}
        self._unread = [site for site, answer in asked.items() if not answer]
        self._sites.update(site for site, answer in asked.items() if any(answer))

    def _is_name(self, checkpoint: Checkpoint, site: int) -> list[bool]:
        """Return whether the blocks of a stack are names, as a list; an empty one while its symbols are not read."""
        frames = takewhile(lambda frame: frame.address is not None, self._tables.stack(checkpoint, site)[:_NEAR])
        addresses = tuple(frame.address for frame in frames if frame.address is not None)
        if not addresses:
            return [False]
        if self._symbols is None:
            self._symbols = Symbols(self._tables.maps())
        return self._reading.ask(addresses, partial(_are_look_ups, self._symbols, addresses))


def _are_look_ups(symbols: Symbols, addresses: Sequence[int]) -> bool:
    places = (place for address in addresses for place in symbols.frames(address))
    return any((place.function or "").startswith(_LOOK_UPS) for place in places)
