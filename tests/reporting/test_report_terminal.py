"""What a person sees in the terminal."""

from __future__ import annotations

import io

import pytest
from builder import a_component, a_failure, a_leak, a_run, an_undecided, controls, parts
from rich.console import Console

from soak.reporting.terminal import Progress, print_result

WIDE, NARROW = 200, 70


def printed(run, width: int = WIDE) -> list[str]:
    """Print a run to a file and give its lines."""
    out = io.StringIO()
    print_result(run, Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_table_says_verdict_growth_and_what_decided():
    """A line per component, in the run's order."""
    lines = printed(a_run(a_component("get"), a_leak("convert", why="It grows. And more.")))

    assert lines[0].split() == ["component", "verdict", "growth", "cycles", "time", "decided", "by", "why"]
    assert lines[1].startswith("get        ● CLEAN  ≤ 0.21 B/cycle")
    assert lines[2] == (
        "convert    ▲ LEAK   128 B/cycle [127.9, 128.1] (106 requested)  20,480  8.5 s  malloc heap in use  It grows"
    )


def test_the_run_in_one_sentence_is_the_last_line():
    """Where the eye is when the prompt comes back."""
    assert printed(a_run(a_leak("convert")))[-1] == "convert grows by 106 B per call."


def test_controls_that_failed_are_the_first_line():
    """A run that cannot be trusted says so before it says anything else."""
    lines = printed(a_run(a_component(), controls=controls(ok=False, detail="it grew")))

    assert lines[0] == "The controls failed, do not rely on these verdicts. blank: it grew."


def test_what_is_not_clean_is_explained_below_the_table():
    """Causes with their stack, failures with theirs, what would decide, the sum of the parts."""
    run = a_run(
        a_component("decoder", messages=("3 rows lost",)), a_leak("convert"), a_failure(), an_undecided(), parts=parts()
    )
    lines = printed(run)

    assert "    to_numpy (decoder/conversion.py:42)" in lines
    assert "  Free the block that PyArray_NewFromDescr gives, or let an array own it." in lines
    assert '    File "decoder/decompressor.py", line 88, in decompress' in lines
    assert "  To decide it: soak run standalone_tests/drive_get.py --iterations 16000" in lines
    assert "decoder: 3 rows lost" in lines
    assert any(line.startswith("parts: get 0 ± 0.3, decompressor 0 ± 0.2") for line in lines)


def test_a_narrow_terminal_shows_whole_numbers():
    """Columns that explain give way to those that say."""
    lines = printed(a_run(a_component("get")), NARROW)

    assert lines[0].split() == ["component", "verdict", "growth", "cycles", "time"]
    assert lines[1].split() == ["get", "●", "CLEAN", "≤", "0.21", "B/cycle", "20,480", "8.5", "s"]


def test_nothing_from_the_run_is_taken_for_markup_or_reaches_the_terminal_as_a_command():
    """A name in brackets stays a name; an escape sequence in a message does nothing."""
    out = io.StringIO()

    print_result(a_run(a_leak("get[red]", messages=("\x1b[2Jgone\x07",))), Console(file=out, width=WIDE))

    assert "get[red]" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert "gone\ufffd" in out.getvalue()


@pytest.mark.parametrize("run", [a_run(), a_run(controls=None), a_run(a_failure(failure=None), finished=None)])
def test_whatever_is_missing_can_be_printed(run):
    """No components, no controls, no end."""
    assert printed(run)


def test_progress_into_a_file_is_one_line_per_finished_component():
    """No control sequences, no lines that repeat."""
    out = io.StringIO()

    with Progress(Console(file=out, width=WIDE)) as progress:
        progress.begin("get", 1, 2)
        progress.update("get", 10, 0.5, 60.0, "heap flat so far")
        progress.done(a_component("get"))
        progress.begin("decoder", 2, 2)
        progress.done(a_component("decoder"))

    assert out.getvalue().splitlines() == [
        "    1/2 ● CLEAN        get does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s.",
        "    2/2 ● CLEAN        decoder does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s.",
    ]


def test_progress_on_a_terminal_shows_every_component_at_work():
    """Two jobs, two lines; a finished one leaves the lines at work."""
    out = io.StringIO()
    console = Console(file=out, width=WIDE, force_terminal=True, color_system=None)

    with Progress(console) as progress:
        progress.begin("get", 1, 3)
        progress.begin("de[co]der", 2, 3)
        progress.update("de[co]der", 1_234, 6.0, None, "")
        progress.done(a_component("get"))

    shown = out.getvalue()
    assert "de[co]der 1,234 cycles  6 s" in shown
    assert "1/3 ● CLEAN" in shown


def test_progress_ends_in_order_when_the_run_does_not():
    """An exception passes through and the terminal is given back."""
    out = io.StringIO()
    console = Console(file=out, width=WIDE, force_terminal=True, color_system=None)

    with pytest.raises(KeyboardInterrupt):
        interrupt(console)

    show_cursor = "\x1b[?25h"
    assert show_cursor in out.getvalue()


def interrupt(console: Console) -> None:
    with Progress(console) as progress:
        progress.begin("get", 1, 1)
        raise KeyboardInterrupt
