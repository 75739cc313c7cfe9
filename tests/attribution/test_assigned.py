"""An object that no walk reached has the name of the variable that is assigned where it was allocated."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.attribution.assigned import assigned_name
from soak.attribution.holders import Holder, Reachability, find_memory_path
from soak.reporting.words.causes.advice import origin
from soak.reporting.words.causes.holders import held_by
from soak.results import Cause, MemoryKind, Place

SHOP = """\
from collections import Counter
hits = Counter()
names: dict = {}
a = []; b = {}
table = [
    [],
]
first = second = {}
self.items = []
if True:
    inner = []
def work():
    local = []
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.py"
    file.write_text(SHOP, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("line", "name"),
    [(2, "shop.hits"), (3, "shop.names"), (6, "shop.table"), (4, None), (8, None), (9, None), (11, None), (13, None)],
)
def test_a_line_of_a_module_that_assigns_to_one_variable_names_it(shop: Path, line: int, name: str | None):
    assert assigned_name(Place("<module>", str(shop), line)) == name


def test_no_other_place_names_a_variable(shop: Path):
    assert assigned_name(Place("work", str(shop), 2)) is None
    assert assigned_name(Place("<module>", str(shop), 2, "libshop.so")) is None
    assert assigned_name(Place("<module>", "<string>", 2)) is None
    assert assigned_name(None) is None


def test_the_variable_is_told_as_what_keeps_the_growth(shop: Path):
    places = {1: Place("<module>", str(shop), 2), 2: Place("count", str(shop), 40)}
    known = Holder(0x1000, site=1, type="Counter", size_bytes=64), Holder(0x2000, site=2)
    path = find_memory_path(Reachability("held", holders=known[::-1]), places.get, None)
    cause = Cause(
        kind="python-object", confirmed=True, state="held", fingerprint="1", bytes_per_iteration=59.0, memory_path=path
    )

    assert [(step.kind, step.name) for step in path] == [(MemoryKind.BLOCK, "shop.hits"), (MemoryKind.BLOCK, None)]
    assert held_by(cause)[0].startswith("shop.hits, the Counter allocated at ")
    assert origin([cause]) == ""  # no place of its own is known
    cause = Cause(**{**vars(cause), "python_where": places[2]})
    assert origin([cause]) == "shop.py:40 allocates it, and shop.hits keeps it"
