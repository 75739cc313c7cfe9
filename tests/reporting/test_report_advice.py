"""What to do about a cause: one sentence for each situation, with the place and the holder where they are known."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from builder import a_cause
from hypothesis import given
from hypothesis import strategies as st

from soak.grounds import HoldingCache
from soak.measurements import SIGNALS
from soak.reporting import words as say
from soak.reporting.words.causes.advice import origin
from soak.reporting.words.causes.kinds import KINDS, kind_words
from soak.results import Cause, ChainNode, MemoryKind, MemoryStep, Place, Unseen

APP, FAST = Place("work", "/home/me/app.py", 14), Place("pack.encode", "/home/me/fast.pyx", 6, "/home/me/fast.so")
STRIPPED = Place("default_calloc", None, None, "/v/site-packages/numpy/_core/_umath.so", "numpy 2.3.1")
LIBRARY = Place("raw_decode", "/usr/lib/python3.11/json/decoder.py", 353)
MODULE = ChainNode("app", "a module", "module", 72, None)
SEEN = ChainNode(".seen", "a list of 600", "list", 5_432, None)


def an_object(**changes: object) -> Cause:
    """Give Python objects that stay, allocated at app.py:14."""
    return a_cause(**{"kind": "python-object", "where": None, "python_where": APP, "frames": (APP,), **changes})


def test_lost_memory_is_told_by_the_line_that_allocates_it():
    """Of compiled code its line, or what there is of it; nothing is made up where nothing is known."""
    missing = a_cause(where=None, python_where=None, frames=())

    assert say.advise(a_cause(where=FAST)) == "fast.pyx:6 allocates this, and one path out of it never frees it."
    assert say.advise(a_cause(where=STRIPPED)).startswith("default_calloc in _umath.so allocates this, and ")
    assert say.advise(a_cause(where=None, python_where=APP)).startswith(
        "the C code that app.py:14 calls allocates this"
    )
    assert say.advise(missing) == "One path out of the code that allocates this never frees it."


def test_of_what_is_lost_with_something_else_it_is_said_that_lost_memory_points_to_it():
    cause = a_cause(memory_path=(MemoryStep("lost-block", allocated_at=FAST),))

    assert "only lost memory points to it" in say.cause_sentence(cause)
    assert "nothing points to it any more" in say.cause_sentence(a_cause())


def test_what_is_lost_with_something_else_is_not_the_first_to_fix():
    lost_with = MemoryStep("lost-block", allocated_at=FAST)

    assert say.advise(a_cause(memory_path=(lost_with,))) == (
        "The block allocated at fast.pyx:6 points to them and is lost itself: fix that first."
    )


def test_what_a_container_holds_is_told_by_the_container_that_takes_most_memory():
    """Not by the last holder, which is one of many, and not by the module."""
    item = ChainNode("[7]", "a dict of 3", "dict", 184, None)
    text = ChainNode("['text']", "a str of 7: 'abc def'", "str", 56, None)
    bound = "give it a bound, or remove what each call adds."

    assert say.advise(an_object(state="held", chain=(MODULE, SEEN, item, text))) == (
        f"They are held by app.seen, a list of 600 (5.305 KiB): {bound}"
    )
    assert say.advise(an_object(state="held", chain=(MODULE, SEEN))) == (
        f"They are held by app.seen, a list of 600 (5.305 KiB): {bound}"
    )
    assert say.advise(an_object(state="held", chain=(MODULE, SEEN, item)), "request").endswith(
        "what each request adds."
    )


def test_a_view_is_told_with_what_it_keeps():
    """A memoryview leads to its buffer; of an array numpy shows no way, so its data are the block that stays."""
    view = ChainNode("[0]", "a memoryview", "memoryview", 184, Place("work", "/home/me/app.py", 15))
    frame = ChainNode("->", "a bytes of 2,000: b'...", "bytes", 2_033, APP)
    array = ChainNode("[2]", "a ndarray (2,) float64", "ndarray", 112, Place("work", "/home/me/app.py", 15))
    of_frame = an_object(
        state="held", chain=(MODULE, SEEN, view, ChainNode("->", "", "managedbuffer", 128, None), frame)
    )
    of_array = a_cause(state="held", requested_size=691_200, chain=(MODULE, SEEN, array))
    whole_array = a_cause(
        state="held", requested_size=800, chain=(MODULE, SEEN, ChainNode("[2]", "", "ndarray", 912, None))
    )

    assert say.advise(of_frame) == (
        "A view of 184 B made at app.py:15 keeps a bytes object of 1.985 KiB: copy it, or give app.seen a bound."
    )
    assert say.advise(of_array) == (
        "A view of 112 B made at app.py:15 keeps an array of 675 KiB: copy it, or give app.seen a bound."
    )
    assert say.advise(whole_array).startswith("They are held by app.seen, ")
    assert say.advise(an_object(state="held", chain=(MODULE, SEEN, array))).startswith("They are held by app.seen, ")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            (MemoryStep("static", "kept", "/home/me/fast.so"), MemoryStep("block", allocated_at=FAST)),
            "They are held by kept, a static variable of fast.so: give it a bound, or free what each call adds.",
        ),
        (
            (MemoryStep("unknown"), MemoryStep("block", type="memoryview", allocated_at=APP)),
            "The memoryview allocated at app.py:14 points to them; soak could not find what holds that.",
        ),
        (
            (MemoryStep("block", type="int", allocated_at=APP),),
            "The int allocated at app.py:14 points to them; soak could not find what holds that.",
        ),
        (
            (MemoryStep("block", type="Registry", allocated_at=APP),),
            "They are held by the Registry allocated at app.py:14: give it a bound, or free what each call adds.",
        ),
        ((MemoryStep("unknown"),), "soak could not find what holds them; they are allocated at fast.pyx:6."),
        (
            (MemoryStep("thread-stack"),),
            "They are held by a thread's stack: by a variable of a function that is still running.",
        ),
    ],
)
def test_memory_that_holds_something_is_told_by_its_name_where_it_has_one(path: tuple[MemoryStep, ...], expected: str):
    """Nobody can give a bound to memory that has no name."""
    assert say.advise(a_cause(state="held", where=FAST, memory_path=path)) == expected


def test_a_cache_is_told_with_its_bound():
    def of(cache: HoldingCache) -> str:
        return say.advise(an_object(state="held", chain=(MODULE, SEEN), holder=cache))

    assert of(HoldingCache("lru_cache", "app.lookup", None, 600, None)) == (
        "They are held by an lru_cache without a bound, app.lookup, with 600 entries. Give it a maxsize."
    )
    assert of(HoldingCache("lru_cache", "app.lookup", 5_000, 600, 5_000)) == (
        "They are held by an lru_cache of 5,000, app.lookup, with 600 entries and full at about call 5,000. "
        "It is bounded, so its growth ends when it is full."
    )
    assert "look for what holds those" in of(HoldingCache("WeakValueDictionary", "app.weak", None, 9, None))
    assert "go with their objects: look for what" in of(HoldingCache("WeakSet", "app.all", None, 9, None))
    assert "see that it takes out these too" in of(
        HoldingCache("list", "app.on", None, 9, None, is_bounded_by_code=True)
    )


def test_a_reference_that_is_never_dropped_is_told_by_the_code_that_may_have_taken_it():
    """Who makes an object has its first reference. What holds the object besides is no excuse."""
    both = an_object(
        kind="lost-reference", state="held", chain=(MODULE, SEEN, ChainNode("[7]", "a Frame", "Frame", 56, None))
    )

    assert say.advise(a_cause(kind="lost-reference", where=FAST)).endswith("a missing Py_DECREF, first in fast.pyx:6.")
    assert say.advise(both).endswith(
        "first in the C code that app.py:14 calls. They are held by app.seen, a list of 600, 5.305 KiB as well."
    )


def test_a_reference_cycle_is_written_out():
    node = ChainNode("", "a Frame", "Frame", 56, None)
    ring = (node, ChainNode(".parent", "a Node", "Node", 56, None), ChainNode(".frame", "a Frame", "Frame", 56, None))
    garbage = (ChainNode("gc", "a module", "module", 72, None), ChainNode(".garbage", "a list of 9", "list", 136, None))

    off = say.advise(an_object(kind="reference-cycle", state="held", ring=ring))
    kept = say.advise(an_object(kind="reference-cycle", state="held", ring=ring, chain=(*garbage, node)))

    assert off.endswith("or break the reference cycle. The cycle: Frame → .parent → Node → .frame → Frame.")
    assert "garbage collection is off" in off
    assert "put them into gc.garbage, where they stay" in kept
    assert "garbage collection is off" not in kept


def test_the_first_sentence_names_the_reference_cycle_that_keeps_objects():
    node = ChainNode("", "a Frame", "Frame", 56, None)
    garbage = (ChainNode("gc", "a module", "module", 72, None), ChainNode(".garbage", "a list of 9", "list", 136, None))
    off = an_object(kind="reference-cycle", state="held", ring=(node,))
    kept = an_object(kind="reference-cycle", state="held", ring=(node,), chain=(*garbage, node))
    by_c = an_object(kind="reference-cycle", state="held", memory_path=(MemoryStep("static", "kept", "/app/fast.so"),))

    assert origin([off]) == "app.py:14 allocates it, and a reference cycle that is not collected keeps it"
    assert origin([kept]) == "app.py:14 allocates it, and a reference cycle that gc cannot free keeps it"
    assert "reference cycle" not in origin([by_c])
    assert say.cause_sentence(off).endswith("; its objects hold each other.")


@pytest.mark.parametrize("module", ["/usr/lib/python3.11/lib-dynload/mmap.so", "/usr/lib/libpython3.11.so.1.0"])
def test_of_the_source_of_cpython_the_line_of_python_is_told(module: str):
    """mmapmodule.c maps what the program asked for."""
    where = Place("new_mmap_object", "/build/Python-3.11.7/Modules/mmapmodule.c", 1365, module=module)
    line = Place("cycle", "/app/app.py", 14)
    cause = a_cause(kind="mapping", state="unknown", where=where, python_where=line, frames=(where, line))

    assert origin([cause], suspected=True).startswith("app.py:14 allocates it")


def test_mapped_memory_has_the_holder_of_the_object_that_the_same_line_makes():
    mapped = a_cause(kind="mapping", state="unknown", where=None, python_where=APP, frames=(APP,))
    held = an_object(state="held", chain=(MODULE, SEEN, ChainNode("[7]", "a mmap", "mmap", 96, None)))
    elsewhere = Place("work", APP.file, 15)

    assert origin([mapped, held]) == "app.py:14 allocates it, and app.seen keeps it"
    assert origin([mapped, replace(held, python_where=elsewhere)]) == "app.py:14 allocates it"


def test_the_value_of_what_grows_is_not_told_where_it_is_named():
    buffer = ChainNode(".buffer", "a bytearray of 9,000: bytearray(b'xxxx...", "bytearray", 9000, None)

    assert "xxxx" not in say.advise(an_object(state="held", chain=(MODULE, buffer)))


PROBABLY_LOST = (Unseen.MOST_LOST, Unseen.SEEN_ONCE)
SAID_OTHERWISE = (Unseen.NOT_SCANNED, Unseen.TOO_MANY_OBJECTS, *PROBABLY_LOST)


@pytest.mark.parametrize("reason", PROBABLY_LOST)
def test_what_is_likely_is_said_with_the_place(reason: Unseen):
    text = say.advise(an_object(state="unknown", unseen=reason))

    assert text.startswith("They are probably lost: nothing point")
    assert ". Look at app.py:14 for a list, dict or cache" in text


@pytest.mark.parametrize("reason", [reason for reason in Unseen if reason not in SAID_OTHERWISE])
def test_that_no_holder_was_seen_is_said_with_the_reason_and_the_place(reason: Unseen):
    text = say.advise(an_object(state="unknown", unseen=reason, unseen_detail="Operation not permitted"))

    assert text.startswith("soak could not find what holds them: ")
    assert " (Operation not permitted). Look at app.py:14 for a list, dict or cache" in text


def test_that_the_way_to_a_holder_was_not_seen_is_said_beside_it():
    path = (MemoryStep("static", "kept", "/home/me/fast.so"),)
    cut = say.advise(a_cause(state="held", memory_path=path, unseen="too-many-objects"))

    assert cut.startswith("They are held by kept, a static variable of fast.so: ")
    assert cut.endswith("there are more objects than soak can walk through in a moment.")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_name_a_title_and_advice_with_and_without_a_place(kind: str):
    """Whatever a cycle is called."""
    words = kind_words(kind)
    place = say.advise(Cause(kind, True, "unknown", "f1", python_where=LIBRARY), "request")
    nowhere = say.advise(Cause(kind, True, "unknown", "f1"), "request")

    assert words.name
    assert not words.title.endswith(".")
    assert place.endswith(".")
    assert nowhere.endswith(".")
    assert not re.search(r"[{}]|each (call|cycle|sample)", f"{place} {nowhere}")
    assert ("json/decoder.py:353" in place) == ("{place}" in words.advice)
    assert ("request" in nowhere) == ("{noun}" in words.advice + words.nowhere * ("{place}" in words.advice))


def test_every_signal_is_of_a_kind_that_has_words():
    assert {signal.kind for signal in SIGNALS.values()} <= KINDS.keys()


def test_a_kind_of_a_later_version_has_its_own_name():
    assert say.explain(Cause("new-kind", True, "unknown", "f1")).startswith("New-kind. ")


def test_which_kind_of_fragmentation_it_is_decides_on_the_advice():
    assert "reuse buffers" in say.advise(Cause("fragmentation", True, "unknown", "f1", is_free_memory=True))
    assert "reserved once and touched later" in say.advise(Cause("fragmentation", True, "unknown", "f1"))


PLACES = st.builds(
    Place,
    st.none() | st.sampled_from(["work", "default_calloc"]),
    st.none() | st.sampled_from(["/home/me/app.py", "/usr/lib/python3.11/json/decoder.py"]),
    st.none() | st.integers(1, 9),
    st.none() | st.just("/v/fast.so"),
)
NODES = st.builds(
    ChainNode,
    st.sampled_from(["app", ".seen", "[7]", "..."]),
    st.sampled_from(["a list of 9", "a module"]),
    st.sampled_from(["list", "module", "memoryview", "ndarray", ""]),
    st.none() | st.integers(1, 9_999),
    st.none() | PLACES,
)
STEPS = st.builds(
    MemoryStep,
    st.sampled_from([*MemoryKind, "later-kind"]),
    st.none() | st.just("kept"),
    st.none() | st.just("/v/fast.so"),
    st.none() | st.just("list"),
    st.none() | st.integers(1, 9_999),
    st.none() | PLACES,
)
CACHES = st.builds(
    HoldingCache,
    st.sampled_from(["lru_cache", "re", "WeakValueDictionary", "other"]),
    st.just("app.lookup"),
    st.none() | st.just(512),
    st.sampled_from([0, 512]),
    st.none() | st.just(512),
)
CAUSES = st.builds(
    Cause,
    kind=st.sampled_from([*KINDS, "later-kind"]),
    confirmed=st.booleans(),
    state=st.sampled_from(["lost", "held", "unknown"]),
    fingerprint=st.just("f1"),
    requested_size=st.none() | st.integers(1, 9_999),
    where=st.none() | PLACES,
    python_where=st.none() | PLACES,
    frames=st.lists(PLACES, max_size=2).map(tuple),
    type=st.none() | st.just("list"),
    holder=st.none() | CACHES,
    chain=st.lists(NODES, max_size=3).map(tuple),
    ring=st.lists(NODES, min_size=2, max_size=3).map(tuple) | st.just(()),
    memory_path=st.lists(STEPS, max_size=2).map(tuple),
    unseen=st.none() | st.sampled_from([*Unseen, "later-reason"]),
    unseen_detail=st.none() | st.just("Operation not permitted"),
    is_free_memory=st.booleans(),
)


@given(CAUSES, st.sampled_from(["call", "sample", "mark", "request", "frame"]))
def test_whatever_a_cause_is_its_advice_is_sentences_without_an_internal_name(cause: Cause, noun: str):
    """No field's name, no gap in a template, no None, and no other word for a cycle than was asked for."""
    text = say.advise(cause, noun)

    assert text.strip() == text
    assert text.endswith(".")
    assert "  " not in text
    assert not re.search(r"[{}]|\bNone\b", text)
    assert not any(field.name in text for field in fields(Cause) if "_" in field.name)
    assert all(f"each {other} " not in text for other in ("call", "sample", "mark") if other != noun)
