"""A run of profiles in words: terminal, page, and the sentences in them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from profile_builder import a_profile_run
from rich.console import Console

from soak.errors import StoreError
from soak.profiles import FunctionTime
from soak.reporting.commands.profile import (
    headline,
    overhead_words,
    place_words,
    print_profile_run,
    render_profile_html,
)
from soak.running.profile.profiling import describe_coverage
from soak.store.profiles import read_profile_run, write_profile_run

EVIL = "<script>alert(1)</script>\x1b[31m"


def printed(run: object, width: int = 100) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None)
    print_profile_run(run, console, 8)  # type: ignore[arg-type]
    return text.getvalue()


def test_in_a_pipe_names_are_whole():
    """Only a terminal shortens them."""
    text = io.StringIO()
    print_profile_run(a_profile_run(), Console(file=text, width=30), 8)

    assert "decode  /place/decoder.py:7" in text.getvalue()


def test_the_terminal_shows_the_cost_the_coverage_and_the_functions_a_cycle():
    """Times and calls are per cycle, shares are of the profile, C functions are named."""
    text = printed(a_profile_run())

    assert "A cycle takes 40 ms, under the profiler 50 ms: profiling costs 25%" in text
    assert "The cycle's own thread is covered" in text
    row = next(line for line in text.splitlines() if "zlib.crc32" in line)
    assert row.split()[:6] == ["37.5", "ms", "75.0%", "37.5", "ms", "1"]
    assert "decode  /place/decoder.py:7" in text


def test_numbers_stay_whole_in_a_narrow_terminal():
    """The names are cut, never the numbers."""
    text = printed(a_profile_run(), width=64)

    assert "37.5 ms  75.0%" in text


def test_the_headline_names_what_takes_most():
    """With one function profiled it says which."""
    assert headline(a_profile_run()).startswith("profiled 1 component: built-in method zlib")
    assert headline(a_profile_run(function="decode")).startswith("profiled decode in 1 component")


def test_what_the_run_contains_is_escaped():
    """In the page it cannot become markup, in the terminal it cannot become colour."""
    run = a_profile_run()
    evil = replace(run.components[0], name=EVIL, messages=(EVIL,))
    run = replace(run, components=(evil,), settings={"command": EVIL})

    assert "<script" not in render_profile_html(run)
    assert "\x1b" not in printed(run)


def test_a_run_that_was_cut_off_says_so_first():
    """Before anything else on the page."""
    page = render_profile_html(a_profile_run(finished=None))

    assert page.index("This run was stopped before its end.") < page.index("<h1>")


def test_a_run_survives_writing_and_reading(tmp_path: Path):
    """Every field; and what is no run of profiles is refused."""
    run = a_profile_run()

    write_profile_run(run, tmp_path)
    assert read_profile_run(tmp_path) == run

    (tmp_path / "profile.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(StoreError, match="is damaged"):
        read_profile_run(tmp_path)


def test_places_are_told_from_where_the_reader_stands():
    """Relative to here, to the library, or to the standard library."""
    here = FunctionTime(str(Path.cwd() / "decoder" / "header.py"), 7, "parse", 1, 0.0, 0.0)
    library = replace(here, file="/x/lib/python3.11/site-packages/numpy/core.py")
    standard = replace(here, file="/x/lib/python3.11/copy.py")

    assert [place_words(one) for one in (here, library, standard)] == [
        "decoder/header.py:7",
        "numpy/core.py:7",
        "copy.py:7",
    ]
    assert place_words(replace(here, file="~", line=0)) == ""


def test_the_cost_is_told_in_the_words_that_fit():
    """Too little to be seen, a percentage, or a factor."""
    assert overhead_words(0.99) == "profiling costs too little to be seen"
    assert overhead_words(1.28) == "profiling costs 28%"
    assert overhead_words(12.3) == "profiling makes it 12 times slower"


def test_threads_that_came_too_late_make_a_profile_that_is_not_to_be_trusted():
    """From 3.12 on, when the warm-up saw one thread only."""
    words = describe_coverage("one stack", 2, 0, (3, 12, 1))

    assert words.startswith(
        "Do not trust this profile: 2 threads first appeared after the warm-up, and Python 3.12 puts"
    )
