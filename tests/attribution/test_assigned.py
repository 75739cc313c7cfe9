"""An object that no walk reached has the name of the variable that is assigned where it was allocated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from soak.attribution.assigned import assigned_name, container_attribute
from soak.attribution.holders import Holder, Reachability, find_memory_path
from soak.reporting.words.causes.advice import origin
from soak.reporting.words.causes.holders import held_by
from soak.results import Cause, MemoryKind, Owner, Place

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


QUEUE = """\
class Queue:
    def __init__(self, frames):
        self._frames: deque = deque()
        self.names = {}
        self.copy = list(map(str, frames))
        self.few = deque(maxlen=3)
        local = []
        self.other.items = []
        self.one = [1]
        if frames:
            self.late = defaultdict(list)
"""


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        (3, "collections.deque", "Queue._frames"),
        (4, "dict", "Queue.names"),
        (11, "collections.defaultdict", "Queue.late"),
        (3, "list", None),
        (5, "list", None),
        (6, "collections.deque", None),
        (7, "list", None),
        (8, "list", None),
        (9, "list", None),
    ],
)
def test_a_line_that_makes_only_an_empty_container_for_an_attribute_names_it(
    tmp_path: Path, line: int, kind: str, name: str | None
):
    file = tmp_path / "queues.py"
    file.write_text(QUEUE, encoding="utf-8")

    assert container_attribute(Place("__init__", str(file), line), kind) == name
    assert container_attribute(None, kind) is None
    assert container_attribute(Place("__init__", str(tmp_path / "none.py"), line), kind) is None


@pytest.mark.parametrize(("growing", "name"), [((), "Queue._frames"), ((1,), None)], ids=["before", "in each cycle"])
def test_the_container_that_was_there_before_what_grows_is_told_where_no_walk_came_to_it(
    tmp_path: Path, growing: tuple[int, ...], name: str | None
):
    """A container that each cycle makes is part of what is kept, and keeps nothing by itself."""
    file = tmp_path / "queues.py"
    file.write_text(QUEUE, encoding="utf-8")
    places = {1: Place("__init__", str(file), 3), 2: Place("frame_of", str(file), 40)}
    known = Holder(0x2000, site=2, type="Frame"), Holder(0x1000, site=1, type="collections.deque")
    owner = Owner("Frame", 1000.0, 1.0, places[2], memory=Place("put", str(file), 50))

    path = find_memory_path(Reachability("held", holders=known), places.get, None, growing)
    first = Cause("python-object", True, "held", "1", bytes_per_iteration=59.0, memory_path=path, owner=owner)
    first = replace(first, python_where=places[2])
    causes = [first, replace(first, fingerprint="2", kind="native")]

    assert [step.name for step in path] == [name, None]
    keeper = name or "memory that queues.py:50 allocates"
    assert origin(causes) == f"each Frame made at queues.py:40 is kept by {keeper}"
