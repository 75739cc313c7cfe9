"""The page: well-formed, self-contained, safe, and with what matters first."""

from __future__ import annotations

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
    parts,
    readings,
    signal,
)
from page_reader import Page

from soak.reporting.figures.component_figure import component_figure, parts_figure
from soak.reporting.formats.html import render_html
from soak.results import ChainNode, Failure, MemoryStep, Place, TracemallocResult

EVIL = '<script>alert("x")</script>&\x1b[31m\x00'


def a_full_page() -> str:
    run = a_run(
        a_component("decoder"), a_leak("convert"), a_failure("unpack"), a_settling("cache"), an_undecided("get"),
        parts=parts(),
    )  # fmt: skip
    figures = {"convert": component_figure(run.components[1], readings(rate=128.0), prefix="c1") or ""}
    return render_html(run, figures, parts_figure(parts()))


def test_the_first_thing_on_the_page_is_the_run_in_one_sentence():
    """Then a line per component, the worst on top. No line of the heading ends between a number and its unit."""
    page = Page(a_full_page())

    assert "".join(page.of("h1")) == (
        "unpack failed in call 7; convert grows by 106\xa0B per call "
        "at decoder/conversion.py:42; get could not be decided yet; "
        "cache is still settling; decoder does not grow by more than 1\xa0B per call."
    )
    assert page.of("a") == ["unpack", "convert", "get", "cache", "decoder"]


def test_the_page_needs_no_script_and_no_network():
    """No script, no link to anything outside, no import in its style."""
    text = a_full_page()
    page = Page(text)
    addresses = [
        value or "" for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]

    assert [tag for tag, _ in page.elements if tag in ("script", "link", "img", "iframe")] == []
    assert [address for address in addresses if not address.startswith("#")] == []
    assert "@import" not in text
    assert "url(http" not in text


def test_every_link_leads_to_a_place_on_the_page_and_ids_are_unique():
    """The overview jumps to the components."""
    page = Page(a_full_page())
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]

    assert len(ids) == len(set(ids))
    assert {str(link)[1:] for link in links} <= set(ids)


def test_the_overview_has_the_rate_and_its_interval_apart():
    """A narrow page has room for the rate."""
    page = Page(render_html(a_run(a_leak("convert"), a_component("get")), {}))

    assert "128 B/cycle" in page.of("td")
    assert "≤ 0.21 B/cycle" in page.of("td")
    assert " [127.9, 128.1] (106 requested)" in page.of("span")


def test_controls_that_failed_stand_above_everything():
    """A run that cannot be trusted says so first."""
    page = Page(render_html(a_run(a_component(), controls=controls(ok=False, detail="it grew")), {}))

    assert page.of("p", "h1")[0] == "The controls failed: do not rely on these verdicts. blank: it grew."


def test_a_run_that_was_cut_off_says_so_above_the_verdicts():
    """What is not finished is not read as finished."""
    page = Page(render_html(a_run(a_component(), finished=None), {}))

    assert page.of("p", "h1")[0] == "This run was interrupted. The report shows what was measured until then."


HELD = (
    MemoryStep("static", "frames", "/app/cache.so"),
    MemoryStep("block", allocated_at=Place("grow", "cache.c", 9, "/app/cache.so")),
)


def test_a_leak_shows_where_it_comes_from_and_what_to_do():
    """Cause, advice, stack, holder and the line that tracemalloc blames."""
    held = a_leak("convert", causes=(a_cause(state="held", memory_path=HELD),))
    page = Page(render_html(a_run(held), {}))

    assert any("to_numpy (decoder/conversion.py:42); something still holds it." in text for text in page.of("strong"))
    assert any(text.startswith("They are held by frames, a static variable of cache.so: ") for text in page.of("p"))
    assert "frames, a static variable of cache.so\nthe block allocated at grow at cache.c:9 in cache.so" in page.of(
        "pre"
    )
    assert "decoder/conversion.py:42" in page.of("code")


def test_a_failure_shows_its_stack_and_the_last_of_its_output():
    """What an engineer wants to see before anything else."""
    page = Page(render_html(a_run(a_failure(failure=Failure("cycle", 7, "exception", "two\nlines", ("frame 1",)))), {}))

    assert page.of("pre")[:3] == ["two\nlines", "frame 1", "frame 5 ok\nframe 6 ok"]
    assert page.of("h3")[:2] == ["Stack", "Last lines of its output"]


def test_a_failure_shows_the_component_s_own_frames_and_the_end_of_a_long_output():
    """The frames of soak's loop and the end of the hang are left out; the whole output is folded."""
    stack = (
        "Fatal Python error: Aborted",
        "",
        "Current thread 0x7f (most recent call first):",
        '  File "drive_hangs.py", line 11 in wait_for_frame',
        '  File "/opt/soak/inside/loop.py", line 121 in run',
    )
    written = "\n".join([*(f"frame {number}" for number in range(40)), *stack])
    page = Page(render_html(a_run(a_failure(failure=Failure("cycle", 7, "hang", "", stack), output_tail=written)), {}))

    shown, said, everything = page.of("pre")[:3]
    assert shown.splitlines() == [stack[2], stack[3]]
    assert said.splitlines() == [f"frame {number}" for number in range(28, 40)]
    assert everything == written


def test_a_cause_says_bytes_asked_for_and_allocated_and_blocks_and_its_own_line_stands_out():
    """One line has all that is known; files of libraries are shown without their folders."""
    frames = (
        Place("_PyBytes_FromSize", "/build/Python-3.11.7/Objects/bytesobject.c", 101, "/lib/libpython3.11.so.1.0"),
        Place("loads", "/usr/lib/python3.11/json/__init__.py", 346),
        Place("cycle", "/home/me/project/my_script.py", 8),
    )
    cause = a_cause(since=4_096, allocated_bytes_per_iteration=128.0, frames=frames, type="bytes")
    page = Page(render_html(a_run(a_leak(causes=(cause,))), {}))

    assert (
        "106 B/cycle requested, 128 B allocated · 1 block/cycle · since cycle 4,096 at the latest · type bytes · "
        "fingerprint 9f2c41d07a"
    ) in page.of("p")
    shown = "".join(text for tag, text in page.texts if tag in ("pre", "b"))
    assert (
        "_PyBytes_FromSize at Objects/bytesobject.c:101 in libpython3.11.so.1.0\nloads at json/__init__.py:346" in shown
    )
    assert "cycle at /home/me/project/my_script.py:8" in page.of("b")


def test_a_long_stack_is_folded_below_the_first_line_of_a_person_s_own():
    """The dozen frames of an event loop are the same under every leak."""
    own = Place("handler", "/app/handler.py", 7)
    long = (
        Place("gc_alloc", None, None, "python3.11"),
        *(Place(f"inner{n}", None, None, "ext.so") for n in range(12)),
        own,
        *(Place(f"f{n}", None, None, "l.so") for n in range(9)),
    )
    short = (*long[:9], own, Place("main", "/app/main.py", 1))

    page = render_html(a_run(a_leak(causes=(a_cause(frames=long), a_cause(frames=short)))), {})
    shown, folded = page.split("… 9 more callers</summary>")

    assert f"<b>{own}</b></pre>" in shown
    assert folded.startswith("<pre>f0 in l.so\nf1 in l.so")
    assert f"<b>{own}</b>\nmain at /app/main.py:1</pre>" in folded


def test_causes_of_one_holder_are_one_card_with_their_call_sites_folded():
    """One sentence, one advice, one drawing; each call site with its own facts."""
    seen = ChainNode("app.seen", "a list of 9", "list", 5_432, None)
    items = (seen, ChainNode("[3]", "a dict", "dict", 184, None))
    causes = (
        a_cause(kind="python-object", state="held", chain=items, fingerprint="of items", bytes_per_iteration=90.0),
        a_cause(kind="python-object", state="held", chain=(seen,), fingerprint="of table", bytes_per_iteration=8.0),
    )

    page = Page(render_html(a_run(a_leak(causes=causes)), {}))

    assert page.of("strong")[-1] == "app.seen, a list of 9 (5.305 KiB), keeps memory from 2 call sites: 98 B per call."
    assert page.of("p").count("Give it a bound, or remove what each call adds.") == 1
    said = [line.partition(",")[0] for line in page.of("summary") if " B per call" in line]
    assert said == ["90 B per call: Python objects", "8 B per call: app.seen itself"]
    assert [text for text in page.of("p") if "fingerprint of" in text][1].endswith("fingerprint of table")


def test_native_memory_that_a_list_keeps_is_not_the_list_itself():
    """A connection of sqlite3 is an item of the list; what the library allocates for it has no object of its own."""
    held = ChainNode("app.connections", "a list of 9", "list", 136, None)
    table = {"state": "held", "bytes_per_iteration": 8.0, "chain": (held,), "fingerprint": "of table"}
    causes = (
        a_cause(state="held", bytes_per_iteration=90.0, chain=(held,), fingerprint="of library"),
        a_cause(kind="python-object", **table),
    )

    page = Page(render_html(a_run(a_leak(causes=causes)), {}))

    said = [line.partition(",")[0] for line in page.of("summary") if " B per call" in line]
    assert said == ["90 B per call: native memory", "8 B per call: app.connections itself"]


def test_many_call_sites_of_one_holder_are_folded_but_for_the_first_six():
    seen = ChainNode("app.seen", "a list of 9", "list", 5_432, None)
    causes = tuple(a_cause(state="held", chain=(seen,), fingerprint=str(number)) for number in range(30))

    shown, folded = render_html(a_run(a_leak(causes=causes)), {}).split("… and 24 more call sites</summary>")

    assert (shown.count("106 B per call: "), folded.count("106 B per call: ")) == (6, 24)


def test_many_causes_are_folded_but_for_the_first_three():
    """The largest growth comes first; the rest can be unfolded."""
    causes = tuple(a_cause(fingerprint=str(number), confirmed=number < 3) for number in range(25))
    page = Page(render_html(a_run(a_leak(causes=causes)), {}))

    assert page.of("summary") == ["… and 22 more suspected causes, 2,332 B per call together.", "What was measured"]
    assert len([1 for _, attributes in page.elements if attributes.get("class") == "cause suspected"]) == 22


def test_growth_that_is_listed_as_known_is_shown_as_accepted():
    """With its cause, that it can be looked at again."""
    page = Page(render_html(a_run(a_leak(), settings={"known": [a_cause().fingerprint]}), {}))

    assert "Accepted: this growth is listed as known." in page.of("p")
    assert " known" in page.of("span")


def test_a_planted_leak_is_not_taken_for_one_that_was_found():
    """In the headline, the overview, and where the full cycle is set against its parts."""
    settings = {"components": {"numpy_conversion": {"inject": "native:106/1"}, "get": {"inject": None}}}
    run = a_run(a_leak("numpy_conversion"), a_component("get"), settings=settings, parts=parts())
    page = Page(render_html(run, {}, parts_figure(parts())))

    assert "".join(page.of("h1")).startswith(
        "numpy_conversion grows by 106\xa0B per call at decoder/conversion.py:42 (planted); "
    )
    assert page.of("span").count(" planted") == 1
    assert "A leak was planted in numpy_conversion alone." in page.of("p")


def test_settings_are_shown_as_people_write_them():
    """A table for components, no column that says nothing, no raw numbers of bytes."""
    settings = {
        "components": {"get": {"budget_s": 6.0, "gate": True, "iterations": None, "n_min": 20_000}},
        "known": [],
    }
    page = Page(render_html(a_run(a_component(), settings=settings, environment={"memory_bytes": 2**34}), {}))

    assert {"budget_s", "gate"} <= set(page.of("th"))
    assert "iterations" not in page.of("th")
    assert {"6", "yes", "20,000"} <= set(page.of("td"))
    assert page.of("dt") == ["components", "memory_bytes"]
    assert page.of("dd") == ["16 GiB"]


def test_nothing_from_the_run_becomes_markup():
    """Names, paths, output and settings may contain anything; the page shows it as text."""
    evil = a_leak(
        EVIL,
        target=EVIL,
        messages=(EVIL,),
        output_tail=EVIL,
        stopped_by=EVIL,
        decided_by=EVIL,
        causes=(
            a_cause(
                kind=EVIL,
                frames=(Place(EVIL, EVIL, 1, EVIL),),
                state="held",
                chain=(ChainNode(EVIL, EVIL, EVIL, 1, Place(EVIL, EVIL, 1, EVIL)),) * 2,
                memory_path=(MemoryStep("static", EVIL, EVIL),),
                unseen_detail=EVIL,
                type=EVIL,
                fingerprint=EVIL,
            ),
        ),
        failure=Failure("cycle", 1, "exception", f"{EVIL}\n{EVIL}", (EVIL,)),
        signals={EVIL: signal("heap", 1.0, 1.0, 1.0)},
    )
    run = a_run(
        evil, run=EVIL, started=EVIL, soak=EVIL, environment={EVIL: EVIL}, settings={EVIL: [EVIL], "command": EVIL}
    )

    figures = {EVIL: component_figure(evil, readings(9)) or ""}
    text = render_html(run, figures)
    page = Page(text)

    assert [tag for tag, _ in page.elements if tag == "script"] == []
    assert "\x00" not in text
    assert "\x1b" not in text
    assert page.of("h2")[0] == '<script>alert("x")</script>&\ufffd'


@pytest.mark.parametrize(
    "run",
    [
        a_run(),
        a_run(controls=None, environment={}, settings={}),
        a_run(a_failure(failure=None, output_tail="")),
        a_run(a_leak(causes=(), tracemalloc=TracemallocResult(1, 10, ()), growth=None)),
        a_run(a_component(signals={"heap": signal("heap", None, None, None)})),
        a_run(a_leak(gate=False)),
    ],
)
def test_a_page_can_be_made_of_whatever_is_missing(run):
    """No components, no controls, no rates, no causes."""
    assert Page(render_html(run, {})).of("h1") != []
