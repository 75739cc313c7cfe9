"""Overwrites the addresses that CPython leaves behind in its lists of free objects.

CPython keeps up to 80 freed dicts, tables of dicts and lists each in an array, to use them again. One that is used
again, or whose memory is given back, leaves its address in the array. The next object there seems to be held by it, so
a scan of the memory would find a leak of a few blocks per cycle held for hundreds of cycles.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from typing import Any

_PLACES = 80
_FIRST_WITHOUT_ARRAYS = (3, 14)
"""From this version on free objects are linked, and the first of a list is not in use."""


class FreeLists:
    """Objects to fill the arrays with; after it is made, it leaves no allocation behind."""

    def __init__(self) -> None:
        self._dicts: list[Any] = [None] * _PLACES
        self._lists: list[Any] = [None] * _PLACES
        self._fill()

    def overwrite(self) -> None:
        """Let the arrays have the addresses of objects that only this one holds.

        Call it right after a collection of all objects, which empties these lists. So the objects freed here all find
        a place in the arrays, and the same ones are taken out again: no memory is allocated or freed.
        """
        if sys.version_info < _FIRST_WITHOUT_ARRAYS:
            place = 0
            while place < _PLACES:
                self._dicts[place] = self._lists[place] = None
                place += 1
            self._fill()

    def _fill(self) -> None:
        place = 0
        while place < _PLACES:
            self._dicts[place] = {"": None}  # with a table, which has a free list of its own
            self._lists[place] = []
            place += 1
