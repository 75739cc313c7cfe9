"""Containers that their code bounds: a length is compared, and the same function takes entries."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from soak.attribution.keepers.bounds import Bound
from soak.attribution.keepers.finder import KeeperFinder
from soak.attribution.object_answers import Link, ObjectAnswers, SiteAnswer, with_bounds_of_code

BOUNDED = {
    "pop at a number": ("if len(cache) >= 1500:\n    cache.pop(next(iter(cache)))", 1500),
    "a constant": ("while len(cache) > MOST:\n    cache.popitem(last=False)", 700),
    "the other way round": ("if 50 < len(self.cache):\n    self.cache.clear()", 50),
    "random replacement": (
        "if len(self.cache) == self.limit:\n    del self.cache[random.choice(list(self.cache))]",
        None,
    ),
    "a new one": ("if len(cache) > 99:\n    cache = {}", 99),
    "an argument": ("if len(cache) > limit:\n    cache.popleft()", None),
}
UNBOUNDED = {
    "no removal": "if len(cache) > 10:\n    print('large')",
    "no length": "cache.pop(key, None)",
    "another's length": "if len(other) > 10:\n    cache.clear()",
    "another's removal": "if len(cache) > 10:\n    other.clear()",
}


def bound_of(folder: Path, body: str) -> Bound | None:
    file = folder / "app.py"
    body = textwrap.indent(body, "    ")
    file.write_text(f"MOST = 700\n\ndef put(self, cache, other, key, limit):\n{body}\n    cache[key] = 1\n")
    return KeeperFinder().bound_of("cache", [str(file)])


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bound_is_read_with_its_number(name: str, tmp_path: Path):
    body, capacity = BOUNDED[name]

    assert bound_of(tmp_path, body) == Bound(capacity)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_is_no_bound_is_none(name: str, tmp_path: Path):
    assert bound_of(tmp_path, UNBOUNDED[name]) is None


def chain(*links: tuple[str, str, str, int]) -> SiteAnswer:
    return SiteAnswer(tuple(Link(*link, 0) for link in links))


ENTRY = ("[7]", "a bytearray of 200: b'x'", "bytearray", 257)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (chain(("module app.cache", "a dict of 1,421", "dict", 73_000), ENTRY), "app.cache"),
        (
            chain(
                ("module app.own", "a Cache", "Cache", 48), (".cache", "an OrderedDict of 9", "OrderedDict", 900), ENTRY
            ),
            "app.own.cache",
        ),
        (chain(("module app.kept", "a list of 1,421", "list", 12_000), ENTRY), None),
        (chain(("module app.cache", "a Store", "Store", 48), ("->", "a dict of 5", "dict", 300), ENTRY), None),
    ],
    ids=["variable", "attribute", "without a bound", "without a name"],
)
def test_the_largest_container_on_the_way_is_asked_about_by_its_name(answer: SiteAnswer, name: str | None):
    bounds = {"cache": Bound(1500)}

    cache = with_bounds_of_code(ObjectAnswers({3: answer}), 1421, bounds.get).by_site[3].cache

    assert (None if cache is None else cache.name) == name
    if cache is not None:
        assert (cache.capacity, cache.at_cycle, cache.is_bounded_by_code, cache.may_fill) == (1500, 1421, True, True)
