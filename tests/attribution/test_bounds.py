"""Containers that their code bounds: by their length, their age, a count of its own, or a number of slots."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from soak.attribution.causes import Call
from soak.attribution.keepers.bounds import Bound, bound_in
from soak.attribution.keepers.code.source import Source
from soak.attribution.keepers.finder import KeeperFinder
from soak.attribution.object_answers import Link, ObjectAnswers, SiteAnswer, with_bounds_of_code
from soak.inside import loop

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
KEPT_SMALL = {
    "a count of its own": ("if self.count >= limit:\n    key = next(iter(cache))\n    del cache[key]", None),
    "by age": ("for old in [k for k, (t, _) in cache.items() if now - t > 5]:\n    del cache[old]", None),
    "by age, elsewhere": ("for old in dead:\n    cache.pop(old, None)", None),
    "the oldest": ("oldest = min(times, key=times.get)\ncache.pop(oldest)", None),
    "a heap of times": ("while heap[0][0] < now:\n    cache.pop(heappop(heap)[1], None)", None),
    "from the front": ("while self.is_full:\n    cache.pop(0)", None),
    "the latest part": ("self.cache = self.cache[-limit:]", None),
    "its own slice": ("cache[:] = cache[-limit:]", None),
    "two generations": ("if self.is_full:\n    self.old, self.cache = self.cache, {}", None),
    "emptied by another": ("if other.is_full:\n    cache.clear()", None),
    "slots": ("cache[key % MOST] = other", 700),
    "slots by a variable": ("slot = hash(key) % 90\ncache[slot] = other", 90),
}
UNBOUNDED = {
    "no removal": "if len(cache) > 10:\n    print('large')",
    "what its caller names": "cache.pop(key, None)",
    "what it has just put in": "k = next(numbers)\ncache[k] = 1\nif k % 3:\n    del cache[k]",
    "by the key that it is given": "found = cache.pop(key)\nif found:\n    cache.pop(found.number)",
    "made when it is missing": "if self.cache is None:\n    self.cache = {}",
    "a variable of its own": "cache = {}",
    "a text": "cache['%d' % key] = other",
    "another's removal": "if len(cache) > 10:\n    other.clear()",
}


def bound_of(folder: Path, body: str) -> Bound | None:
    file = folder / "app.py"
    body = textwrap.indent(body, "    ")
    file.write_text(f"MOST = 700\n\ndef put(self, cache, other, key, limit):\n{body}\n    cache[key] = 1\n")
    return KeeperFinder().bound_of("cache", [str(file)])


@pytest.mark.parametrize("name", [*BOUNDED, *KEPT_SMALL])
def test_a_bound_is_read_with_its_number(name: str, tmp_path: Path):
    body, capacity = {**BOUNDED, **KEPT_SMALL}[name]

    assert bound_of(tmp_path, body) == Bound(capacity)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_is_no_bound_is_none(name: str, tmp_path: Path):
    assert bound_of(tmp_path, UNBOUNDED[name]) is None


SETS_UP = "made = None\ndef cycle():\n    if made is None:\n        set_up()\ndef set_up():\n    global made\n"


@pytest.mark.parametrize(
    ("rest", "is_bounded"),
    [
        ("def repaired():\n    put()\n    drop_oldest()", False),
        ("def cycle():\n    put()\n    drop_oldest()", True),
        ("Thread(target=drop_oldest).start()", True),
        ("class Store:\n    def __len__(self):\n        drop_oldest()", True),
        ("@app.route('/drop')\ndef served():\n    drop_oldest()", True),
        ("@functools.lru_cache(5)\ndef repaired():\n    drop_oldest()", False),
        ("atexit.register(drop_oldest)", False),
        ("@atexit.register\ndef ended():\n    drop_oldest()", False),
        (f"{SETS_UP}    made = 1\n    drop_oldest()", False),
        (f"{SETS_UP}    made = 1\n    for _ in range(5):\n        drop_oldest()", True),
        (f"{SETS_UP}    made = Thread(target=drop_oldest)", True),
        (f"{SETS_UP}    made = 1\n    drop_oldest()\ndef put():\n    global made\n    made = None", True),
        (f"{SETS_UP}    made = 1\n    drop_oldest()\ndef put():\n    set_up()", True),
        ("def cycle(made=None):\n    if made is None:\n        drop_oldest()", True),
    ],
)
def test_a_function_that_nobody_calls_bounds_nothing(rest: str, is_bounded: bool, tmp_path: Path):
    file = tmp_path / "app.py"
    file.write_text(f"cache = []\ndef put():\n    cache.append(1)\ndef drop_oldest():\n    cache.pop(0)\n{rest}\n")
    stack = (Call(0x10), Call(file=str(file), function="put"), Call(file=str(file), function="cycle"))

    found = KeeperFinder().bound_of("cache", [str(file)], [stack])

    assert found == (Bound(None) if is_bounded else None)


FILLS = {
    "itself": "def put(self):\n    self.cache[next(numbers)] = bytearray(9)",
    "by a call": (
        "def put(store):\n    made = bytearray(9)\n    store.add(made)\ndef add(self, it):\n    self.cache.append(it)"
    ),
    "a heap": "def put(self):\n    heappush(self.cache, bytearray(9))",
    "of another object": "def put(self):\n    self.store.cache.add(bytearray(9))",
}
FILLS_NOT = {
    "another": "def put(self):\n    self.kept.append(bytearray(9))",
    "its own variable": "def put():\n    cache = []\n    cache.append(bytearray(9))",
    "reads": "def put(self):\n    self.kept.append(bytearray(self.cache))",
}


@pytest.mark.parametrize("name", [*FILLS, *FILLS_NOT])
def test_the_code_that_allocates_tells_whether_it_fills_what_is_kept_small(name: str, tmp_path: Path):
    file = tmp_path / "app.py"
    code = {**FILLS, **FILLS_NOT}[name]
    file.write_text(f"{code}\ndef drop(self):\n    self.cache.popitem()\ndrop()\n")
    line = next(number for number, text in enumerate(code.splitlines(), 1) if "bytearray" in text)
    ours = Call(file=str(Path(loop.__file__)), function="run", line=1)
    stack = (Call(0x10), Call(file=str(file), function="put", line=line), ours)

    assert KeeperFinder().may_be_bounded(stack, [str(file)]) is (name in FILLS)


@pytest.mark.parametrize(("number", "most"), [("5000", 5000), ("LIMIT", 700), ("limit()", 0)])
def test_the_code_that_allocates_tells_how_many_entries_it_allows(number: str, most: int, tmp_path: Path):
    file = tmp_path / "app.py"
    file.write_text(
        f"LIMIT = 700\ndef put(key):\n    cache[key] = bytearray(9)\n    if len(cache) > {number}: cache.pop()\n"
    )
    ours = Call(file=str(Path(loop.__file__)), function="run", line=1)
    stack = (Call(0x10), Call(file=str(file), function="put", line=3), ours)

    assert KeeperFinder().most_entries(stack, [str(file)]) == most


def test_another_file_of_the_program_may_call_what_takes_entries(tmp_path: Path):
    store, main = tmp_path / "store.py", tmp_path / "main.py"
    store.write_text("class Store:\n    def flush(self):\n        self.cache.clear()\n")
    main.write_text("def cycle():\n    store.put(1)\n    store.flush()\n")
    stack = (Call(file=str(main), function="cycle", line=2),)

    def bound(*files: Path) -> Bound | None:
        return KeeperFinder().bound_of("cache", list(map(str, files)), [stack])

    assert (bound(store, main), bound(store)) == (Bound(None), None)


def test_code_of_the_standard_library_bounds_nothing_of_the_program(tmp_path: Path):
    folder = tmp_path / "lib" / "python3.11"
    (folder / "site-packages").mkdir(parents=True)
    files = [folder / "linecache.py", folder / "site-packages" / "cachelib.py"]
    for file in files:
        file.write_text("def clearcache():\n    cache.clear()\n")

    assert [KeeperFinder().bound_of("cache", [str(file)]) for file in files] == [None, Bound(None)]


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
        (chain(("module app.cache", "a dict of 1", "dict", 300), ("['rows']", "a list of 90", "list", 200)), None),
    ],
    ids=["variable", "attribute", "without a bound", "without a name", "a single entry"],
)
def test_the_largest_container_on_the_way_is_asked_about_by_its_name(answer: SiteAnswer, name: str | None):
    bounds = {"cache": Bound(1500)}

    def bound_of(asked: str, site: int) -> Bound | None:
        assert site == 3
        return bounds.get(asked)

    cache = with_bounds_of_code(ObjectAnswers({3: answer}), 1421, bound_of).by_site[3].cache

    assert (None if cache is None else cache.name) == name
    if cache is not None:
        assert (cache.capacity, cache.at_cycle, cache.is_bounded_by_code, cache.may_fill) == (1500, 1421, True, True)


@pytest.mark.parametrize(("number", "capacity"), [(1500, 1500), (1400, 1400), (2, None)])
def test_a_number_that_the_container_has_long_passed_bounds_another_one_of_the_same_name(
    number: int, capacity: int | None
):
    answer = chain(("module app.cache", "a dict of 1,421", "dict", 73_000), ENTRY)

    cache = with_bounds_of_code(ObjectAnswers({3: answer}), 1421, lambda name, site: Bound(number)).by_site[3].cache

    assert cache is not None
    assert cache.capacity == capacity


def test_functions_are_walked_once_for_all_containers_that_are_asked_about(monkeypatch: pytest.MonkeyPatch):
    source = Source(
        "app.py", "def fill(key):\n    cache[key] = other[key] = load(key)\n\n\ndef load(key):\n    fill(key)\n"
    )
    walked, walk = [], ast.walk

    def counted(node: ast.AST) -> object:
        walked.append(node)
        return walk(node)

    monkeypatch.setattr(ast, "walk", counted)

    for name in ("cache", "other", "cache"):
        assert bound_in(name, [source], {"fill"}) is None

    functions = [node for node in walked if isinstance(node, ast.FunctionDef)]
    assert sorted(node.name for node in functions) == ["fill", "load"]
