"""What a person sees in the terminal."""

from __future__ import annotations

import io

import pytest
from builder import a_cause, a_component, a_failure, a_leak, a_run, an_undecided, controls, parts
from rich.console import Console

from soak.progress import Progress
from soak.reporting.formats.terminal import ProgressDisplay, print_result
from soak.results import Place

WIDE, NARROW = 200, 70


def printed(run, width: int = WIDE) -> list[str]:
    """Print a run on a terminal and give its lines."""
    out = io.StringIO()
    print_result(run, Console(file=out, width=width, force_terminal=True, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def piped(run) -> list[str]:
    """Print a run into a pipe and give its lines."""
    out = io.StringIO()
    print_result(run, Console(file=out, width=80))
    return out.getvalue().splitlines()


def test_a_table_says_verdict_growth_and_what_decided():
    """A line per component, in the run's order."""
    lines = printed(a_run(a_component("get"), a_leak("convert")))

    assert lines[0].split() == ["component", "verdict", "growth", "decided", "by", "cycles", "time", "why"]
    assert lines[1].startswith("get        ● CLEAN  ≤ 0.21 B/cycle")
    assert lines[2] == (
        "convert    ▲ LEAK   128 B/cycle [127.9, 128.1] (106 requested)  malloc heap in use  20,480  8.5 s  "
        "Malloc heap in use grows by 128 B per call [127.9, 128.1], steadily since call 4,096"
    )


def test_the_run_in_one_sentence_is_the_last_line():
    """It is just above the prompt."""
    assert printed(a_run(a_leak("convert")))[-1] == "convert grows by 106 B per call at decoder/conversion.py:42."


def test_controls_that_failed_are_the_first_line():
    """A run that cannot be trusted says so before it says anything else."""
    lines = printed(a_run(a_component(), controls=controls(ok=False, detail="it grew")))

    assert lines[0] == "The controls failed: do not rely on these verdicts. blank: it grew."


def test_what_is_not_clean_is_explained_below_the_table():
    """Causes with their stack, failures with theirs, what would decide, the sum of the parts."""
    run = a_run(
        a_component("decoder", messages=("3 rows lost",)), a_leak("convert"), a_failure(), an_undecided(), parts=parts()
    )
    lines = printed(run)

    assert "    to_numpy at decoder/conversion.py:42" in lines
    assert (
        "  PyArray_NewFromDescr in _multiarray_umath.so allocates this, and one path out of it never frees it." in lines
    )
    assert '    File "decoder/decompressor.py", line 88, in decompress' in lines
    assert "  To decide it: soak run standalone_tests/drive_get.py --iterations 16000" in lines
    assert "decoder: 3 rows lost" in lines
    assert any(line.startswith("parts: get 0 ± 0.3, decompressor 0 ± 0.2") for line in lines)


def test_a_narrow_terminal_shows_whole_numbers():
    """Columns with explanations are left out before those with results."""
    lines = printed(a_run(a_component("get")), NARROW)

    assert lines[0].split() == ["component", "verdict", "growth", "cycles", "time"]
    assert lines[1].split() == ["get", "●", "CLEAN", "≤", "0.21", "B/cycle", "20,480", "8.5", "s"]


def test_a_narrow_terminal_shows_the_rate_on_one_line():
    """Its interval stands in the explanation."""
    lines = printed(a_run(a_leak("numpy_conversion")), 80)

    assert lines[1] == "numpy_conversion  ▲ LEAK   128 B/cycle  20,480  8.5 s"
    assert any("[127.9, 128.1]" in line for line in lines)


def test_on_a_terminal_sentences_are_wrapped_and_lines_with_paths_and_commands_are_not():
    """A path or a command that is broken can neither be opened nor copied."""
    folder = "/home/somebody/a/rather/deep/folder/of/some/project"
    leak = a_leak("convert", causes=(a_cause(frames=(Place("to_numpy", f"{folder}/conversion.py", 42),)),))
    undecided = an_undecided("get", target=f"{folder}/drive_get.py")
    lines = printed(a_run(leak, undecided), NARROW)

    assert f"    to_numpy at {folder}/conversion.py:42" in lines
    assert f"  To decide it: soak run {folder}/drive_get.py --iterations 16000" in lines
    assert [line for line in lines if line.startswith(("  Malloc", "  since"))] == [
        "  Malloc heap in use grows by 128 B per call [127.9, 128.1], steadily",
        "  since call 4,096.",
    ]


def test_into_a_pipe_a_sentence_is_one_line_and_nothing_trails():
    """So that grep finds whole sentences, and a path whole."""
    run = a_run(a_component("get"), a_leak("convert"), parts=parts())
    lines = piped(run)

    assert lines[0].split() == ["component", "verdict", "growth", "decided", "by", "cycles", "time"]
    assert lines[2] == (
        "convert    ▲ LEAK   128 B/cycle [127.9, 128.1] (106 requested)  malloc heap in use  20,480  8.5 s"
    )
    assert "  Malloc heap in use grows by 128 B per call [127.9, 128.1], steadily since call 4,096." in lines
    assert (
        lines[-1]
        == "convert grows by 106 B per call at decoder/conversion.py:42; get does not grow by more than 1 B per call."
    )
    assert [line for line in lines if line != line.rstrip()] == []


def test_many_causes_are_cut_and_what_is_left_out_is_said():
    """A thread that stays keeps a dozen objects alive; the terminal shows three causes, the page all of them."""
    first, *others = (a_cause(fingerprint=str(number)) for number in range(6))
    suspected = (a_cause(confirmed=False, bytes_per_iteration=None),)

    assert "  … and 3 more causes, 318 B per call together." in printed(a_run(a_leak(causes=(first, *others))))
    assert "  … and 1 more suspected cause." in printed(a_run(a_leak(causes=(first, *others[:2], *suspected))))


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

    with ProgressDisplay(Console(file=out, width=WIDE)) as progress:
        progress.begin("get", 1, 2)
        progress.update("get", Progress(10, 0.5, "heap flat so far", budget_s=60.0))
        progress.done(a_component("get"))
        progress.begin("decoder", 2, 2)
        progress.done(a_component("decoder"))

    assert out.getvalue().splitlines() == [
        "    1/2 ● CLEAN        get does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s.",
        "    2/2 ● CLEAN        decoder does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s.",
    ]


def test_progress_into_a_pipe_is_not_wrapped():
    """However long the sentence, it is one line."""
    out = io.StringIO()

    with ProgressDisplay(Console(file=out, width=40)) as progress:
        progress.begin("get", 1, 1)
        progress.done(a_component("get"))

    assert out.getvalue() == (
        "    1/1 ● CLEAN        get does not grow by more than 0.21 B per call: 20,480 calls in 8.5 s.\n"
    )


def test_progress_on_a_terminal_shows_every_component_at_work():
    """Two jobs, two lines; a finished one leaves the lines at work."""
    out = io.StringIO()
    console = Console(file=out, width=WIDE, force_terminal=True, color_system=None)

    with ProgressDisplay(console) as progress:
        progress.begin("get", 1, 3)
        progress.begin("de[co]der", 2, 3)
        progress.update("de[co]der", Progress(1_234, 6.0))
        progress.done(a_component("get"))

    shown = out.getvalue()
    assert "de[co]der 1,234 cycles  206/s  6 s" in shown
    assert "1/3 ● CLEAN" in shown


def test_progress_on_a_terminal_shows_what_the_run_is_at_before_and_after_its_components():
    """Controls and reports take their time too. Into a file it is nothing."""
    shown, written = io.StringIO(), io.StringIO()
    for console in (Console(file=shown, width=WIDE, force_terminal=True, color_system=None), Console(file=written)):
        with ProgressDisplay(console) as progress:
            progress.stage("measuring the controls")
            progress.stage("")

    assert "measuring the controls" in shown.getvalue()
    assert written.getvalue() == ""


def test_progress_ends_in_order_when_the_run_does_not():
    """An exception passes through and the terminal is given back."""
    out = io.StringIO()
    console = Console(file=out, width=WIDE, force_terminal=True, color_system=None)

    with pytest.raises(KeyboardInterrupt):
        interrupt(console)

    show_cursor = "\x1b[?25h"
    assert show_cursor in out.getvalue()


def interrupt(console: Console) -> None:
    with ProgressDisplay(console) as progress:
        progress.begin("get", 1, 1)
        raise KeyboardInterrupt


def test_a_run_says_first_at_what_memory_a_component_is_stopped():
    console = Console(file=io.StringIO(), width=120)

    with ProgressDisplay(console) as progress:
        progress.limit_memory(6.5 * 2**30)

    written = console.file.getvalue()
    assert written == "A component is stopped when its RSS reaches 6.5 GiB. --max-rss sets another limit.\n"
