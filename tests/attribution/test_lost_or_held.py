"""Lost or held, by whom, and forgotten references: planted in every way, on three versions, with clean twins."""

from __future__ import annotations

from pathlib import Path

import pytest
from attribution_builder import causes_at, interpreter_of, soak_planted, soak_target, soak_text

from soak.reporting.words import advise, held_by
from soak.results import Cause, ComponentResult
from soak.running.scanning import scanner as scanning
from soak.running.scanning.scan import holders
from soak.targets import find_targets
from soak.verdict import Verdict

# A stale word that looks like a pointer leaves a scan undecided now and then, which no single run can rule out.
pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.long]

VERSIONS = ("3.8", "3.11", "3.13")

NATIVE = """
    import ctypes
    keeper = ctypes.CDLL({keeper!r})
    def cycle(state):
        keeper.lose(106)
        keeper.lose_chain(3)
        keeper.lose_through_a_thread(110)
        keeper.keep_in_static(90)
        keeper.keep_in_table(80)
        keeper.keep_in_list()
        keeper.keep_by_its_middle(70)
        keeper.keep_on_stack(60)
        keeper.give_back(50)
"""

NATIVE_NAMES = (
    "lose",
    "lose_chain",
    "lose_through_a_thread",
    "keep_in_static",
    "keep_in_table",
    "keep_in_list",
    "keep_by_its_middle",
)

FORGET = """
    import ctypes
    forget = ctypes.pythonapi.Py_IncRef
    forget.argtypes = (ctypes.py_object,)
    forget.restype = None
"""

PYTHON = (
    FORGET
    + """
    class Thing:
        def __init__(self):
            self.part = [1, 2]
    items = lambda: (yield)
    seen, cache = [[], {}]  # written so that nothing tells that they only grow
    def cycle(state):
        forget(bytes(100))
        forget("number %d" % len(seen))
        forget((len(seen),) * 25)  # too long for the free lists
        forget([])
        forget(Thing())
        forget(list(range(300, 320)))
        forget({"key": len(seen) + 1000})
        forget({len(seen) + 1000})
        forget(items())
        both = bytes(90); forget(both); seen.append(both)
        seen.append(bytearray(80))
        cache[len(cache)] = {"a": (1.5 * len(seen),)}
"""
)

PLANTED = Path(__file__).parents[1] / "planted"


def only(result: ComponentResult, marker: str) -> Cause:
    """Return the largest cause there."""
    found = causes_at(result, marker)
    assert found, f"no cause at {marker}: {result.causes}"
    return max(found, key=lambda cause: (cause.confirmed, cause.bytes_per_iteration or 0.0))


@pytest.mark.parametrize("version", VERSIONS)
def test_lost_native_blocks_are_a_leak_at_once_and_the_holders_of_the_others_are_named(
    tmp_path: Path, keeper: Path, version: str
):
    """Lost alone, in a chain, where a thread freed a table; held in a static array, a table, a list, on a stack."""
    result = soak_text(tmp_path, NATIVE.format(keeper=str(keeper)), interpreter_of(version))

    assert (result.verdict, result.decided_by, result.failure) == (Verdict.LEAK, "lost-scan", None)
    assert result.iterations_to_verdict is not None
    assert result.iterations_to_verdict < result.iterations
    assert {
        name: (only(result, name).kind, only(result, name).state, only(result, name).confirmed) for name in NATIVE_NAMES
    } == {
        "lose": ("native", "lost", True),
        "lose_chain": ("native", "lost", True),
        "lose_through_a_thread": ("native", "lost", True),
        "keep_in_static": ("native", "held", False),
        "keep_in_table": ("native", "held", False),
        "keep_in_list": ("native", "held", False),
        "keep_by_its_middle": ("native", "held", False),
    }
    assert only(result, "lose_chain").bytes_per_iteration == pytest.approx(144)
    assert held_by(only(result, "keep_in_static")) == ("kept, a static variable of keeper.so",)
    assert held_by(only(result, "keep_by_its_middle")) == ("kept, a static variable of keeper.so",)
    assert held_by(only(result, "keep_in_list")) == ("list, a static variable of keeper.so",)
    root, table = held_by(only(result, "keep_in_table"))
    assert root == "table, a static variable of keeper.so"
    assert table.startswith("the block allocated at keep_in_table at ")
    assert (only(result, "work").state, held_by(only(result, "work"))) == ("held", ("a thread's stack",))
    assert causes_at(result, "give_back") == []
    assert "kept, a static variable of keeper.so" in advise(only(result, "keep_in_static"))


def test_the_static_variable_at_the_root_is_named_also_where_memory_takes_long_to_look_through(
    tmp_path: Path, keeper: Path, monkeypatch: pytest.MonkeyPatch
):
    """A list in C of half a gigabyte was held by nothing but the list."""
    monkeypatch.setattr(holders, "_CLIMB_WITHIN_S", 0.0)
    monkeypatch.setattr(holders, "_CLIMB_SHARE", 0.0)

    result = soak_text(tmp_path, NATIVE.format(keeper=str(keeper)), None)

    assert held_by(only(result, "keep_in_table"))[0] == "table, a static variable of keeper.so"


@pytest.mark.parametrize("version", VERSIONS)
def test_forgotten_references_are_called_so_and_held_objects_have_their_holder_named(tmp_path: Path, version: str):
    """References to objects of all kinds and to a list's item; its neighbours are just held."""
    result = soak_text(tmp_path, PYTHON, interpreter_of(version))

    lost = {
        "forget(bytes(100))": "bytes",
        'forget("number': "str",
        "forget((len": "tuple",
        "forget([])": "list",
        "forget(Thing())": "Thing",
        "forget(list(": "list",
        'forget({"key': "dict",
        "forget({len": "set",
        "items": "generator",
    }
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "lost-scan")
    for marker, type_name in lost.items():
        # What is lost with an object may be more than the object.
        causes = causes_at(result, marker)
        cause = next((cause for cause in causes if cause.kind == "lost-reference"), causes[0])
        assert (cause.kind, cause.state, cause.confirmed, cause.type) == ("lost-reference", "lost", True, type_name)
        assert "Py_DECREF" in advise(cause)
    both = next(cause for cause in causes_at(result, "both = bytes") if cause.kind == "lost-reference")
    assert (both.state, both.confirmed, both.type) == ("held", False, "bytes")
    assert held_by(both)[0].startswith("drive_it.seen, a list of ")
    held = only(result, "seen.append(bytearray(80))")
    assert (held.kind, held.state, held.confirmed) == ("python-object", "held", False)
    assert held_by(held)[0].startswith("drive_it.seen, a list of ")
    nested = only(result, "cache[len(cache)]")
    assert held_by(nested)[0].startswith("drive_it.cache, a dict of ")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_class_is_not_held_by_its_bases_weak_references(tmp_path: Path, version: str):
    text = (
        FORGET
        + """
    def cycle(state):
        forget(type("Kind", (), {}))
    """
    )

    # CPython's free lists of dicts and their tables keep the first 80 classes in sight.
    result = soak_text(tmp_path, text, interpreter_of(version), cycles=5000)

    cause = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert (cause.kind, cause.state, cause.type) == ("lost-reference", "lost", "type")


@pytest.mark.parametrize("version", VERSIONS)
def test_of_a_thousand_clean_objects_none_is_lost_and_none_has_a_reference_too_many(tmp_path: Path, version: str):
    """The clean twin: 15,000 objects of 30 types, also in untracked tuples and dicts, all held; none is lost."""
    target = find_targets(["kept_objects_leak.py"], PLANTED)[0]
    result = soak_target(tmp_path, target, None, interpreter_of(version))

    assert result.causes
    assert {cause.kind for cause in result.causes} == {"python-object"}
    assert "lost" not in {cause.state for cause in result.causes}
    assert result.verdict is not Verdict.LEAK


def test_of_clean_arrays_and_views_none_is_lost_and_none_has_a_reference_too_many(tmp_path: Path):
    """Their data comes from malloc and is held by the arrays."""
    result = soak_target(tmp_path, find_targets(["kept_arrays_leak.py"], PLANTED)[0], None, None)

    assert {cause.kind for cause in result.causes} <= {"python-object", "native"}
    assert "lost" not in {cause.state for cause in result.causes}
    assert result.verdict is not Verdict.LEAK


def test_a_forgotten_reference_to_an_array_is_called_so_and_its_data_are_lost_with_it(tmp_path: Path):
    text = FORGET + "    import numpy\n    def cycle(state):\n        forget(numpy.zeros(300))\n"
    result = soak_text(tmp_path, text)

    array = next(cause for cause in result.causes if cause.kind == "lost-reference")
    data = next(cause for cause in result.causes if cause.kind == "native")
    assert (array.state, array.type) == ("lost", "numpy.ndarray")
    assert (data.state, data.confirmed, data.bytes_per_iteration) == ("lost", True, 2400)
    assert "lost itself" in held_by(data)[0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("native", ("native", "lost", True)),
        ("lost-reference", ("lost-reference", "lost", True)),
        ("object", ("python-object", "held", False)),
    ],
)
def test_what_inject_plants_is_called_by_its_name(tmp_path: Path, kind: str, expected: tuple[str, str, bool]):
    result = soak_planted(tmp_path, kind, 106)

    cause = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert (cause.kind, cause.state, cause.confirmed) == expected


def test_garbage_that_waits_for_a_collection_is_not_lost(tmp_path: Path):
    """With gc off the objects hold only each other; the component may still collect, so a scan proves no leak."""
    result = soak_planted(tmp_path, "cycle", 200)

    cause = max(result.causes, key=lambda cause: cause.bytes_per_iteration or 0.0)
    assert (cause.kind, cause.state, cause.confirmed) == ("reference-cycle", "held", False)
    assert result.decided_by != "lost-scan"


def test_memory_that_may_not_be_read_leaves_the_state_unknown_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """This is what happens where Yama forbids it; the run continues."""

    def refuse(pid: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(scanning, "ProcessMemory", refuse)
    result = soak_planted(tmp_path, "native", 106)

    assert result.failure is None
    assert [(cause.state, cause.confirmed) for cause in result.causes] == [("unknown", False)]
    assert "Operation not permitted" in advise(result.causes[0])
    assert result.verdict is not Verdict.LEAK


def test_a_component_of_nothing_is_not_held_up(tmp_path: Path):
    """Nothing grows, so nothing is scanned and no deadline moves."""
    result = soak_text(tmp_path, "def cycle(state):\n    pass\n")

    assert (result.causes, result.failure, result.lost_rows) == ((), None, 0)


def test_a_text_that_is_made_longer_in_each_cycle_has_a_holder(tmp_path: Path):
    """The object that a scan saw is another one after the next cycle."""
    text = "TEXT = ''\ndef cycle(state):\n    global TEXT\n    TEXT += 'a line of a log\\n'\n"

    result = soak_text(tmp_path, text, cycles=4000)

    (cause,) = causes_at(result, "TEXT +=")
    assert held_by(cause)[0].startswith("drive_it.TEXT, a str of 64,000: ")
