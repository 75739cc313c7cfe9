"""The pull request comment."""

from __future__ import annotations

from builder import a_cause, a_component, a_failure, a_leak, a_run, an_undecided, controls, parts

from soak.reporting.formats.markdown import render_markdown
from soak.results import MemoryStep, Place

LONGEST_COMMENT = 65_536


def test_a_comment_has_the_headline_a_table_and_what_is_known_of_the_leak():
    """The whole comment of a small run."""
    held = a_cause(memory_path=(MemoryStep("static", "cache", "a.so"),))
    run = a_run(a_component("get"), a_leak("convert", causes=(held,)))

    assert render_markdown(run) == (
        "### soak: convert grows by 106 B per call "
        "at decoder/conversion.py:42; get does not grow by more than 1 B per call.\n"
        "\n"
        "| component | verdict | growth | decided by | cycles | time |\n"
        "| --- | --- | --- | --- | ---: | ---: |\n"
        "| convert | ▲ LEAK | 128 B/cycle \\[127.9, 128.1\\] (106 requested) | malloc heap in use | 20,480 | 8.5 s |\n"
        "| get | ● CLEAN | ≤ 0.21 B/cycle | malloc heap in use | 20,480 | 8.5 s |\n"
        "\n"
        "**convert grows by 106 B per call (the allocator uses 128 B for it): decoder/conversion.py:42 allocates it, "
        "and nothing points to it (20,480 calls in 8.5 s).** "
        "Malloc heap in use grows by 128 B per call \\[127.9, 128.1\\], steadily since call 4,096.\n"
        "\n"
        "- Native memory, 106 B per call (a block of 106 B every call) in PyArray\\_NewFromDescr "
        "(\\_multiarray\\_umath.so, numpy 2.3.1), called from to\\_numpy (decoder/conversion.py:42); "
        "nothing points to it any more, so it can never be freed. "
        "PyArray\\_NewFromDescr in \\_multiarray\\_umath.so allocates this, and one path out of it never frees it.\n"
        "\n"
        "<details><summary>\nAllocated at\n</summary>\n"
        "\n"
        "```\n"
        "malloc in libc.so.6\n"
        "PyArray_NewFromDescr in _multiarray_umath.so\n"
        "to_numpy at decoder/conversion.py:42\n"
        "held by cache, a static variable of a.so\n"
        "```\n"
        "\n"
        "</details>\n"
        "\n"
        "The controls passed: an empty cycle does not grow; a leak of 0.04 B per call would have been seen. "
        "A planted leak of 106 B was found as 106 B.\n"
        "\n"
        "<sub>soak 0.1.0, run 20250301-190000, again with `soak run standalone_tests`</sub>\n"
    )


def test_controls_that_failed_are_the_first_line():
    """Before the headline."""
    text = render_markdown(a_run(a_component(), controls=controls(ok=False, detail="it grew"), finished=None))

    assert text.splitlines()[0] == "**The controls failed: do not rely on these verdicts. blank: it grew.**"
    assert text.splitlines()[2].startswith("**This run was interrupted")


def test_the_command_that_would_decide_can_be_copied():
    """As code, on a line of its own."""
    text = render_markdown(a_run(an_undecided("get")))

    assert "\n\nTo decide it: `soak run standalone_tests/drive_get.py --iterations 16000`\n\n" in text


def test_a_planted_leak_is_marked():
    """In the table, and in the headline."""
    run = a_run(a_leak("get"), settings={"components": {"get": {"inject": "native:106/1"}}})

    assert "| get | ▲ LEAK (planted) |" in render_markdown(run)


def test_the_sum_of_parts_is_one_line():
    """With its intervals."""
    text = render_markdown(a_run(a_component(), parts=parts()))

    assert "**Sum of parts:** get 0 ± 0.3, decompressor 0 ± 0.2, numpy\\_conversion 106 ± 0.4;" in text


def test_a_hundred_bad_components_with_endless_stacks_still_fit_a_comment():
    """Lists are cut and say so."""
    endless = a_cause(
        frames=(Place("frame " * 500, None, None),) * 300, memory_path=(MemoryStep("text", "holder " * 5_000),)
    )
    leaks = [a_leak(f"leak_{number}", causes=(endless,) * 20) for number in range(100)]
    failures = [a_failure(f"failure_{number}") for number in range(100)]

    text = render_markdown(a_run(*leaks, *failures, an_undecided()))

    assert len(text) < LONGEST_COMMENT
    assert "… and 141 more components." in text
    assert "… and 189 more components that are not clean." in text


def test_nothing_from_the_run_becomes_markdown_or_html():
    """A pipe does not add a column, a backtick does not end a code block, a tag stays text."""
    evil = "a|b`c`<img>*_[x](y)"
    text = render_markdown(
        a_run(a_leak(evil, causes=(a_cause(frames=(Place("``` <b>", None, None), Place("two\nlines", None, None))),)))
    )

    row = next(line for line in text.splitlines() if line.startswith("| a"))
    assert row.startswith("| a\\|b\\`c\\`\\<img\\>\\*\\_\\[x\\](y) | ▲ LEAK |")
    assert "\n``````\n``` <b>\ntwo lines\n``````\n" in text


def test_an_empty_run_makes_a_comment():
    """It says that nothing was soaked."""
    assert render_markdown(a_run()).startswith("### soak: Nothing was soaked: this run has no components.\n")
