"""The plain words that every report shares."""

from __future__ import annotations

import dataclasses

import pytest
from builder import (
    a_cause,
    a_component,
    a_failure,
    a_leak,
    a_run,
    a_settling,
    an_undecided,
    controls,
    growth,
    parts,
    signal,
)

from soak.attribution.grouping import group_causes
from soak.grounds import Ground, GroundKind, HoldingCache, Keeper, Limit
from soak.reporting import words as say
from soak.reporting.words.causes.advice import origin, origin_brief
from soak.reporting.words.vocabulary import period_words
from soak.results import (
    AT_WORK,
    Cause,
    ChainNode,
    Failure,
    Opened,
    Pacing,
    Parts,
    Place,
    SignalSpike,
    TrackerState,
    Unseen,
)
from soak.verdict import Verdict

ROUNDED = " (the allocator uses 128 B for it)"
RAN = " (20,480 calls in 8.5 s)."
ORIGIN = "decoder/conversion.py:42 allocates it, and nothing points to it"


def a_mapping(rate: float, blocks: float):
    """Give a suspected mapping, which no scan looks for."""
    return a_cause(
        kind="mapping", confirmed=False, state="unknown", bytes_per_iteration=rate, blocks_per_iteration=blocks
    )


def test_the_headline_names_the_leak_and_counts_the_rest():
    """It says which component grows, by how much, and that no other does."""
    others = [a_component(name) for name in ("get", "decoder", "decompressor", "full_cycle", "malformed_frames")]

    actual = say.headline(a_run(*others, a_leak("numpy_conversion")))

    assert actual == (
        "numpy_conversion grows by 106 B per call "
        "at decoder/conversion.py:42; the other five do not grow by more than 1 B per call."
    )


def test_the_headline_of_a_clean_run_counts_its_components():
    """Nothing grows: one clause, with the tolerance as the bound."""
    run = a_run(*(a_component(f"part_{number}") for number in range(7)))

    assert say.headline(run) == "none of the seven components grows by more than 1 B per call."


def test_the_headline_of_two_clean_components_names_both():
    """Two can be named."""
    run = a_run(a_component("get"), a_component("decoder"))

    assert say.headline(run) == "neither get nor decoder grows by more than 1 B per call."


def test_the_headline_of_one_clean_component_names_it():
    """One is named."""
    assert say.headline(a_run(a_component("get"))) == "get does not grow by more than 1 B per call."


def test_the_headline_of_an_empty_run_says_so():
    """A run cut off before its first component has nothing to say, and says that."""
    assert say.headline(a_run()) == "Nothing was soaked: this run has no components."


def test_the_headline_of_a_run_that_could_keep_nothing_says_that_it_was_interrupted():
    """As where the disk was full at once: its components were to be soaked, so it is not said that there are none."""
    assert say.headline(a_run(finished=None)).startswith("Nothing can be said: the run was interrupted before")


def test_the_headline_puts_failures_before_leaks_before_what_is_open():
    """Worst first, whatever the order of the run."""
    run = a_run(
        a_component("decoder"), an_undecided("get"), a_settling("cache"), a_leak("convert"), a_failure("unpack")
    )

    expected = (
        "unpack failed in call 7; convert grows by 106 B per call "
        "at decoder/conversion.py:42; get could not be decided yet; "
        "cache is still settling; decoder does not grow by more than 1 B per call."
    )
    assert say.headline(run) == expected


def test_what_is_at_work_is_not_decided_yet_and_what_comes_is_named():
    """A run in progress has failed at nothing."""
    run = a_run(an_undecided("get", stopped_by=AT_WORK))
    run = dataclasses.replace(run, is_running=True, settings={"components": {"get": {}, "unpack": {}, "cache": {}}})

    assert say.headline(run) == "get is not decided yet."
    assert say.waiting_sentence(run) == "Still to come: unpack, cache."
    assert say.waiting_sentence(dataclasses.replace(run, is_running=False)) is None


def test_the_headline_counts_components_once_they_are_many():
    """Five leaks are counted, three of them named."""
    run = a_run(*(a_leak(f"leak_{number}") for number in range(5)), *(a_component(f"c{n}") for n in range(95)))

    expected = (
        "five components leak (leak_0 by 106 B per call, leak_1 by 106 B, leak_2 by 106 B and two more); "
        "the other 95 do not grow by more than 1 B per call."
    )
    assert say.headline(run) == expected


def test_the_headline_says_that_a_component_without_a_gate_does_not_count():
    """An accepted leak must neither alarm nor be hidden."""
    run = a_run(a_leak("display", gate=False, growth=growth(80_000.0, 79_000.0, 81_000.0)), a_component("get"))

    expected = (
        "get does not grow by more than 1 B per call; "
        "display grows by 78.1 KiB per call at decoder/conversion.py:42 (does not count: its gate is off)."
    )
    assert say.headline(run) == expected


def test_the_headline_of_a_clean_project_begins_with_good_news():
    """Components that do not count come last, whatever their verdict."""
    clean = [a_component(f"part_{number}") for number in range(6)]
    excused = [a_leak(f"display_{number}", gate=False) for number in range(4)]

    expected = (
        "none of the six components that count grows by more than 1 B per call; "
        "four components leak but do not count (display_0 by 106 B per call, display_1 by 106 B, display_2 by 106 B "
        "and one more)."
    )
    assert say.headline(a_run(*excused, *clean)) == expected


def test_the_headline_says_that_a_leak_is_known():
    """Growth on the list of known fingerprints is shown as such."""
    run = a_run(a_leak("convert"), settings={"known": [a_cause().fingerprint]})

    assert say.headline(run) == "convert grows by 106 B per call at decoder/conversion.py:42 (known)."


def test_the_headline_never_claims_a_tighter_bound_than_was_proven():
    """A component with its own, wider tolerance lifts the bound of what is said of all."""
    run = a_run(a_component("get"), a_component("decoder", growth=growth(4.0, 3.0, 7.341)))

    assert say.headline(run) == "neither get nor decoder grows by more than 7.35 B per call."


CRASHED = (
    "Fatal Python error: Segmentation fault",
    "",
    "Current thread 0x7f (most recent call first):",
    '  File "/srv/jpeg.py", line 5 in decode',
    '  File "/srv/jpeg.py", line 9 in read',
)
LOOP_FRAMES = ('  File "/opt/soak/inside/loop.py", line 14 in run',)


ARENA = a_cause(confirmed=False, bytes_per_iteration=166.0, blocks_per_iteration=0.01)


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (a_component("full_cycle"), "full_cycle does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s."),
        (
            a_component("get", growth=growth(0.0, 0.0, 0.0), iterations=1),
            "get does not grow: 1 call in 8.5 s.",
        ),
        (a_component("get", growth=None), "get does not grow: 20,480 calls in 8.5 s."),
        (
            a_component(
                "get",
                growth=growth(0.0, 0.0, 0.004, signal="python_blocks"),
                signals={"python_blocks": signal("python_blocks", 0.0, 0.0, 0.004)},
            ),
            "get does not grow by more than 1 Python block every 250 calls: 20,480 calls in 8.5 s.",
        ),
        (
            a_leak("convert"),
            f"convert grows by 106 B per call (the allocator uses 128 B for it): {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak("convert", growth=growth(128.0, 127.9, 128.1)),
            f"convert grows by 128 B per call: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak("open", growth=growth(0.1, 0.1, 0.1, signal="fds")),
            f"open grows by 1 file descriptor every 10 calls: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak("spawn", growth=growth(1.0, 1.0, 1.0, signal="threads")),
            f"spawn grows by 1 thread per call: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak(
                "open",
                growth=dataclasses.replace(
                    growth(0.1, 0.1, 0.1, signal="fds"),
                    bytes_per_iteration=88.0,
                    requested_bytes_per_iteration=88.0,
                    allocated_bytes_per_iteration=96.0,
                ),
            ),
            f"open grows by 1 file descriptor every 10 calls: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (a_leak("convert", growth=None), f"convert grows: {ORIGIN} (20,480 calls in 8.5 s)."),
        (
            a_settling("cache"),
            "cache grows by 12 B per call, but more and more slowly, like a cache that fills: 20,480 calls in 8.5 s.",
        ),
        (an_undecided("get"), "get could not be decided yet: 4,000 calls in 8.5 s."),
        (
            dataclasses.replace(a_leak("get"), verdict=Verdict.INCONCLUSIVE, grounds=(Ground(GroundKind.FEW_CYCLES),)),
            f"get could not be decided yet, but so far it grows by 106 B per call: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_failure("unpack", failure=Failure("cycle", 7, "exception", "ValueError: no frame.")),
            "unpack failed in call 7: ValueError: no frame.",
        ),
        (
            a_failure("unpack", failure=Failure("setup", 0, "exception", "ModuleNotFoundError: No module named 'cv2'")),
            (
                "unpack failed in setup: ModuleNotFoundError: No module named 'cv2'; --python measures with the "
                "interpreter that has it."
            ),
        ),
        (
            a_failure("unpack", failure=Failure("setup", 0, "exception", "OSError: no camera")),
            "unpack failed in setup: OSError: no camera.",
        ),
        (a_failure("unpack", failure=Failure("cycle", 1_019, "hang", "")), "unpack hung in call 1,019."),
        (
            a_failure("unpack", failure=Failure("cycle", 9, "signal", "SIGSEGV"), growth=growth(64.0, 63.0, 65.0)),
            "unpack failed in call 9: SIGSEGV; until then it grew by 64 B per call.",
        ),
        (
            a_failure("unpack", failure=Failure("cycle", 9, "signal", "SIGSEGV", (*CRASHED, *LOOP_FRAMES))),
            "unpack failed in call 9: SIGSEGV in decode (jpeg.py:5).",
        ),
        (
            a_failure("unpack", failure=Failure("cycle", 9, "signal", "SIGSEGV", (*CRASHED, "", *LOOP_FRAMES))),
            "unpack failed in call 9: SIGSEGV in decode (jpeg.py:5), in another thread than the calls.",
        ),
        (
            a_failure("unpack", failure=Failure("cycle", 9, "signal", "SIGSEGV", (*CRASHED[:3], *LOOP_FRAMES))),
            "unpack failed in call 9: SIGSEGV.",
        ),
        (
            a_failure("unpack", failure=Failure("teardown", 9, "exception", "E"), growth=growth(0.0, 0.0, 0.1)),
            "unpack failed in teardown: E; until then it did not grow.",
        ),
        (a_failure("unpack", failure=None), "unpack failed."),
        (
            a_leak("get", growth=growth(0.1004, 0.06, 0.12, signal="fds")),
            f"get grows by 1 file descriptor every 10 calls: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak(
                "get",
                growth=growth(0.0159, 0.01, 0.02, signal="threads"),
                signals={"tracked": signal("tracked", 1_300.0, 1_290.0, 1_310.0, verdict=Verdict.LEAK)},
            ),
            f"get grows by 1 thread every 63 calls, and by 1,300 B of memory: {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak("get", causes=(a_cause(), a_mapping(16_384.0, 1.0))),
            f"get grows by 106 B per call{ROUNDED}, and by 16 KiB of mapped memory: {ORIGIN}{RAN}",
        ),
        (
            a_leak("get", causes=(a_cause(), ARENA)),
            f"get grows by 106 B per call{ROUNDED}, and perhaps by another 166 B: {ORIGIN}{RAN}",
        ),
        (
            a_leak("get", causes=(a_cause(), dataclasses.replace(ARENA, blocks_per_iteration=1.0))),
            f"get grows by 106 B per call{ROUNDED}: {ORIGIN}{RAN}",
        ),
        (
            a_leak("get", causes=(a_cause(), a_mapping(5.0, 1.0))),
            f"get grows by 106 B per call (the allocator uses 128 B for it): {ORIGIN} (20,480 calls in 8.5 s).",
        ),
        (
            a_leak("get", causes=(a_cause(), a_mapping(16_384.0, 0.0001))),
            f"get grows by 106 B per call (the allocator uses 128 B for it): {ORIGIN} (20,480 calls in 8.5 s).",
        ),
    ],
)
def test_a_component_is_said_in_one_sentence(component, expected):
    """What was found, and how much running it rests on."""
    assert expected == say.component_sentence(component)


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (a_component(), "≤ 0.21 B/cycle"),
        (a_component(growth=growth(-0.4, -0.6, -0.2)), "≤ 0 B/cycle"),
        (a_leak(), "128 B/cycle [127.9, 128.1] (106 requested)"),
        (
            a_leak(growth=growth(0.1, 0.1, 0.1, signal="fds"), signals={"fds": signal("fds", 0.1, 0.09, 0.11)}),
            "0.1 fds/cycle [0.09, 0.11]",
        ),
        (a_leak(growth=growth(0.1, 0.1, 0.1, signal="fds"), signals={}), "0.1 fds/cycle"),
        (
            a_leak(
                growth=dataclasses.replace(
                    growth(2.0, 1.9, 2.1, signal="python_blocks"), bytes_per_iteration=106.0, low=105.0, high=107.0
                )
            ),
            "106 B/cycle [105, 107]",
        ),
        (a_leak(growth=None), "–"),
        (a_failure(failure=None), "–"),
        (a_failure(), "failed in call 7: decoder.errors.DecodeError: appendedFrame…"),
        (a_failure(failure=Failure("setup", 0, "exception", "no camera")), "failed in setup: no camera"),
        (
            a_leak(
                growth=dataclasses.replace(growth(160.0, -104.0, 286.0), unit="blocks", per_iteration=2.0),
                signals={"heap": signal("heap", 2.0, 1.9, 2.1)},
            ),
            "2 blocks/cycle [1.9, 2.1] (160 B)",
        ),
    ],
)
def test_growth_fits_a_table_cell(component, expected):
    """CLEAN shows its proven bound; all else the rate with its interval."""
    assert expected == say.growth_cell(component)


@pytest.mark.parametrize(
    ("decided_by", "expected"),
    [
        ("counter:heap", "malloc heap in use"),
        ("fds", "file descriptors"),
        ("lost-scan", "scan for lost blocks"),
        ("ledger", "allocation ledger"),
        ("something-new", "something-new"),
        (None, "–"),
    ],
)
def test_what_decided_has_a_name(decided_by, expected):
    """Short names of the contract become words."""
    assert expected == say.decided_words(decided_by)


def test_an_open_verdict_gives_the_command_that_would_decide_it():
    """With as many iterations as it had, and those that are missing."""
    expected = "To decide it: soak run standalone_tests/drive_get.py --iterations 16000"

    assert say.needed_sentence(an_undecided("get")) == expected
    assert say.needed_sentence(an_undecided("get", needed_iterations=None)) is None
    assert say.needed_sentence(a_component()) is None


def test_into_a_cache_that_fills_the_command_waits_until_it_is_full():
    """With an n_min that the cache fits into, else it would be taken for a leak and end the run."""
    fills = a_cause(state="held", holder=HoldingCache("lru_cache", "palette.lookup", 2000, 300, 2000))
    settling = an_undecided("get", verdict=Verdict.SETTLING, n_min=256, causes=(fills,))

    expected = "To decide it: soak run standalone_tests/drive_get.py --iterations 16000 --n-min 3400"
    assert say.needed_sentence(settling) == expected
    assert "into a cache that is not full yet" in say.component_sentence(settling)


def test_the_place_of_a_loss_is_not_that_of_a_batch_beside_it():
    """The batch keeps more, and a scan may take back which site of few blocks is lost."""
    lost = Ground(GroundKind.LOST_BLOCKS, ("tracked",), sites=1, proven_rate=6.0)
    at = Place("collect", "decoder/batch.py", 7)
    batch = a_cause(kind="python-object", state="held", bytes_per_iteration=100.0, python_where=at, fingerprint="b")

    both = a_leak(grounds=(lost,), causes=(batch, a_cause(bytes_per_iteration=6.0)))
    alone = a_leak(grounds=(lost,), causes=(batch,))

    assert "loses 6 B per call: decoder/conversion.py:42 allocates it" in say.component_sentence(both)
    assert say.component_sentence(alone).startswith("numpy_conversion loses 6 B per call. So far it grew")


def test_what_may_still_be_freed_is_not_told_as_part_of_a_loss():
    """A batch that is emptied now and then keeps more than a small leak does; a container that only grows leaks too."""
    lost = Ground(GroundKind.LOST_BLOCKS, ("tracked",), sites=1, proven_rate=6.0)
    kept = Ground(GroundKind.KEPT_BLOCKS, ("tracked",), sites=1, proven_rate=100.0)

    batch, container = a_leak(grounds=(lost,)), a_leak(grounds=(lost, kept))

    sentence = say.component_sentence(batch)
    assert sentence.startswith("numpy_conversion loses 6 B per call: decoder/conversion.py:42 allocates it, ")
    assert "So far it grew by 106 B per call; the rest may still be freed (" in sentence
    assert say.component_sentence(container).startswith(
        "numpy_conversion grows by 106 B per call, of which 6 B are lost"
    )


@pytest.mark.parametrize(
    ("state", "confirmed", "part"),
    [("lost", True, ", of which 6 B are lost"), ("lost", False, ""), ("held", True, "")],
)
def test_a_part_that_a_scan_after_the_last_cycle_finds_to_be_lost_is_told(state: str, confirmed: bool, part: str):
    """What decided, and ended the run, was the container beside it."""
    kept = Ground(GroundKind.KEPT_BLOCKS, ("tracked",), sites=1, proven_rate=100.0)
    lost = a_cause(bytes_per_iteration=6.0, state=state, confirmed=confirmed)

    sentence = say.component_sentence(a_leak(grounds=(kept,), causes=(a_cause(state="held"), lost)))

    assert sentence.startswith(f"numpy_conversion grows by 106 B per call{part}{ROUNDED}")


def test_why_a_driver_failed_is_not_said_twice():
    """The component's sentence has the detail; what was found until then is what remains to be said."""
    leaked = a_leak(verdict=Verdict.FAILED, grounds=(Ground(GroundKind.DRIVER_FAILED), *a_leak().grounds))

    assert say.why_sentence(leaked).startswith(
        "Its verdict until then: LEAK. Malloc heap in use grows by 128 B per call"
    )
    assert say.why_sentence(dataclasses.replace(leaked, iterations=0)) == ""
    assert say.why_sentence(a_failure(grounds=(Ground(GroundKind.DRIVER_FAILED),))) == ""
    assert say.why_words(a_failure()).startswith("The driver failed in call 7: decoder.errors.DecodeError: ")


def test_how_python_imports_is_no_part_of_where_it_failed():
    frames = ('File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed', 'File "m.py", line 1')

    assert say.telling_frames(dataclasses.replace(a_failure().failure, stack=frames), 12) == frames[1:]


def test_a_counted_leak_says_what_would_look_the_same():
    """The sentence is beside a verdict that rests on the rule, but not where a loss is proven."""
    lost = (Ground(GroundKind.LOST_BLOCKS, ("tracked",), sites=1),)

    expected = "A cache that takes more than about 9,830 calls to fill would look the same."
    assert say.lookalike_sentence(a_leak(causes=())) == expected
    assert say.lookalike_sentence(a_leak()) is None
    assert say.lookalike_sentence(a_leak(causes=(), grounds=lost)) is None
    assert say.lookalike_sentence(a_component()) is None


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (
            a_cause(),
            (
                "Native memory, 106 B per call (a block of 106 B every call) in PyArray_NewFromDescr "
                "(_multiarray_umath.so, numpy 2.3.1), called from to_numpy (decoder/conversion.py:42); "
                "nothing points to it any more, so it can never be freed."
            ),
        ),
        (
            a_cause(confirmed=False, state="held", kind="python-object", python_where=None, every=10.0),
            (
                "Suspected: Python objects, 106 B per call (a block of 106 B every 10 calls) in PyArray_NewFromDescr "
                "(_multiarray_umath.so, numpy 2.3.1); something still holds it."
            ),
        ),
        (
            a_cause(
                kind="file-descriptor", state="unknown", bytes_per_iteration=None, requested_size=None, where=None,
                python_where=None, every=None,
            ),
            "File descriptors that are not closed.",
        ),
        (a_cause(kind="thread", state="unknown", bytes_per_iteration=None, requested_size=None, every=10.0, where=None,
                 python_where=None),
         "Threads that do not end (one every 10 calls)."),
        (
            a_cause(
                kind="python-object", state="held", requested_size=None, blocks_per_iteration=1.994,
                where=Place("_parse_array_unicode", "/build/Python-3.11.7/Modules/_json.c", 847),
                python_where=Place("raw_decode", "/usr/lib/python3.11/json/decoder.py", 353),
                frames=(
                    Place("raw_decode", "/usr/lib/python3.11/json/decoder.py", 353),
                    Place("cycle", "/home/me/my_script.py", 8),
                ),
            ),
            (
                "Python objects, 106 B per call (2 blocks per call) in _parse_array_unicode (Modules/_json.c:847), "
                "called from raw_decode (json/decoder.py:353), reached from cycle (my_script.py:8); "
                "something still holds it."
            ),
        ),
        (
            a_cause(
                state="unknown", bytes_per_iteration=2_286.0, requested_size=None, every=64.7, python_where=None,
                where=Place("libffi.so.8+0x6f79", None, None, "/usr/lib/libffi.so.8"),
            ),
            "Native memory, 2,286 B per call (one block every 65 calls) in libffi.so.8+0x6f79.",
        ),
        (a_cause(kind="new-kind", state="unknown", where=None, python_where=Place(None, None, None)),
         "New-kind, 106 B per call (a block of 106 B every call) from an unknown place."),
    ],
)  # fmt: skip
def test_a_cause_says_what_where_and_who_holds_it(cause, expected):
    """What is unknown is left out rather than guessed."""
    assert expected == say.cause_sentence(cause)


def test_controls_that_passed_give_the_limit_of_detection():
    """What the smallest leak is that this run could have seen."""
    expected = (
        "The controls passed: an empty cycle does not grow; a leak of 0.04 B per call would have been seen. "
        "A planted leak of 106 B was found as 106 B."
    )
    assert say.controls_sentence(controls()) == expected


def test_controls_that_failed_say_not_to_rely_on_the_verdicts():
    """A run that cannot be trusted says so clearly."""
    failed = controls(ok=False, detail="an empty cycle grew by 3 B per cycle")

    expected = "The controls failed: do not rely on these verdicts. blank: an empty cycle grew by 3 B per cycle."
    assert say.controls_sentence(failed) == expected


def test_a_failed_spike_says_what_does_not_rest_on_anything():
    """Another kind's spike: named with what was planted, and the signal that is in doubt."""
    lost = SignalSpike(False, "fds", "fd", "fds", 0.0625, None, 4096, "file descriptors could not be read")
    passed = controls()
    failed = dataclasses.replace(passed, spike=dataclasses.replace(passed.spike, of_kinds=(lost,)))

    assert say.controls_sentence(failed) == (
        "The controls failed: verdicts that rest on file descriptors are INCONCLUSIVE. "
        "spike (fd): file descriptors could not be read."
    )


def test_a_run_without_controls_says_what_is_not_known():
    """No controls, no claim about what could have been seen."""
    assert say.controls_sentence(None) == (
        "This run has no controls, so the smallest leak that it could have found is not known."
    )


def test_the_sum_of_parts_is_set_against_the_full_cycle():
    """Each part with its half-width, then what they leave unexplained."""
    expected = (
        "get 0 ± 0.3, decompressor 0 ± 0.2, numpy_conversion 106 ± 0.4; "
        "full cycle 106; unexplained 0.1 (-0.5 to 0.7) B per cycle."
    )
    assert say.parts_sentence(parts()) == expected
    assert say.combination_sentence(parts()) == "The parts explain the growth of the full cycle."


def test_growth_that_shows_only_in_combination_is_said_as_such():
    """The interval of what is unexplained lies above zero."""
    together = Parts(sum=0.0, full_cycle=64.0, unexplained=64.0, low=63.0, high=65.0)

    assert say.combination_sentence(together) == "64 B per call appear only when the parts work together."
    assert say.parts_sentence(together) == ("sum of the parts 0; full cycle 64; unexplained 64 (63 to 65) B per cycle.")


def test_a_full_cycle_that_grows_less_than_its_parts_is_said_as_such():
    """The interval of what is unexplained lies below zero."""
    less = Parts(sum=64.0, full_cycle=0.0, unexplained=-64.0, low=-65.0, high=-63.0)

    assert say.combination_sentence(less) == "The full cycle grows by 64 B per call less than its parts do alone."


@pytest.mark.parametrize(
    ("pacing", "expected"),
    [
        (Pacing(None, 415e-6, 0, 0.0), "Ran without pauses, 415 µs per call on average."),
        (Pacing(0.0, None, 0, 0.0), "Ran without pauses."),
        (
            Pacing(0.1, 0.1, 0, 0.002),
            "Paced at 100 ms, 100 ms per call on average; no deadline missed, worst lag 2 ms.",
        ),
        (
            Pacing(0.1, 0.10001, 3, 0.021),
            "Paced at 100 ms, 100 ms per call on average; 3 deadlines missed, worst lag 21 ms.",
        ),
    ],
)
def test_pacing_says_pace_asked_and_pace_held(pacing, expected):
    """Missed deadlines are counted, never hidden."""
    assert expected == say.pacing_sentence(pacing)


def test_the_tracker_says_whether_it_watched():
    """And if not, why not."""
    watching = TrackerState(active=True, reason=None, covers=("native", "python"))
    traced = TrackerState(active=True, reason=None, covers=("native", "python"), follows_objects=False)
    absent = TrackerState(active=False, reason="no glibc")

    assert say.tracker_sentence(watching) == "The allocation tracker watched native memory and Python objects."
    assert say.tracker_sentence(traced) == (
        "The allocation tracker watched native memory and Python objects. It could not follow objects in reused "
        "memory, so soak may name the line of an earlier object in the same place."
    )
    assert say.tracker_sentence(absent) == "The allocation tracker did not watch: no glibc."


def test_the_reason_to_stop_is_said_in_words():
    """A guard is named by what it guards."""
    assert say.stop_sentence(a_component()) == "Stopped because it had its verdict."
    assert say.stop_sentence(a_component(stopped_by="guard:fds")) == (
        "Stopped by the guard on fds, before the process reached its limit; soak judged the measurements until then."
    )
    ran_into_it = Ground(GroundKind.MEMORY_AT_LIMIT, ("mapped",), limit=Limit(1e6, 2e9, None, 8, is_reached=True))
    assert say.stop_sentence(a_component(stopped_by="guard:mapped", grounds=(ran_into_it,))) == (
        "Stopped because the process ran into its limit on mapped; soak judged the measurements until then."
    )


def test_the_command_line_is_the_one_that_was_given():
    """A list of words is quoted; without any, the components' targets make the command."""
    given = a_run(settings={"command": ["soak", "run", "my file.py:cycle"]})
    unknown = a_run(a_component("get"), a_component("get"), settings={})

    assert say.command_line(given) == "soak run 'my file.py:cycle'"
    assert say.command_line(a_run(settings={"command": "soak run x"})) == "soak run x"
    assert say.command_line(unknown) == "soak run standalone_tests/drive_get.py"


@pytest.mark.parametrize(
    ("value", "up", "expected"),
    [
        (0.0, False, "0"), (106.02, False, "106"), (1024.0, False, "1,024"), (12.345, False, "12.3"),
        (0.2134, False, "0.21"), (0.2134, True, "0.22"), (0.21, True, "0.21"), (-0.5, False, "-0.5"),
        (0.004, True, "0.004"), (1e-9, False, "0"), (99.999, False, "100"), (1.0, True, "1"),
    ],
)  # fmt: skip
def test_numbers_are_as_short_as_a_person_needs(value, up, expected):
    """About three digits; a bound is rounded upwards, since rounding down would claim too much."""
    assert expected == say.short_number(value, up=up)


def test_terminal_escapes_and_control_characters_do_not_get_through():
    """What a driver printed cannot recolour a terminal or break an XML file."""
    assert say.printable("\x1b[31mred\x1b[0m\x00 \x1b]0;title\x07ok\r\nnext\udcff") == "red\ufffd ok\nnext\ufffd"


def test_the_time_of_a_run_is_said_with_its_length():
    """Times that are no ISO times are passed on."""
    assert say.when_words(a_run()) == "2025-03-01 19:00 UTC+01:00, 60 s"
    assert say.when_words(a_run(finished=None)) == "2025-03-01 19:00 UTC+01:00"
    assert say.when_words(a_run(started="yesterday")) == "yesterday"


def test_of_a_long_stack_the_line_of_a_person_s_own_is_among_those_shown():
    frames = tuple(Place(f"f{n}", None, None, "ext.so") for n in range(6))
    own, main = Place("handler", "/app/handler.py", 7), Place("main", "/app/main.py", 1)

    kept = ChainNode("app.KEPT", "a list of 9", "list", None, None)
    (group,) = group_causes([a_cause(frames=(*frames, own, main), chain=(kept,))])

    lines = say.where_lines(group, 4)

    assert lines == (
        "f0 in ext.so",
        "f1 in ext.so",
        "f2 in ext.so",
        "handler at /app/handler.py:7",
        "held by app.KEPT, a list of 9",
    )


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (a_cause(), ORIGIN),
        (a_cause(where=Place("grow", "fast.pyx", 6)), "fast.pyx:6 allocates it, and nothing points to it"),
        (
            a_cause(kind="python-object", state="held", holder=HoldingCache("lru_cache", "app.lookup", None, 9, None)),
            "decoder/conversion.py:42 allocates it, and app.lookup keeps it",
        ),
        (a_cause(state="unknown"), "decoder/conversion.py:42 allocates it"),
        (
            a_cause(kind="file-descriptor", state="unknown", where=None, count_per_iteration=2.0),
            "opened at decoder/conversion.py:42",
        ),
        (a_cause(confirmed=False), f"probably {ORIGIN}"),
        (a_cause(where=None, python_where=None, frames=()), ""),
    ],
)
def test_the_first_line_of_a_leak_names_the_place_and_the_holder(cause: Cause, expected: str):
    sentence = say.component_sentence(a_leak("login", causes=(cause,)))

    came = f": {expected}" if expected else ""
    assert sentence == f"login grows by 106 B per call (the allocator uses 128 B for it){came} (20,480 calls in 8.5 s)."


def kept_by(*causes: Cause, keeper: str = "self.handlers") -> str:
    """Return the first sentence of a leak into a container that only grows."""
    ground = Ground(GroundKind.KEPT_BLOCKS, ("tracked",), keeper=Keeper(keeper, "/srv/app.py", 14), proven_rate=88.0)
    leak = a_leak("login", grounds=(ground,), causes=causes)
    return say.component_sentence(leak)


def test_the_first_line_names_the_container_that_only_grows_even_if_more_memory_hangs_elsewhere():
    """Most of the memory is reached through a thread that is at work; the list is what grows."""
    held = {"kind": "python-object", "state": "held"}
    thread = a_cause(**held, chain=(ChainNode("self of run", "a Thread", "Thread", None, None),))
    handlers = ChainNode("app.bus.handlers", "a list of 9", "list", None, None)
    of_list = a_cause(**held, python_where=Place("on", "/srv/app.py", 14), frames=(), chain=(handlers,))

    assert "app.py:14 allocates it, and app.bus.handlers keeps it" in kept_by(thread, of_list)
    assert "app.py:14 adds to self.handlers, and no code removes anything from it" in kept_by(thread)
    items = ChainNode(".handlers", "a list of 9", "list", 128, None), ChainNode("[7]", "a dict", "dict", None, None)
    local = dataclasses.replace(of_list, chain=(*thread.chain, *items))
    assert "app.py:14 allocates it, and self.handlers of run keeps it" in kept_by(local)


def test_the_first_line_does_not_name_a_registry_of_weak_references_if_something_else_holds_as_much():
    held = {"kind": "python-object", "state": "held"}
    registry = a_cause(**held, holder=HoldingCache("WeakValueDictionary", "pool.registry", None, 9, None))
    kept = a_cause(**held, bytes_per_iteration=90.0, chain=(ChainNode("app.KEPT", "a list of 9", "list", None, None),))
    little = dataclasses.replace(kept, bytes_per_iteration=9.0)

    assert "app.KEPT keeps it" in say.component_sentence(a_leak("login", causes=(registry, kept)))
    assert "pool.registry keeps it" in say.component_sentence(a_leak("login", causes=(registry, little)))


def test_what_followed_the_cycles_is_told_where_it_took_long():
    """A verdict of six seconds that comes after forty is accounted for."""
    assert say.overhead_sentence(a_component()) == "160 checkpoints took 2.1 % of the time."
    expected = "160 checkpoints took 2.1 % of the time. Work after the last cycle took 7.5 s."
    assert expected == say.overhead_sentence(a_component(seconds_after=7.5))


def test_what_most_blocks_show_is_called_probable():
    """The state stays unknown: it is no proof."""
    advice = say.advise(a_cause(state="unknown", unseen=Unseen.MOST_LOST))

    assert advice.startswith("They are probably lost: nothing points to most of the blocks. ")


def test_the_period_of_the_smallest_rate_is_a_number():
    """The reciprocal of a rate that is nearly zero is infinite."""
    assert period_words(1 / 5e-309) == period_words(1e15)


def test_what_has_no_line_is_told_by_its_name() -> None:
    """A thread that a library starts, on a stack without a line of Python."""
    place = Place("libglib.so+0xa8fb3", None, None, "/usr/lib/libglib.so")
    opened = (Opened("thread", "typefind:sink", 9), Opened("thread", "queue*:src", 4))
    threads = a_cause(kind="thread", state="unknown", where=place, python_where=None, frames=(), opened=opened)
    threads = dataclasses.replace(threads, count_per_iteration=1.0)

    assert origin([threads]) == "typefind:sink, started at libglib.so+0xa8fb3"
    assert origin_brief([threads]) == " at libglib.so+0xa8fb3 (typefind:sink)"
    assert origin_brief([dataclasses.replace(threads, opened=opened[1:] * 2)]) == " at libglib.so+0xa8fb3"
    assert origin([dataclasses.replace(threads, opened=opened[1:] * 2)]) == "started at libglib.so+0xa8fb3"
    assert (
        origin([dataclasses.replace(threads, python_where=Place("add", "/app/mixer.py", 57))])
        == "started at mixer.py:57"
    )
