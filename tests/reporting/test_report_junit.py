"""JUnit is red exactly where soak's exit code is not 0."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from builder import a_cause, a_component, a_failure, a_leak, a_run, a_settling, an_undecided

from soak.reporting.formats.junit import render_junit
from soak.reporting.outcome import exit_code

KNOWN = {"known": [a_cause().fingerprint]}


def test_each_component_is_a_test_case_with_its_verdict():
    """LEAK, SETTLING and INCONCLUSIVE are failures, FAILED is an error, CLEAN is neither."""
    run = a_run(
        a_component("a"), a_leak("b"), a_failure("c"), a_settling("d"), an_undecided("e"), a_leak("f", gate=False)
    )

    suite = suite_of(run)

    outcomes = {
        case.get("name"): [child.tag for child in case if child.tag != "system-out"] for case in suite.iter("testcase")
    }
    assert outcomes == {
        "a": [], "b": ["failure"], "c": ["error"], "d": ["failure"], "e": ["failure"], "f": ["skipped"],
    }  # fmt: skip
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "3", "errors": "1", "skipped": "1"}


def test_viewers_find_the_totals_on_top_and_the_file_of_each_component():
    """Some read the outer element alone; some lead to the file. A function of a package has none."""
    text = render_junit(a_run(a_leak("convert"), a_component("get", target="package.module:get")))
    suites = ET.fromstring(text.encode("utf-8"))

    assert {name: suites.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": "soak", "tests": "2", "failures": "1", "errors": "0", "skipped": "0", "time": "17.000",
    }  # fmt: skip
    assert [case.get("file") for case in suites.iter("testcase")] == ["standalone_tests/drive_convert.py", None]


def test_the_file_is_what_the_schema_of_viewers_allows():
    """Elements and attributes of the schema that Jenkins publishes, which GitLab, GitHub's actions and others read."""
    allowed = {
        "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        "properties": set(),
        "property": {"name", "value"},
        "testcase": {"classname", "name", "time", "file"},
        "failure": {"type", "message"},
        "error": {"type", "message"},
        "skipped": {"message"},
        "system-out": set(),
    }
    run = a_run(a_component("a"), a_leak("b"), a_failure("c"), a_leak("d", gate=False), an_undecided("e"))

    for found in ET.fromstring(render_junit(run).encode("utf-8")).iter():
        assert set(found.attrib) <= allowed[found.tag]


@pytest.mark.parametrize(
    "run",
    [
        a_run(),
        a_run(a_component()),
        a_run(a_leak()),
        a_run(a_leak(gate=False)),
        a_run(a_leak(), settings=KNOWN),
        a_run(a_leak(causes=()), settings=KNOWN),
        a_run(a_failure()),
        a_run(a_failure(gate=False), a_component()),
        a_run(an_undecided()),
        a_run(a_settling(gate=False)),
    ],
)
def test_junit_is_red_when_the_exit_code_is_not_zero(run):
    """Whatever reads the XML and whatever reads the exit code agree."""
    suite = suite_of(run)

    red = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    assert (red > 0) == (exit_code(run) != 0)


def test_a_failure_says_what_a_person_needs():
    """The message is the sentence, the text the causes and the stack."""
    failure = next(suite_of(a_run(a_leak("convert"))).iter("failure"))

    assert failure.get("type") == "LEAK"
    assert failure.get("message") == (
        "convert grows by 106 B per call (the allocator uses 128 B for it): decoder/conversion.py:42 allocates it, "
        "and nothing points to it (20,480 calls in 8.5 s)."
    )
    lines = (failure.text or "").splitlines()
    assert lines[0] == "Malloc heap in use grows by 128 B per call [127.9, 128.1], steadily since call 4,096."
    assert "  to_numpy at decoder/conversion.py:42" in lines


def test_known_growth_is_skipped_with_its_reason():
    """Shown, not red."""
    skipped = next(suite_of(a_run(a_leak("convert"), settings=KNOWN)).iter("skipped"))

    assert (skipped.get("message") or "").endswith("Does not fail the run: this growth is listed as known.")


def test_characters_that_xml_cannot_hold_do_not_break_the_file():
    """A driver's output may be anything."""
    suite = suite_of(a_run(a_failure("<a>&\x00", output_tail="\x1b[31m]]>\udcff\x08 end")))

    case = next(suite.iter("testcase"))
    assert case.get("name") == "<a>&\ufffd"
    assert (case.findtext("system-out") or "").endswith("]]>\ufffd\ufffd end")


def suite_of(run) -> ET.Element:
    """Parse the rendered file and give its one suite."""
    text = render_junit(run)
    suites = ET.fromstring(text.encode("utf-8"))
    assert suites.tag == "testsuites"
    return suites[0]
