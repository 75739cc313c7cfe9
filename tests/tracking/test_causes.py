"""Causes out of growing sites: what belongs together, what it is called, where it is, and by what it is known again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from soak.analysis.sites.ledger import Suspect
from soak.attribution.causes import Call, GrowingSite, causes_of_sites, fingerprint
from soak.attribution.holders import Reachability
from soak.attribution.object_answers import Link, SiteAnswer
from soak.attribution.pointers.owners import Ownership
from soak.results import Cause, Place
from soak.verdict import SeriesState, SeriesVerdict, Verdict

NATIVE, PYTHON_MEM, PYTHON_OBJ = 0, 1, 2
EXTENSION, INTERPRETER, LIBC = "/lib/site-packages/decoder.so", "/usr/bin/python3.11", "/lib/libc.so.6"
PLACES = {
    0x10: Place("read_header", "/src/decoder.c", 88, EXTENSION, "decoder 1.2"),
    0x18: Place("read_header", "/src/decoder.c", 88, EXTENSION, "decoder 1.2"),
    0x20: Place("decode", "/src/decoder.c", 120, EXTENSION, "decoder 1.2"),
    0x30: Place("cfunction_call", "methodobject.c", 500, INTERPRETER),
    0x40: Place("_PyEval_EvalFrameDefault", "ceval.c", 7000, INTERPRETER),
    0x50: Place("strdup", "strdup.c", 42, LIBC),
    0x60: Place("decoder.so+0x60", None, None, EXTENSION),
}
CYCLE = Call(file="/app/drive.py", function="cycle", line=12)
LOOP = Call(file="/app/soak/inside/loop.py", function="Loop.run", line=99)
STACK = (Call(0x10), Call(0x20), Call(0x30), Call(0x40), CYCLE, LOOP)


def a_suspect(site: int = 5, rate: float = 106.0, blocks: float = 1.0, size: int | None = 106) -> Suspect:
    verdict = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, rate, rate, rate, decided_at=256, since=64)
    return Suspect(site, verdict, blocks, size)


def a_site(
    place: Call | None = STACK[0], domain: int = NATIVE, *stacks: tuple[Call, ...], **suspect: float
) -> GrowingSite:
    return GrowingSite(a_suspect(**suspect), domain, place, stacks or (STACK,))  # type: ignore[arg-type]


def causes(*sites: GrowingSite, gc_held_off: bool = False) -> tuple[Cause, ...]:
    return causes_of_sites(sites, lambda address: (PLACES[address],), gc_held_off=gc_held_off)


def test_a_native_site_is_named_by_its_function_and_the_python_line_that_called_it() -> None:
    """Everything that a person needs, in one cause."""
    (cause,) = causes(a_site())

    assert (cause.kind, cause.confirmed) == ("native", True)
    assert cause.where == PLACES[0x10]
    assert cause.python_where == Place("cycle", "/app/drive.py", 12)
    assert (cause.bytes_per_iteration, cause.blocks_per_iteration) == (106.0, 1.0)
    assert (cause.requested_size, cause.every, cause.since) == (106, 1.0, 64)


def test_what_the_allocators_make_of_the_blocks_follows_from_their_size() -> None:
    """Each domain rounds up in its own way; where sizes differ, or a buffer grows, it is not told."""
    (of_malloc,), (of_python,) = causes(a_site()), causes(a_site(CYCLE, PYTHON_OBJ, (CYCLE,)))
    (both,) = causes(a_site(CYCLE, PYTHON_OBJ, (CYCLE,)), a_site(CYCLE, PYTHON_MEM, (CYCLE,), size=24, rate=24.0))
    (varied,) = causes(a_site(size=None))

    assert of_malloc.allocated_bytes_per_iteration == 128.0
    assert of_python.allocated_bytes_per_iteration == 112.0
    assert both.allocated_bytes_per_iteration == 144.0
    assert varied.allocated_bytes_per_iteration is None


def test_the_stack_has_no_plumbing_of_the_interpreter_and_none_of_soak() -> None:
    """It has the C functions down to the bytecode, without the interpreter's own; then Python's functions."""
    (cause,) = causes(a_site())

    assert cause.frames == (PLACES[0x10], PLACES[0x20], Place("cycle", "/app/drive.py", 12))


def test_the_stack_is_mixed_as_the_functions_called_each_other() -> None:
    """C that calls back into Python is between its caller and its callee, however the interpreter runs frames."""
    handler = Call(file="/app/drive.py", function="handler", line=30, is_entry=True)
    helper = Call(file="/app/drive.py", function="helper", line=40)
    main = Call(file="/app/main.py", function="main", line=3, is_entry=True)
    stack = (Call(0x30), Call(0x40), Call(0x20), Call(0x30), Call(0x40), helper, handler, CYCLE, main)

    (cause,) = causes(a_site(helper, PYTHON_OBJ, stack))

    assert tuple(map(str, cause.frames)) == (
        "cfunction_call at methodobject.c:500 in python3.11",
        "helper at /app/drive.py:40",
        "handler at /app/drive.py:30",
        "decode at /src/decoder.c:120 in decoder.so",
        "cycle at /app/drive.py:12",
        "main at /app/main.py:3",
    )


def test_a_runtime_library_is_not_the_place_but_who_called_it() -> None:
    """A copy made by libc belongs to the function that asked for it."""
    (cause,) = causes(a_site(Call(0x50), NATIVE, (Call(0x50), Call(0x20), CYCLE)))

    assert cause.where == PLACES[0x20]


def test_an_extension_that_calls_back_into_python_is_not_the_place() -> None:
    """An event loop calls every handler, so the handler's line is the place."""
    stack = (Call(0x30), Call(0x40), Call(0x20), Call(0x40), CYCLE, LOOP)

    (of_python,) = causes(a_site(CYCLE, PYTHON_OBJ, stack))
    (of_malloc,) = causes(a_site(Call(0x50), NATIVE, (Call(0x50), *stack)))

    assert of_python.where is None
    assert of_malloc.where == PLACES[0x50]
    assert of_malloc.python_where == of_python.python_where == Place("cycle", "/app/drive.py", 12)


def test_a_site_in_a_runtime_library_without_a_stack_is_named_as_it_is() -> None:
    """No better place is known."""
    site = GrowingSite(a_suspect(), NATIVE, Call(0x50), ())

    (cause,) = causes(site)

    assert (cause.where, cause.python_where) == (PLACES[0x50], None)
    assert cause.frames == (PLACES[0x50],)


def test_a_place_without_symbols_is_module_and_offset_only_once() -> None:
    """No function, file or line is made up."""
    (cause,) = causes(GrowingSite(a_suspect(), NATIVE, Call(0x60), ()))

    assert cause.where == PLACES[0x60]
    assert [str(frame) for frame in cause.frames] == ["decoder.so+0x60"]


def test_a_site_of_which_nothing_is_known_is_still_a_cause() -> None:
    """Its rate is still true."""
    (cause,) = causes(GrowingSite(a_suspect(), NATIVE, None, ()))

    assert (cause.where, cause.python_where, cause.frames) == (None, None, ())
    assert cause.bytes_per_iteration == 106.0


def test_a_python_object_is_placed_by_its_line() -> None:
    """The C function that makes all objects is no place."""
    (cause,) = causes(a_site(CYCLE, PYTHON_OBJ, (Call(0x30), CYCLE, LOOP)))

    assert (cause.kind, cause.where) == ("python-object", None)
    assert cause.python_where == Place("cycle", "/app/drive.py", 12)


def test_objects_are_a_reference_cycle_where_garbage_is_not_collected() -> None:
    """With gc off, soak does not collect either, so objects that stay are mostly circular."""
    (cause,) = causes(a_site(CYCLE, PYTHON_OBJ), gc_held_off=True)

    assert cause.kind == "reference-cycle"
    assert causes(a_site(), gc_held_off=True)[0].kind == "native"


def test_sites_of_one_line_are_one_cause_with_their_sum() -> None:
    """An object and what it owns, made by one expression."""
    (cause,) = causes(
        a_site(CYCLE, PYTHON_OBJ, rate=16.0, size=16, site=1),
        a_site(CYCLE, PYTHON_MEM, rate=56.0, size=56, site=2),
    )

    assert (cause.bytes_per_iteration, cause.blocks_per_iteration, cause.requested_size) == (72.0, 2.0, None)


def test_two_calls_on_one_line_of_c_are_one_cause() -> None:
    """Return addresses differ, the line does not."""
    assert len(causes(a_site(Call(0x10), site=1), a_site(Call(0x18), site=2))) == 1


def test_a_buffer_that_grows_on_the_same_line_leaves_the_size_of_the_blocks() -> None:
    """The list is one block, however long: each new block is what was appended."""
    buffer = a_site(CYCLE, PYTHON_MEM, rate=8.4, blocks=0.0, size=None, site=2)  # type: ignore[arg-type]

    (cause,) = causes(a_site(CYCLE, PYTHON_OBJ, site=1), buffer)

    assert (cause.requested_size, cause.blocks_per_iteration, cause.bytes_per_iteration) == (106, 1.0, 114.4)


def test_the_objects_beside_a_buffer_tell_who_holds_them_though_only_the_buffer_is_proven_yet() -> None:
    """A list's buffer is one block that is moved: no scan finds what was appended to it by way of it."""
    grows = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 106.0, 50.0, 150.0)
    chain = (Link("module app", "a module", "module", 72, 7), Link(".kept", "a list of 90", "list", 800, 8))
    appended = a_site(CYCLE, PYTHON_OBJ, site=1)
    appended = replace(
        appended,
        suspect=replace(appended.suspect, verdict=grows),
        reachability=Reachability("held", type="Session", answer=SiteAnswer(chain)),
    )
    buffer = a_site(CYCLE, PYTHON_MEM, rate=8.4, blocks=0.0, size=None, site=2)  # type: ignore[arg-type]
    buffer = replace(buffer, reachability=Reachability("held"))

    (cause,) = causes(buffer, appended)

    assert (cause.confirmed, cause.type, cause.state) == (True, "Session", "held")
    assert [node.name for node in cause.chain] == ["app", ".kept"]


def test_different_lines_are_different_causes_the_fastest_first() -> None:
    """Proven ones come before those that only grow."""
    slow = a_site(CYCLE, PYTHON_OBJ, rate=10.0, site=1)
    fast = a_site(replace(CYCLE, line=13), PYTHON_OBJ, rate=50.0, site=2)
    unproven = a_site(replace(CYCLE, line=14), PYTHON_OBJ, rate=900.0, site=3)
    grows = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 900.0, 800.0, 1000.0)
    unproven = replace(unproven, suspect=replace(unproven.suspect, verdict=grows))

    found = causes(unproven, slow, fast)

    assert [cause.python_where.line for cause in found if cause.python_where] == [13, 12, 14]
    assert [cause.confirmed for cause in found] == [True, True, False]


def test_a_leak_planted_by_soak_is_shown_at_its_own_line() -> None:
    """--inject plants it in soak's own folder, which is otherwise left out."""
    planted = Call(file="/lib/soak/inside/injection.py", function="leak", line=30)

    (cause,) = causes(a_site(planted, PYTHON_OBJ, (planted, LOOP)))

    assert cause.python_where == Place("leak", "/lib/soak/inside/injection.py", 30)


def test_one_block_in_a_thousand_cycles_says_so() -> None:
    """``every`` counts cycles."""
    (cause,) = causes(a_site(rate=106.0, blocks=0.001, size=106_000))

    assert cause.every == 1000.0


def test_a_fingerprint_does_not_change_with_lines_and_folders() -> None:
    """After an edit above, or in another checkout, it is the same leak."""
    here = Place("cycle", "/app/drive.py", 12)
    moved = Place("cycle", "/elsewhere/drive.py", 112)

    assert fingerprint("python-object", None, here, 106) == fingerprint("python-object", None, moved, 106)
    native = replace(PLACES[0x10], line=99, file="/other/decoder.c", module="/venv/decoder.so", package="decoder 1.3")
    assert fingerprint("native", PLACES[0x10], here, 106) == fingerprint("native", native, moved, 106)


def test_a_fingerprint_changes_with_kind_module_function_and_size_class() -> None:
    """What differs in one of them is another leak; 106 and 112 B are one size class, 113 is not."""
    place = PLACES[0x10]
    different = {
        fingerprint("native", place, None, 106),
        fingerprint("python-object", place, None, 106),
        fingerprint("native", PLACES[0x20], None, 106),
        fingerprint("native", replace(place, module="/lib/other.so"), None, 106),
        fingerprint("native", place, None, 113),
        fingerprint("native", place, None, None),
    }

    assert len(different) == 6
    assert fingerprint("native", place, None, 106) == fingerprint("native", place, None, 112)


def test_a_python_objects_fingerprint_is_the_same_with_and_without_its_stack() -> None:
    """Whether its stack was captured depends on when the run ended."""
    with_stack = a_site(CYCLE, PYTHON_OBJ, STACK)
    without = replace(with_stack, stacks=())

    assert causes(with_stack)[0].where == PLACES[0x10]
    assert causes(with_stack)[0].fingerprint == causes(without)[0].fingerprint


def an_owned_site(site: int, *chain: Link) -> GrowingSite:
    """Give a site whose blocks belong to Frames, to which no pointer from outside was seen; ``chain``: references."""
    frames = Ownership(5, "Frame", 1.0, 400.0, frozenset({5, 6}), is_lost=True)
    place = Call(file="/app/camera.py", function="take", line=site)
    return replace(
        a_site(place, PYTHON_OBJ, (place,), site=site),
        reachability=Reachability("held", owner=frames, answer=SiteAnswer(chain)),
    )


def test_an_owner_to_which_references_lead_is_not_lost() -> None:
    """In a linked list only its ends have pointers from outside; Python knows the way to all."""
    way = (Link("app", "", "module", 80, 0), Link(".frames", "", "deque", 624, 0), Link("[3]", "", "Frame", 72, 5))

    reached = causes(an_owned_site(5, *way), an_owned_site(6))
    unreached = causes(an_owned_site(5), an_owned_site(6))

    assert [cause.owner and cause.owner.is_lost for cause in reached] == [False, False]
    assert [cause.owner and cause.owner.is_lost for cause in unreached] == [True, True]


@pytest.mark.parametrize("made", ["numbers", "once.<locals>.<genexpr>"])
@pytest.mark.parametrize("kind", ["generator", "list"])
def test_a_generator_is_made_where_its_function_was_called(tmp_path: Path, made: str, kind: str) -> None:
    """Its own frame allocates it, at the line of ``def``. The line that allocates another object is its place."""
    file = tmp_path / "app.py"
    file.write_text("import functools\n@functools.lru_cache\ndef numbers():\n    yield 1\n", encoding="utf-8")
    own = Call(file=str(file), function=made, line=2)
    site = replace(a_site(own, PYTHON_OBJ, (own, CYCLE, LOOP)), reachability=Reachability("held", type=kind))

    (cause,) = causes(site)

    expected = Place("cycle", "/app/drive.py", 12) if kind == "generator" else Place(made, str(file), 2)
    assert cause.python_where == cause.frames[0] == expected


def test_a_line_in_a_generator_that_makes_another_one_is_its_place(tmp_path: Path) -> None:
    """From CPython 3.10 downwards the caller's frame allocates it: that may be a generator itself."""
    file = tmp_path / "app.py"
    file.write_text("def numbers():\n    yield from more()\n", encoding="utf-8")
    caller = Call(file=str(file), function="numbers", line=2)
    site = replace(a_site(caller, PYTHON_OBJ, (caller, CYCLE)), reachability=Reachability("held", type="generator"))

    (cause,) = causes(site)

    assert cause.python_where == Place("numbers", str(file), 2)
