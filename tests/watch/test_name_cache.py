"""Names that CPython keeps of look-ups are left out, also those that were made before their stacks were recorded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ledger_builder import a_checkpoint

from soak.native.layout import PYTHON_SITE, ROW, SITE, STACK_SITE
from soak.running.scanning.code_reading import CodeReading
from soak.running.watch.judging.name_cache import NameCache

CALL, OF_NAME, OF_OTHER = 2, 3, 4
NAMES, EARLIER, LARGER, AT_START = (OF_NAME, 9, 1, 52), (CALL, 3, 10, 520), (CALL, 3, 1, 90), (CALL, 0, 4, 208)
OTHER, OTHER_SIZE = (OF_OTHER, 9, 1, 52), (OF_OTHER, 9, 1, 64)


def kept(monkeypatch: pytest.MonkeyPatch, *rows: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Return site and bytes of the rows that are left of ``rows``: site, bucket of birth, blocks and bytes."""
    monkeypatch.setattr(NameCache, "_is_name", lambda _self, _checkpoint, site: [site == OF_NAME])
    alive, sites = np.zeros(len(rows), ROW), np.zeros(OF_OTHER + 1, SITE)
    for name, values in zip(("site", "bucket", "live_blocks", "live_bytes"), zip(*rows, strict=True), strict=True):
        alive[name] = values
    sites["kind"][CALL] = PYTHON_SITE
    for stack in (OF_NAME, OF_OTHER):
        sites["kind"][stack], sites["parent"][stack] = STACK_SITE, CALL
    tables: Any = SimpleNamespace()
    left = NameCache(tables, CodeReading(at_once=True)).without(a_checkpoint(alive, sites))
    return [(int(row["site"]), int(row["live_bytes"])) for row in left.rows]


def test_names_of_before_their_stacks_were_recorded_are_left_out(monkeypatch: pytest.MonkeyPatch):
    assert kept(monkeypatch, NAMES, EARLIER, LARGER, AT_START) == [(CALL, 90), (CALL, 208)]


def test_where_another_stack_is_known_only_the_names_are_left_out(monkeypatch: pytest.MonkeyPatch):
    assert kept(monkeypatch, NAMES, EARLIER, OTHER) == [(CALL, 520), (OF_OTHER, 52)]
    assert kept(monkeypatch, NAMES, EARLIER, OTHER_SIZE) == [(OF_OTHER, 64)]


def test_more_than_the_cache_has_entries_are_no_names(monkeypatch: pytest.MonkeyPatch):
    many = (CALL, 3, 5000, 5000 * 52)

    assert len(kept(monkeypatch, NAMES, many)) == 2
