"""``junit.xml``: a test case per component, red exactly where soak's exit code is not 0."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from soak.attribution.grouping import group_causes
from soak.reporting import words as say
from soak.reporting.outcome import component_exit_code, excuse, known_fingerprints
from soak.reporting.words.paths import short_frame
from soak.results import ComponentResult, RunResult
from soak.verdict import Verdict

_COUNTS = ("tests", "failures", "errors", "skipped")


def render_junit(result: RunResult) -> str:
    """Write a run as JUnit XML.

    LEAK, SETTLING and INCONCLUSIVE are failures and FAILED is an error, as each makes the exit code other than 0. A
    component that does not count (gate off, growth listed as known) is skipped with its verdict as the message.
    """
    known = known_fingerprints(result)
    codes = [component_exit_code(component, known) for component in result.components]
    errors = sum(c.verdict is Verdict.FAILED and code != 0 for c, code in zip(result.components, codes, strict=True))
    suite = suite_element(
        "soak",
        tests=len(codes),
        failures=sum(code != 0 for code in codes) - errors,
        errors=errors,
        skipped=sum(excuse(component, known) is not None for component in result.components),
        seconds=sum(component.seconds for component in result.components),
        started=result.started,
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("run", result.run),
        ("soak", result.soak),
        ("controls", say.controls_sentence(result.controls)),
    ):
        ET.SubElement(properties, "property", name=name, value=say.printable(value))
    for component in result.components:
        suite.append(case_element(component, excuse(component, known)))
    return suites_text([suite])


def suite_element(
    name: str, *, tests: int, failures: int, errors: int, skipped: int, seconds: float, started: str
) -> ET.Element:
    """Make a suite without its cases."""
    return ET.Element(
        "testsuite",
        name=say.printable(name),
        tests=str(tests),
        failures=str(failures),
        errors=str(errors),
        skipped=str(skipped),
        time=f"{seconds:.3f}",
        timestamp=started,
    )


def suites_text(suites: Sequence[ET.Element]) -> str:
    """Write suites as a document."""
    totals = {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in _COUNTS}
    seconds = sum(float(suite.get("time", "0")) for suite in suites)
    document = ET.Element("testsuites", {"name": "soak", **totals, "time": f"{seconds:.3f}"})
    document.extend(suites)
    ET.indent(document)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(document, encoding="unicode")}\n'


def case_element(component: ComponentResult, excused: str | None) -> ET.Element:
    """Make the test case of a component; ``excused``: why it does not count."""
    case = ET.Element("testcase", classname="soak", name=say.printable(component.name), time=f"{component.seconds:.3f}")
    file = component.target.partition(":")[0]
    if file.endswith(".py"):
        case.set("file", say.printable(file))  # viewers lead there
    sentence = say.printable(say.component_sentence(component))
    if excused is not None:
        message = f"{component.verdict}: {sentence} {say.excuse_sentence(excused)}"
        ET.SubElement(case, "skipped", message=message)
    elif component.verdict is not Verdict.CLEAN:
        kind = "error" if component.verdict is Verdict.FAILED else "failure"
        problem = ET.SubElement(case, kind, type=str(component.verdict), message=sentence)
        problem.text = say.printable(_evidence(component))
    output = ET.SubElement(case, "system-out")
    output.text = say.printable("\n".join(text for text in (sentence, component.output_tail) if text))
    return case


def _evidence(component: ComponentResult) -> str:
    texts = [say.why_words(component), say.needed_sentence(component)]
    if component.failure is not None:
        texts += [component.failure.detail, *component.failure.stack]
    noun = component.cycle_noun
    for group in group_causes(component.causes):
        texts += [say.group_sentence(group, noun), say.advise_on_group(group, noun)]
        texts += [f"  {site}" for site in say.site_lines(group, noun)]
        texts += [f"  {short_frame(frame)}" for frame in group.causes[0].frames]
        texts += [f"  held by {holder}" for holder in say.group_held_by(group)]
    return "\n".join(text for text in texts if text)
