"""Causes of one holder are one leak: what belongs together, and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from attribution_builder import soak_text

from soak.attribution.expressions import without_arrows
from soak.attribution.grouping import CauseGroup, chain_steps, group_causes, largest_holder
from soak.grounds import HoldingCache
from soak.reporting import words as say
from soak.reporting.words.causes.advice import origin, origin_brief
from soak.results import Cause, ChainNode, MemoryStep, Owner, Place

APP = ChainNode("app", "a module", "module", 72, None)
SEEN = ChainNode(".seen", "a list of 600", "list", 5_432, None)
SO = "/home/me/fast.so"


def a_cause(name: str, rate: float = 8.0, **changes: object) -> Cause:
    """Give confirmed Python objects that something holds, allocated in a function of this name."""
    known = {"bytes_per_iteration": rate, "every": 1.0, "python_where": Place(name, "/home/me/app.py", 14), **changes}
    return Cause(**{"kind": "python-object", "confirmed": True, "state": "held", "fingerprint": name, **known})


def item(index: int, type_: str = "dict", size_bytes: int = 184) -> ChainNode:
    return ChainNode(f"[{index}]", f"a {type_}", type_, size_bytes, None)


def members(*causes: Cause) -> list[list[str]]:
    return [[cause.fingerprint for cause in group.causes] for group in group_causes(causes)]


def only(*causes: Cause) -> CauseGroup:
    (group,) = group_causes(causes)
    return group


TABLE = a_cause("append", chain=(APP, SEEN))
ITEMS = a_cause("parse", 40.0, chain=(APP, SEEN, item(7)), type="dict")
TEXTS = a_cause("scan", 50.0, chain=(APP, SEEN, item(3), ChainNode("['text']", "a str", "str", 56, None)), type="str")


def test_a_list_its_items_and_what_those_hold_are_one_leak():
    group = only(TEXTS, ITEMS, TABLE)

    assert say.group_sentence(group) == (
        "app.seen, a list of 600 (5.305 KiB), keeps memory from 3 call sites: 98 B per call."
    )
    assert say.site_lines(group, "request") == (
        "50 B per request: str objects, allocated in scan (app.py:14)",
        "40 B per request: dict objects, allocated in parse (app.py:14)",
        "8 B per request: app.seen itself, allocated in append (app.py:14)",
    )
    assert say.site_lines(group, most=1)[1:] == ("… and 2 more call sites",)
    assert say.advise_on_group(group) == "Give it a bound, or remove what each call adds."


BIN = Owner("GstBin", 66_000.0, allocated_at=Place("build", "/home/me/app.py", 60), fingerprint="create")
PARTS = (
    a_cause("buffers", 24_000.0, kind="native", owner=BIN, memory_path=(MemoryStep("static", "g_table", SO),)),
    a_cause("create", 22_000.0, kind="native", owner=BIN, type="GstBin"),
    a_cause("label", 20_000.0, owner=BIN),
)


def owned(**changes: object) -> CauseGroup:
    return only(*(replace(cause, owner=replace(BIN, **changes)) for cause in PARTS))


def test_what_holds_a_lost_object_is_said_by_its_sentence_alone():
    """The way to one of its parts comes from another part that is lost as well."""
    lost = tuple(replace(cause, state="lost", memory_path=(MemoryStep("lost-block"),)) for cause in PARTS)
    own, other = replace(BIN, is_lost=True), replace(BIN, is_lost=False)

    assert say.group_held_by(only(*(replace(cause, owner=own) for cause in lost))) == ()
    assert say.group_held_by(only(*(replace(cause, owner=other) for cause in lost))) != ()


def test_the_parts_of_an_object_are_one_leak_of_the_object():
    """Whatever else points to some of them; the object is named before its largest part."""
    assert say.group_sentence(owned()) == (
        "One GstBin per call made at app.py:60 is kept, with memory from 3 call sites: 64.5 KiB per call."
    )
    assert say.group_sentence(owned(per_iteration=2.5), "song") == (
        "2.5 GstBin objects per song made at app.py:60 are kept, with memory from 3 call sites: 64.5 KiB per song."
    )
    assert origin(owned().causes) == "each GstBin made at app.py:60 is kept"
    assert origin_brief(owned().causes) == " at app.py:60"
    assert origin_brief(owned(allocated_at=None).causes) == " in GstBin objects"
    assert say.site_lines(owned())[1].startswith("21.5 KiB per call: GstBin objects, allocated in create")


@pytest.mark.parametrize(
    ("file", "name"),
    [("/usr/lib/python3.11/asyncio/base_events.py", "asyncio/base_events.py"), ("<frozen abc>", "<frozen abc>")],
)
def test_an_object_that_a_library_makes_is_named_with_the_line_of_a_person_that_leads_there(file: str, name: str):
    """``asyncio`` makes each task, and ``abc`` each class with abstract methods; who asked for it wrote app.py."""
    library = Place("create_task", file, 436)
    frames = (library, Place("serve", "/home/me/app.py", 33))
    parts = [replace(each, owner=replace(BIN, allocated_at=library)) for each in PARTS]
    parts[1] = replace(parts[1], frames=frames, python_where=library)

    assert origin(parts) == "each GstBin made at app.py:33 is kept"
    assert "made at app.py:33 is kept" in say.group_sentence(only(*parts))
    assert say.site_lines(only(*parts))[1].endswith(", reached from serve (app.py:33)")
    # Where nothing is known of the object itself, the line that leads to one of its parts.
    of_a_part = [replace(parts[0], frames=frames), replace(parts[1], frames=()), parts[2]]
    assert origin(of_a_part) == "each GstBin made at app.py:33 is kept"
    assert origin([replace(each, frames=()) for each in parts]) == f"each GstBin made at {name}:436 is kept"


def test_where_nobody_knows_the_line_that_makes_the_object_the_line_that_makes_its_parts_is_named():
    """The innermost one from which most of them come; parts without a line of Python say nothing."""
    library = Place("new", "/usr/lib/python3/dist-packages/gi/overrides/Gst.py", 9)
    make, add, play = (Place("a function", "/home/me/app.py", line) for line in (5, 52, 12))
    stacks = [(Place("g_slice", None, None),), (play,), (library, make, add, play), (make, add, play), (add, play)]
    owner = replace(BIN, allocated_at=None, is_lost=True, ref_count=1)
    parts = [replace(PARTS[2], owner=owner, frames=frames) for frames in stacks]

    assert origin(parts) == (
        "each GstBin is kept, with what app.py:52 makes, though nothing outside points to it and its reference count "
        "is 1"
    )
    held = [replace(part, owner=replace(owner, is_lost=False)) for part in parts]
    assert origin(held) == "each GstBin is kept, with what app.py:52 makes"
    assert origin([replace(part, frames=()) for part in held]) == "each GstBin is kept"
    largest = replace(held[2], bytes_per_iteration=1e6)
    assert origin([*held, largest]) == "each GstBin is kept, with what app.py:52 makes"


def test_a_function_that_the_object_holds_and_that_holds_it_is_named():
    group = owned(is_lost=True, function=Place("build", "/home/me/app.py", 64))

    assert origin(group.causes) == "each GstBin made at app.py:60 is kept by the function made at app.py:64"
    assert "disconnect the function" in say.advise_on_group(group)


def test_an_object_that_only_its_own_parts_point_to_has_a_reference_too_many():
    group = owned(is_lost=True)

    assert origin(group.causes) == "each GstBin made at app.py:60 is kept, though nothing outside points to it"
    assert say.advise_on_group(group).startswith("A reference to each GstBin was taken and never dropped")

    counted = owned(is_lost=True, ref_count=1).causes
    assert origin(counted) == (
        "each GstBin made at app.py:60 is kept, though nothing outside points to it and its reference count is 1"
    )


def test_memory_of_c_code_that_alone_holds_the_object_is_named():
    group = owned(memory=Place("remove", "/home/me/app.py", 76))

    assert origin(group.causes) == "each GstBin made at app.py:60 is kept by memory that app.py:76 allocates"
    assert say.advise_on_group(group).startswith("app.py:76 passes the GstBin to C code, which keeps it")


def test_an_object_of_glib_that_was_there_before_and_holds_them_is_named():
    """The one nearest to what stays: a pipeline holds the bus, and the bus the messages."""
    gobjects = [MemoryStep("gobject", type=kind) for kind in ("Pipeline", "Bus")]
    held = replace(PARTS[1], owner=replace(BIN, allocated_at=None), memory_path=(*gobjects, MemoryStep("block")))

    assert origin((held, held)) == "each GstBin is kept by the Bus"
    gobjects[1] = replace(gobjects[1], allocated_at=Place("setup", "/home/me/app.py", 3))
    assert origin([replace(held, memory_path=tuple(gobjects))] * 2) == "each GstBin is kept by the Bus made at app.py:3"
    lost = replace(held, state="lost", owner=replace(BIN, is_lost=True))
    assert origin([lost, lost]).endswith("nothing outside points to it")


@pytest.mark.parametrize(("count", "line"), [(1.0, "app.py:52"), (0.5, "libglib.so+0x10")])
def test_of_threads_a_line_of_python_is_named_before_a_larger_place_in_a_library(count: float, line: str):
    library, mixer = Place("libglib.so+0x10", None, None), Place("add", "/home/me/app.py", 52)
    pool = a_cause("pool", kind="thread", count_per_iteration=1.33, where=library, python_where=None)
    sink = a_cause("sink", kind="thread", count_per_iteration=count, python_where=mixer)

    assert origin([pool, sink]).endswith(f"at {line}")


def test_what_a_container_holds_belongs_to_the_container_with_its_parts():
    """The owner is itself an item of the list."""
    item_of_list = replace(PARTS[1], kind="python-object", chain=(APP, SEEN, item(7)))

    group = only(PARTS[0], item_of_list, PARTS[2])

    assert group.head is item_of_list
    assert origin(group.causes) == "each GstBin made at app.py:60 is kept by app.seen"


def test_what_lies_inside_an_object_without_a_name_of_its_own_is_kept_by_the_object():
    """As the callbacks of a future, which Python code cannot reach by a name."""
    future = ChainNode(".future", "a Future", "Future", 120, None)
    callbacks = ChainNode("->", "a list of 600", "list", 5_432, None)
    group = only(a_cause("add", chain=(APP, future, callbacks, item(7))))

    assert origin(group.causes) == "app.py:14 allocates it, and app.future keeps it"


def test_parts_of_different_objects_are_different_leaks():
    other = replace(PARTS[2], owner=replace(BIN, type="GstPad"))

    assert len(group_causes([*PARTS[:2], other])) == 2


def test_a_cause_alone_is_told_as_it_was():
    group = only(TABLE)

    assert say.group_sentence(group) == say.cause_sentence(TABLE)
    assert say.advise_on_group(group) == say.advise(TABLE)
    assert say.site_lines(group) == ()


def test_two_containers_are_two_leaks_whichever_object_holds_them():
    """The items of a list are alike; the keys of a dict that holds lists are not."""
    registry = ChainNode(".registry", "a dict of 2", "dict", 232, None)
    first = a_cause("one", chain=(APP, registry, ChainNode("['a']", "a list", "list", 5_000, None), item(1)))
    second = a_cause("two", chain=(APP, registry, ChainNode("['b']", "a list", "list", 5_000, None), item(1)))
    elsewhere = a_cause("three", chain=(APP, ChainNode(".log", "a list", "list", 5_000, None), item(1)))

    assert members(first, elsewhere, second) == [["one"], ["three"], ["two"]]


def test_of_nested_containers_the_outermost_that_grows_is_the_holder():
    """As long as the list is short, each of its items takes more memory than it does."""
    large = a_cause("parse", chain=(APP, SEEN, item(7, size_bytes=9_000), item(1)))
    other = a_cause("scan", chain=(APP, SEEN, item(8, size_bytes=9_000), item(1)))

    assert members(large, other) == [["parse", "scan"]]
    assert members(large, TABLE, other) == [["parse", "append", "scan"]]


def test_what_the_objects_of_another_cause_hold_belongs_to_it():
    """The data of an array, which gc shows no way to; and what is lost with a lost block."""
    array = a_cause("work", 96.0, chain=(APP, SEEN, item(1, "ndarray", 112)))
    data = a_cause("calloc", 800.0, kind="native", memory_path=(step_of(array),), python_where=None)
    lost = a_cause("lost", 96.0, kind="lost-reference", state="lost")
    lost_data = a_cause("lost data", 800.0, kind="native", state="lost", memory_path=(step_of(lost, "lost-block"),))

    assert members(data, array, lost_data, lost) == [["calloc", "work"], ["lost data", "lost"]]
    assert only(data, array).head == array
    assert say.group_sentence(only(lost_data, lost)) == (
        "Memory allocated at app.py:14 is lost. It keeps memory from 2 call sites: 896 B per call."
    )
    assert "Py_DECREF" in say.advise_on_group(only(lost_data, lost))


def step_of(cause: Cause, kind: str = "block") -> MemoryStep:
    return MemoryStep(kind, allocated_at=cause.python_where)


def test_two_causes_that_hold_each_other_are_one():
    """A pool and its chunks; whoever comes first is named."""
    pool, chunk = a_cause("pool"), a_cause("chunk")
    first = a_cause("pool", memory_path=(step_of(chunk),))
    second = a_cause("chunk", memory_path=(step_of(pool),))

    group = only(first, second)

    assert (group.head, len(group.causes)) == (first, 2)
    assert say.group_sentence(group) == "Memory allocated at app.py:14 keeps memory from 2 call sites: 16 B per call."


def test_a_cache_a_static_variable_and_a_reference_cycle_are_holders_too():
    cache = HoldingCache("lru_cache", "app.lookup", None, 600, None)
    kept = (MemoryStep("static", "kept", SO),)
    ring = (ChainNode("", "a Frame", "Frame", 56, None), ChainNode(".me", "a Frame", "Frame", 56, None))

    def sentence(**changes: object) -> str:
        return say.group_sentence(only(a_cause("one", **changes), a_cause("two", **changes)))

    said = "memory from 2 call sites: 16 B per call."
    assert sentence(holder=cache) == f"An lru_cache without a bound, app.lookup, with 600 entries, keeps {said}"
    assert sentence(kind="native", memory_path=kept) == f"kept, a static variable of fast.so, keeps {said}"
    assert sentence(kind="reference-cycle", ring=ring) == f"Objects that refer to each other keep {said}"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "unknown"},
        {"kind": "lost-reference", "chain": (APP, SEEN, item(1))},
        {"kind": "native", "memory_path": (MemoryStep("static", "_PyRuntime", "/usr/lib/libpython3.11.so.1.0"),)},
        {"memory_path": (MemoryStep("static", "kept", SO),)},
        {"kind": "native", "memory_path": (MemoryStep("static", None, SO),)},
        {"kind": "native", "memory_path": (MemoryStep("thread-stack"),)},
        {"count_per_iteration": 1.0, "kind": "file-descriptor", "state": "unknown"},
    ],
)
def test_what_has_no_holder_of_its_own_stays_alone(changes: dict[str, object]):
    """Unknown holders, the interpreter, which holds everything, stacks, and references that somebody forgot."""
    assert members(a_cause("one", **changes), a_cause("two", **changes)) == [["one"], ["two"]]


def test_what_is_only_suspected_is_marked():
    suspected = a_cause("parse", 40.0, chain=(APP, SEEN, item(7)), confirmed=False)

    assert say.site_lines(only(TABLE, suspected))[1].endswith("allocated in parse (app.py:14) (suspected)")
    assert say.group_sentence(only(suspected, suspected)).startswith("Suspected: app.seen, ")


def test_more_groups_than_are_shown_are_counted_as_causes():
    assert say.more_causes_sentence(group_causes([TEXTS, ITEMS, a_cause("one", state="unknown")])) == (
        "… and 2 more causes, 98 B per call together."
    )


def test_the_steps_of_a_way_are_expressions():
    """A module is no holder; where nothing but a module holds a container, it is its own."""
    assert [expression for expression, _ in chain_steps((APP, SEEN, item(7)))] == ["app.seen", "app.seen[7]"]


def test_what_a_local_variable_leads_to_is_named_as_its_function_names_it():
    writer = ChainNode("self of consume", "a Writer", "Writer", 56, None)
    frames = ChainNode("._frames", "a deque of 600", "deque", 5432, None)

    steps = chain_steps((writer, frames, item(7)))

    assert [name for name, _ in steps] == ["self of consume", "self._frames of consume", "self._frames[7] of consume"]
    assert largest_holder((writer, frames, item(7))) == ("self._frames of consume", frames)
    assert largest_holder((APP, SEEN, item(7))) == ("app.seen", SEEN)
    assert largest_holder((APP, SEEN)) == ("app.seen", SEEN)
    assert largest_holder(()) is None


def test_a_class_is_the_holder_only_where_nothing_else_is():
    """The type object of a class is larger than a list of two hundred items, but it does not grow."""
    session, sessions = ChainNode(".Session", "a class", "type", 1_688, None), ChainNode("._all", "", "list", 792, None)

    assert largest_holder((APP, session, sessions, item(7))) == ("app.Session._all", sessions)
    assert largest_holder((APP, session, item(7))) == ("app.Session", session)


@pytest.mark.integration
@pytest.mark.native
def test_parsed_messages_that_a_list_keeps_are_one_leak(tmp_path: Path):
    """Three call sites and more: the table of the list, the dicts, and the strings and lists in those."""
    text = """
        import json
        seen = []
        def cycle(state):
            seen.append(json.loads('{"frame": 7, "pixels": [1, 2, 3], "text": "abc def"}'))
    """

    result = soak_text(tmp_path, text, n_min=128)

    largest = group_causes(result.causes)[0]
    assert len(largest.causes) > 1
    assert say.group_sentence(largest).startswith("drive_it.seen, a list of 600 (")
    assert largest.bytes_per_iteration == pytest.approx(
        sum(c.bytes_per_iteration or 0 for c in result.causes), rel=0.05
    )


def test_what_c_code_holds_has_no_expression_of_its_own():
    assert without_arrows("app.view->[0].cache") == "[0].cache inside app.view"
    assert without_arrows("app.view->") == "inside app.view"
    assert without_arrows("app.view->->.cache") == ".cache inside app.view"
    assert without_arrows("app.seen['a->b']") == "app.seen['a->b']"
    view, array, first = (ChainNode(name, "", "", 0, None) for name in (".view", "->", "[0]"))
    unnamed = ChainNode("->", "", "", 0, None)

    steps = [expression for expression, _ in chain_steps([APP, view, unnamed, array, first, first])]

    assert steps == ["app.view", *["inside app.view"] * 2, "inside app.view: [0]", "inside app.view: [0][0]"]


def test_what_has_no_expression_is_told_by_what_it_is():
    array = ChainNode("->", "a memoryview", "memoryview", 56, None)

    told = say.held_by(a_cause("read", chain=(APP, ChainNode(".view", "a View", "View", 64, None), array)))

    assert told == ("app.view, a View, 64 B", "a memoryview inside app.view, 56 B")


@pytest.mark.parametrize(
    ("name", "blocks", "keeper"),
    [(".values", 0.0, "app.store.values"), (".values", 1.0, "app.store"), ("[8]", 0.0, "app.store")],
)
def test_an_array_that_is_made_anew_in_each_call_is_its_own_holder(name: str, blocks: float, keeper: str):
    """One that each call adds to what an object holds is not; nor one of ten that grow in turn."""
    store = ChainNode(".store", "a Store", "Store", 56, None)
    values = ChainNode(name, "an ndarray", "ndarray", 900_000, None)
    array = a_cause("append", chain=(APP, store, values), blocks_per_iteration=blocks)

    assert origin((array,)) == f"app.py:14 allocates it, and {keeper} keeps it"
