"""Why a component has its verdict, in words: every ground, every state of a series, in every unit of a cycle."""

from __future__ import annotations

import dataclasses
import re

import pytest
from builder import a_component
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.analysis import judge
from soak.grounds import VERDICTS, Filling, Ground, GroundKind, HoldingCache, Keeper, Limit, LiveChildren, Streak
from soak.measurements import SIGNALS
from soak.reporting.words.components import needed_command
from soak.reporting.words.verdicts.series import series_sentence
from soak.reporting.words.verdicts.why import why_sentence, why_words
from soak.results import ComponentResult, Failure, Growth, SignalResult
from soak.verdict import SeriesState, Verdict

NOUNS = ("call", "sample", "mark", "request", "frame", "song")
_INTERNAL = re.compile(r"\b[a-z]+_[a-z_]+\b|\bNone\b|\bnan\b|GroundKind|SeriesState|n_min|  ")
numbers = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
counts = st.integers(min_value=0, max_value=10**9)


def streaks() -> st.SearchStrategy[Streak]:
    """Give signals that rose in each cycle."""
    positive = st.integers(1, 10**9)
    return st.builds(Streak, since=counts, cycles=positive, intervals=positive, first=numbers, last=numbers)


children = st.builds(
    LiveChildren,
    st.lists(st.sampled_from(["python, forked", "server --port 80"]), min_size=1, max_size=4).map(tuple),
    st.just(0.0),
    st.sampled_from([-4096.0, 0.0, 30 * 2.0**20]),
)


@st.composite
def grounds(draw: st.DrawFn, kind: GroundKind) -> Ground:
    """Give a ground of one kind with what it needs to be said."""
    signals = draw(st.lists(st.sampled_from(sorted(SIGNALS)), min_size=1, max_size=3, unique=True))
    cache = HoldingCache(
        draw(st.sampled_from(["lru_cache", "re", "deque", "OrderedDict"])),
        "palette.lookup",
        draw(st.none() | counts),
        draw(counts),
        draw(st.none() | counts),
    )
    return Ground(
        kind,
        tuple(signals),
        sites=draw(st.integers(1, 40)),
        proven_rate=draw(numbers),
        keeper=Keeper("app.KEPT", "/srv/app.py", draw(counts)),
        filling=Filling(cache, draw(numbers), draw(st.booleans())),
        modules=HoldingCache("modules", "palette", None, draw(counts), None),
        streak=draw(streaks() if kind is not GroundKind.UNDECIDED else st.none() | streaks()),
        limit=Limit(draw(numbers), draw(numbers), draw(st.none() | numbers), draw(counts)),
        children=draw(st.none() | children) if kind is GroundKind.UNCOUNTED_CHILDREN else draw(children),
    )


@st.composite
def components(draw: st.DrawFn, kind: GroundKind, noun: str) -> ComponentResult:
    """Give a component whose verdict rests on a ground of one kind, its signals in any state."""
    states = st.sampled_from(sorted(SeriesState))
    all_grounds = [draw(grounds(kind))]
    if kind in (GroundKind.DRIVER_FAILED, GroundKind.CONTROL_FAILED):
        all_grounds.append(
            draw(grounds(draw(st.sampled_from(sorted({*GroundKind} - {GroundKind.DRIVER_FAILED, kind})))))
        )
    read = {"tracked", "children_rss", *(name for ground in all_grounds for name in ground.signals)}
    signals = {
        name: SignalResult(
            unit=SIGNALS[name].unit,
            per_iteration=draw(st.none() | numbers),
            low=draw(st.none() | numbers),
            high=draw(st.none() | numbers),
            verdict=Verdict.INCONCLUSIVE,
            role=SIGNALS[name].role.value,
            state=draw(states),
            since=draw(st.none() | counts),
            until=draw(st.none() | counts),
            cycles=draw(st.none() | counts),
            tolerance=draw(st.none() | numbers),
            n_min=draw(st.none() | counts),
        )
        for name in SIGNALS
        if name in read
    }
    failed = kind is GroundKind.DRIVER_FAILED
    return a_component(
        "np_leak",
        verdict=VERDICTS[kind],
        grounds=tuple(all_grounds),
        signals=signals,
        needed_iterations=draw(st.none() | counts),
        cycle_noun=noun,
        failure=Failure("cycle", draw(counts), "exception", "ValueError: it is empty") if failed else None,
    )


@pytest.mark.parametrize("kind", sorted(GroundKind))
@settings(max_examples=6)
@given(data=st.data())
def test_whatever_decides_has_a_plain_sentence_in_the_unit_of_its_cycles(kind: GroundKind, data: st.DataObject):
    """No internal name, no word of another unit, and a full stop."""
    noun = data.draw(st.sampled_from(NOUNS))
    component = data.draw(components(kind, noun))

    said = re.sub(r"call sites?|mark of the other processes", "place", why_words(component))

    assert said.endswith(".")
    assert said[0].isupper()
    assert not _INTERNAL.search(said.replace("lru_cache", "cache")), said
    assert not re.search(r"\bcycles?\b", said), said
    assert not any(re.search(rf"\b{other}s?\b", said) for other in NOUNS if other != noun), said


TWO = LiveChildren(("python, forked", "python, forked"), 20.0 * 2**20, 46.0 * 2**20)
ONE = LiveChildren(("node app.js",), 20.0 * 2**20, 20.0 * 2**20)


@pytest.mark.parametrize(
    ("living", "sentence"),
    [
        (
            TWO,
            (
                "2 child processes (python, forked) live between requests; together they grew by 26 MiB of RSS. soak "
                "does not see inside them yet."
            ),
        ),
        (
            ONE,
            (
                "1 child process (node app.js) lives between requests; its RSS did not grow. soak does not see "
                "inside it yet."
            ),
        ),
    ],
)
def test_children_that_nobody_counted_are_named_with_their_growth(living: LiveChildren, sentence: str):
    """Alone, and beside what is open for another reason."""
    uncounted = Ground(GroundKind.UNCOUNTED_CHILDREN, children=living)
    alone = a_component(verdict=Verdict.INCONCLUSIVE, grounds=(uncounted,), cycle_noun="request")
    beside = a_component(
        verdict=Verdict.INCONCLUSIVE,
        grounds=(Ground(GroundKind.NOT_READ, ("fds",)), uncounted),
        cycle_noun="request",
    )

    assert why_sentence(alone) == f"The program itself does not grow. {sentence}"
    assert why_sentence(beside).endswith(f"is not ruled out. {sentence}")


def test_children_that_leak_are_named_with_their_rate():
    series = judge(range(4097), [4096.0 * at for at in range(4097)], tolerance=1, n_min=1024)
    signal = SignalResult(
        "bytes", series.rate, series.low, series.high, series.verdict, "informs", series.state, since=series.since
    )
    component = a_component(
        verdict=Verdict.LEAK,
        grounds=(Ground(GroundKind.STEADY_CHILDREN, ("children_rss",), children=TWO),),
        signals={"children_rss": signal},
    )

    assert why_sentence(component) == (
        "RSS of child processes grows by 4,096 B per call [4,096, 4,096], steadily since call 256. 2 child processes "
        "(python, forked) live between calls; together they grew by 26 MiB of RSS. soak does not see inside them yet."
    )


def test_one_cycle_is_not_told_in_the_plural():
    one = a_component(
        verdict=Verdict.INCONCLUSIVE, grounds=(Ground(GroundKind.ONLY_OUTSIDE),), needed_iterations=1, cycle_noun="mark"
    )

    assert "1 more mark," in why_sentence(one)


def test_a_result_of_an_earlier_version_has_no_sentence():
    assert why_sentence(a_component(grounds=())) == ""
    assert why_words(a_component(grounds=())) == ""


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (lambda at: 128.0 * at, "Grows by 128 B per call [128, 128], steadily since call 256."),
        (lambda _: 5.0, "Grows by no more than 0 B per call (tolerance 1 B), over the last 2,048 calls."),
        (lambda at: -5.0 * at, "Grows by no more than 0 B per call (tolerance 1 B), over the last 2,048 calls."),
    ],
)
def test_a_series_says_what_it_shows_in_one_sentence(shape, sentence: str):
    found = judge(range(4097), [shape(at) for at in range(4097)], tolerance=1, n_min=1024)

    assert series_sentence(found, "bytes", "call") == sentence


def test_growth_that_changed_its_rate_says_so():
    """Thrice as fast in the second half: it grows, but which rate to believe is open."""
    found = judge(range(4097), [10.0 * at + 20.0 * max(at - 2048, 0) for at in range(4097)], tolerance=1, n_min=4096)

    assert series_sentence(found, "bytes", "call") == "Grows by 30 B per call [30, 30], but not at a steady rate yet."


def test_too_few_cycles_are_told_as_such():
    found = judge(range(100), [0.0] * 100, tolerance=1, n_min=54_000)

    assert series_sentence(found, "bytes", "cycle") == "Too early: 99 of 54,000 cycles."


def test_a_list_that_only_grows_is_told_with_the_line_that_adds_to_it():
    ground = Ground(GroundKind.KEPT_BLOCKS, ("tracked",), keeper=Keeper("KEPT", "/srv/app.py", 14), proven_rate=88.0)
    leaking = a_component(verdict=Verdict.LEAK, grounds=(ground,), n_min=256)

    assert (
        why_words(leaking)
        == "Each call adds to KEPT at app.py:14, and no code removes anything from it: 88 B per call."
    )
    growth = Growth("tracked", "requested", 200.0, 200.0, 200.0, 200.0, 224.0, "bytes", 200.0)
    more = dataclasses.replace(leaking, growth=growth)
    assert why_words(more).endswith("from it: at least 88 B per call.")


def test_what_rose_in_a_few_slow_cycles_is_told_with_the_cache_that_would_look_the_same():
    streak = Streak(0, 41, 41, 0.0, 88.0 * 41)
    ground = Ground(GroundKind.FEW_CYCLES, ("tracked",), streak=streak)
    few = a_component(verdict=Verdict.INCONCLUSIVE, grounds=(ground,), iterations=41, causes=())

    assert why_words(few).startswith(
        "Memory requested and not freed: so far 88 B in each of 41 calls. "
        "A cache that takes more than 41 calls to fill would look the same."
    )


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        (
            HoldingCache("deque", "app.recent", 5000, 300, full_at_cycle=5000),
            "A deque of 5,000, app.recent, with 300 entries and full at about call 5,000, holds ",
        ),
        (
            HoldingCache("modules", "lazy_265", None, 266, full_at_cycle=None),
            "Modules that are imported for the first time hold ",
        ),
    ],
    ids=["deque", "modules"],
)
def test_a_cache_that_was_not_looked_at_to_the_end_is_told_as_such(cache: HoldingCache, words: str):
    ground = Ground(GroundKind.MAYBE_FILLING, ("tracked",), filling=Filling(cache, 1000.0, is_all=True))
    maybe = a_component(verdict=Verdict.INCONCLUSIVE, grounds=(ground,), causes=())

    assert why_words(maybe).startswith(
        f"{words}the part of the growth that soak could look at. "
        "soak could not look at all of it, so this is a cache that fills, or a leak."
    )


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        (
            HoldingCache("dict", "app.cache", 1500, 1421, full_at_cycle=1500, is_bounded_by_code=True),
            "A dict that its code bounds at 1,500, app.cache, with 1,421 entries and full at about call 1,500, holds",
        ),
        (
            HoldingCache("dict", "app.cache", None, 1421, full_at_cycle=None, is_bounded_by_code=True),
            "A dict that its code bounds, app.cache, with 1,421 entries, holds",
        ),
        (
            HoldingCache("lru_cache", "app.get", 512, 512, full_at_cycle=None),
            "An lru_cache of 512, app.get, which is full, holds",
        ),
    ],
    ids=["by code", "by a hidden bound", "full just now"],
)
def test_a_cache_that_may_fill_is_told_with_what_is_known_of_its_bound(cache: HoldingCache, words: str):
    ground = Ground(GroundKind.MAYBE_FILLING, ("tracked",), filling=Filling(cache, 1000.0, is_all=True))
    maybe = a_component(
        verdict=Verdict.INCONCLUSIVE, grounds=(ground,), causes=(), iterations=1421, needed_iterations=4879, n_min=256
    )

    is_full = cache.filled == cache.capacity
    just_now = "It may have just become full, so this is a cache that has filled"
    so = just_now if is_full else "So this is a cache that fills"
    assert why_words(maybe).startswith(f"{words} the growth. {so}, or a leak.")
    command = needed_command(dataclasses.replace(maybe, options=()))
    # Without it the cache is a leak again in the middle of the run that is to decide.
    assert command is not None
    assert command.endswith("--iterations 6300 --n-min 2416")


def test_growth_that_has_ended_says_when():
    found = judge(range(16385), [min(at, 4096) * 9.0 for at in range(16385)], tolerance=1, n_min=1024)

    assert series_sentence(found, "bytes", "call").endswith("steadily since call 256, and not after call 4,096.")


def test_a_count_that_rose_in_each_call_is_told_with_the_pool_that_would_look_the_same():
    ground = Ground(GroundKind.COUNT_EVERY_CYCLE, ("fds",), streak=Streak(0, 151, 151, 5.0, 307.0))
    leak = a_component(verdict=Verdict.LEAK, grounds=(ground,))

    assert why_words(leak) == (
        "File descriptors: 2 more in each of 151 calls. A pool of more than 302 would look the same."
    )


def test_an_undecided_count_is_told_with_its_rate_so_far():
    ground = Ground(GroundKind.UNDECIDED, ("fds",), streak=Streak(0, 15, 15, 5.0, 35.0))
    undecided = a_component(verdict=Verdict.INCONCLUSIVE, grounds=(ground,), needed_iterations=5)

    assert why_words(undecided).startswith(
        "File descriptors: 2 in each of 15 calls so far. Not enough data yet: 5 more calls"
    )


def test_memory_that_rose_in_each_call_is_told_with_how_much_it_is():
    ground = Ground(GroundKind.MEMORY_EVERY_CYCLE, ("tracked",), streak=Streak(0, 50, 50, 0.0, 2.0**31))
    leak = a_component(verdict=Verdict.LEAK, grounds=(ground,))

    assert why_words(leak) == (
        "Memory requested and not freed: higher at each reading over 50 calls, by 2 GiB in total. "
        "A cache of more than 2 GiB would look the same."
    )
