"""The plugin in real pytest runs: what passes, what fails, and what a failure says."""

from __future__ import annotations

import json
import textwrap
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

OPTIONS = ("-p", "soak.testing.plugin", "-p", "no:cacheprovider", "--strict-markers")
REPEATED, CLOSER = f"*{' '.join(OPTIONS)}", "--soak-budget 60s --soak-report soak-report"
ROOT = Path(__file__).parents[2]
SHORT = "iterations=1024, n_min=256, checkpoint_every=8"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Give a function that runs pytest, as a process of its own, on a test file of this text."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whether soak is installed here or not

    def run_tests(text: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=text)
        return pytester.runpytest_subprocess(*OPTIONS, *options)

    return run_tests


def test_a_leaking_extension_call_fails_with_the_place_and_its_repaired_twin_passes(run, framing: Path):
    """The failure shows rate, interval, place and the command to look closer."""
    result = run(
        f"""
        import sys
        sys.path.insert(0, {str(framing)!r})
        import framing

        def test_leaking(soak): soak.check(framing.leaking_decode, {SHORT})
        def test_repaired(soak):
            assert soak.check(framing.repaired_decode, {SHORT}).verdict == "CLEAN"
        """
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "LEAK at framing.c:*: 106 B per call",
            "soak: ▲ LEAK: test_it.py::test_leaking leaking_decode grows by 106 B per call*",
            "  growth: 106 B/cycle *",
            "  cause: Native memory, 106 B per call (a block of 106 B every call) in decode (*framing.c:*",
            f"  look closer: PYTHONPATH={framing}:$PYTHONPATH soak run framing:leaking_decode*",
            "FAILED test_it.py::test_leaking - Failed: LEAK at framing.c:*",
        ]
    )


def test_a_marked_test_is_a_cycle_with_its_fixtures_and_parameters(run):
    result = run(
        f"""
        import pytest

        @pytest.fixture(scope="module")
        def store(): return []

        @pytest.mark.soak({SHORT})
        @pytest.mark.parametrize("keep", [True, False])
        def test_store(store, keep, tmp_path):
            assert tmp_path.is_dir()
            if keep: store.append(bytearray(106))
        """
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "soak: ▲ LEAK: test_it.py::test_store?True? grows by *",
            "  cause: Python objects*from test_store (*test_it.py:1*)*",
            "    test_store at *test_it.py:1*",
            "    held by *",
            f"  look closer: pytest 'test_it.py::test_store?True?' {REPEATED} {CLOSER}",
        ]
    )
    result.stdout.no_fnmatch_line("    *_pytest/python.py*")


def test_what_pytest_itself_allocates_is_not_counted(run):
    """It is as much as of a large program, and each checkpoint would go through it."""
    result = run(
        f"""
        import pytest, sys
        from soak.inside import tracker

        def cycle(): pass

        @pytest.mark.soak({SHORT})
        def test_sites():
            site_of = tracker.connect().site_of
            is_measured = "soak.inside.child" in sys.modules
            assert [bool(site_of(id(each))) for each in (pytest.fixture, cycle)] == [False, is_measured]
        """
    )

    result.assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.parametrize("isolate", [True, False])
def test_an_async_test_is_a_cycle_without_any_other_plugin(run, isolate: bool):
    result = run(
        f"""
        import asyncio, pytest
        kept = []

        @pytest.mark.soak({SHORT}, isolate={isolate})
        async def test_leaks():
            await asyncio.sleep(0)
            kept.append(bytearray(106))

        @pytest.mark.soak({SHORT}, isolate={isolate})
        async def test_clean():
            await asyncio.sleep(0)
        """
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["soak: ▲ LEAK: test_it.py::test_leaks grows by *"])


def test_in_process_the_channels_are_named(run):
    result = run(f"kept = []\ndef test(soak): soak.check(lambda: kept.append(object()), isolate=False, {SHORT})")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  cause: Python objects*test_it.py:2*",
            "  channels: threads, children, fds, python_blocks, heap, mapped, rss.*",
        ]
    )


WRONG_REQUESTS = """
import pytest

def test_lambda(soak): soak.check(lambda: None)

@pytest.mark.soak(tol=1)
def test_unknown_option(): pass

@pytest.mark.soak('1B')
def test_option_without_name(): pass

def test_no_size(soak): soak.check(print, tolerance='none')

def test_no_function(soak): soak.check(print())
"""


def test_a_wrong_request_is_one_clear_line(run):
    result = run(WRONG_REQUESTS)

    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(
        [
            "soak: *cannot be imported by a fresh process*isolate=False*",
            "soak: @pytest.mark.soak does not know tol; it takes *",
            "soak: @pytest.mark.soak does not know '1B'; it takes *",
            "soak: 'none' is not a size*",
            "soak: None is not a function; give the function itself*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("During handling of*")


def test_what_is_not_decided_does_not_pass(run):
    result = run("def cycle(): pass\ndef test(soak): soak.check(cycle, iterations=20)")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["soak: ? INCONCLUSIVE: *", "  undecided: use a larger budget*"])


def test_a_check_that_could_not_begin_says_why_and_nothing_of_growth(run):
    result = run("def test(soak): soak.check('no_such_module:cycle')")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["soak: ✕ FAILED: *failed in setup: ModuleNotFoundError*"])
    for absent in ("  growth:*", "  why:*", "  channels:*"):
        result.stdout.no_fnmatch_line(absent)


@pytest.mark.long
def test_it_works_from_any_folder_and_names_commands_that_work_there(run, pytester: pytest.Pytester, monkeypatch):
    """The root folder differs, and the configuration puts a folder on the path and deselects marked tests."""
    pytester.makeini("[pytest]\npythonpath = src\naddopts = -m nothing -k nothing")
    (pytester.mkdir("src") / "helper.py").write_text("kept = []\ndef leak(): kept.append(bytearray(106))\n")
    monkeypatch.chdir(pytester.mkdir("below"))
    text = f"""
        import helper, pytest
        def cycle(): helper.leak()
        def test_check(soak): soak.check(cycle, {SHORT})

        @pytest.mark.soak({SHORT})
        def test_marked(): helper.leak()
        """
    (pytester.path / "test_it.py").write_text(textwrap.dedent(text))

    result = pytester.runpytest_subprocess(*OPTIONS, "-m", "", "-k", "", "../test_it.py")

    result.assert_outcomes(failed=2)
    source = pytester.path / "src"
    result.stdout.fnmatch_lines_random(
        [
            "soak: ▲ LEAK: test_it.py::test_check cycle grows by *",
            "soak: ▲ LEAK: test_it.py::test_marked grows by *",
            f"  look closer: PYTHONPATH={source}:$PYTHONPATH soak run {pytester.path / 'test_it.py'}:cycle*",
            f"  look closer: pytest ../test_it.py::test_marked {REPEATED} -m '' -k '' {CLOSER}",
        ]
    )


def test_a_marked_method_of_a_testcase_is_said_not_to_be_measured(run):
    result = run(
        """
        import pytest, unittest
        class TestCase(unittest.TestCase):
            @pytest.mark.soak
            def test(self): pass
        """
    )

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*PytestWarning: soak repeats only test functions and methods of plain classes*"])


def test_a_marked_test_that_fails_or_skips_is_not_repeated(run):
    result = run(
        """
        import pytest
        pytestmark = pytest.mark.soak
        def test_fails(): assert 1 == 2
        def test_skips(): pytest.skip("not here")
        """
    )

    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.no_fnmatch_line("*soak:*")


def test_a_test_that_fails_when_repeated_says_in_which_call(run):
    result = run(
        f"""
        import pytest
        calls = []

        @pytest.mark.soak({SHORT})
        def test_exhausts():
            calls.append(1)
            assert len(calls) < 3
        """
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["soak: ✕ FAILED: test_it.py::test_exhausts failed in call 3: AssertionError*"])


@pytest.mark.long
def test_the_report_holds_every_check_clean_ones_too(run, pytester: pytest.Pytester):
    result = run(
        f"""
        kept = []
        def leak(): kept.append(object())
        def rest(): pass
        def test_leak(soak): soak.check(leak, {SHORT})
        def test_rest(soak): soak.check(rest, {SHORT})
        """,
        "--soak-report",
        "out/soak",
    )

    result.stdout.fnmatch_lines(["report: out/soak/report.html"])
    report = json.loads((pytester.path / "out/soak/report.json").read_text())
    assert {component["name"]: component["verdict"] for component in report["components"]} == {
        "test_it.py::test_leak leak": "LEAK",
        "test_it.py::test_rest rest": "CLEAN",
    }
    assert report["controls"]["spike"]["ok"]


COUNTING = """
import soak.testing.reporter
from soak.running.child.process import MeasuredProcess

measured, controls = [], []
run_controls, start = soak.testing.reporter.run_controls, MeasuredProcess.__init__

def counted(process, *arguments, **options):
    start(process, *arguments, **options)
    measured.append(process.pid)

def counted_controls(context):
    before = len(measured)
    controls.append(run_controls(context))
    del measured[before:]
    return controls[-1]

MeasuredProcess.__init__ = counted
soak.testing.reporter.run_controls = counted_controls

def pytest_unconfigure():
    print(f"measured processes: {len(measured)}, controls: {len(controls)}")
"""


@pytest.mark.long
@pytest.mark.parametrize(("options", "controls"), [((), 0), (("--soak-report=out",), 1)])
def test_each_test_takes_one_process_and_a_report_one_set_of_controls(
    run, pytester: pytest.Pytester, options: tuple[str, ...], controls: int
):
    pytester.makeconftest(COUNTING)
    result = run(
        f"""
        import pytest
        def cycle(): pass

        @pytest.mark.soak({SHORT})
        def test_marked(): pass

        @pytest.mark.soak({SHORT})
        def test_marked_too(): pass

        def test_check(soak): soak.check(cycle, {SHORT})
        """,
        "-s",
        *options,
    )

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines([f"measured processes: 3, controls: {controls}"])


def test_marked_tests_are_forked_from_one_warm_process_but_not_where_a_fixture_changes_the_environment(
    run, tmp_path: Path
):
    """The first two have one parent, which is not pytest; the third is started by pytest itself. All are judged."""
    result = run(
        f"""
        import os, pytest
        note = lambda name: open({str(tmp_path)!r} + "/" + name, "w").write(f"{{os.getppid()}} {{os.getpid()}}")
        KEPT = []

        def test_pytest_itself(): note("pytest")

        @pytest.mark.soak({SHORT})
        def test_one(): KEPT.append(bytes(106)); note("one")

        @pytest.mark.soak({SHORT})
        def test_two(): assert len(KEPT) < 2; note("two")

        @pytest.mark.soak({SHORT})
        def test_three(changed): note("three")

        @pytest.fixture
        def changed(monkeypatch): monkeypatch.setenv("SOMETHING", "else")
        """,
    )

    result.assert_outcomes(passed=3, failed=1)
    parents = {name: (tmp_path / name).read_text().split()[0] for name in ("one", "two", "three")}
    own = (tmp_path / "pytest").read_text().split()[1]
    assert parents["three"] == own
    assert parents["one"] == parents["two"] != own


@pytest.mark.long
def test_the_budget_of_the_command_line_is_the_one_and_the_command_to_look_closer_has_its_options(run):
    """Checks of a quarter second each are undecided, because the time is too short. Options of soak come once."""
    result = run(
        """
        import pytest, time
        def slow(): time.sleep(0.02)
        def test_check(soak): soak.check(slow, budget='10min')

        @pytest.mark.soak
        def test_slow(): time.sleep(0.02)
        """,
        "--soak-budget",
        "250ms",
        "--soak-report=out",
        "-rA",
    )

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "soak: ? INCONCLUSIVE*test_check*",
            f"  look closer: pytest test_it.py::test_slow {REPEATED} -rA {CLOSER}",
        ]
    )


@pytest.mark.long
def test_tests_that_measure_are_one_group_of_xdist_and_report_together(run, pytester: pytest.Pytester):
    """With a tolerance: a worker's thread that talks to the controller allocates in the process that is judged."""
    pytest.importorskip("xdist")
    result = run(
        f"""
        import pytest
        def cycle(): pass

        @pytest.mark.parametrize("number", range(3))
        def test(soak, number, request):
            assert request.node.get_closest_marker("xdist_group").args == ("soak",)
            soak.check(cycle, isolate=False, tolerance="64B", {SHORT})

        @pytest.mark.soak({SHORT}, isolate=False, tolerance="64B")
        def test_marked(): pass
        """,
        "-pxdist",
        "-n2",
        "--dist=loadgroup",
        "--soak-report=out",
    )

    result.assert_outcomes(passed=4)
    report = json.loads((pytester.path / "out/report.json").read_text())
    assert sorted(component["verdict"] for component in report["components"]) == ["CLEAN"] * 4


def test_unused_it_imports_nothing_of_what_measures(run):
    result = run(
        """
        import sys
        def test_nothing():
            ours = [name for name in sys.modules if name.startswith("soak")]
            assert ours == ["soak", "soak.testing", "soak.testing.plugin"]
            assert "numpy" not in sys.modules
        """
    )

    result.assert_outcomes(passed=1)


def test_its_options_and_marker_are_in_pytests_help(run):
    run("").stdout.no_fnmatch_line("*soak*")

    helped, marked = run("", "--help"), run("", "--markers")

    helped.stdout.fnmatch_lines(["*--soak-budget=3s*", "*--soak-report=DIR*"])
    marked.stdout.fnmatch_lines(["@pytest.mark.soak(*"])


def test_it_is_installed_with_soak():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"soak": "soak.testing.plugin"}
