"""What a run's verdicts amount to."""

from __future__ import annotations

import pytest
from builder import a_cause, a_component, a_failure, a_leak, a_run, a_settling, an_undecided

from soak.reporting.outcome import component_exit_code, excuse, exit_code, worst_first


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ((), 0),
        ((a_component(),), 0),
        ((a_component(), an_undecided()), 3),
        ((a_settling(),), 3),
        ((an_undecided(), a_leak()), 1),
        ((a_leak(), a_failure(), a_component()), 4),
        ((a_leak(gate=False), a_component()), 0),
    ],
)
def test_the_worst_component_makes_the_exit_code(components, expected):
    """A failure before a leak before what is open; a component without a gate never counts."""
    assert expected == exit_code(a_run(*components))


def test_a_leak_whose_every_confirmed_cause_is_known_does_not_fail_the_run():
    """A suspect beside confirmed causes does not turn known growth into news; a second confirmed cause does."""
    fingerprint = a_cause().fingerprint
    suspect = a_cause(fingerprint="other", confirmed=False)
    second = a_cause(fingerprint="other")

    assert component_exit_code(a_leak(), {fingerprint}) == 0
    assert component_exit_code(a_leak(causes=(a_cause(), suspect)), {fingerprint}) == 0
    assert component_exit_code(a_leak(causes=(a_cause(), second)), {fingerprint}) == 1
    assert component_exit_code(a_leak(causes=()), {fingerprint}) == 1


def test_a_clean_component_needs_no_excuse():
    """Neither its gate nor a list of known growth has to do with it."""
    assert excuse(a_component(gate=False)) is None
    assert excuse(a_failure(gate=False)) == "gate is off"


def test_what_needs_attention_is_read_first():
    """Within one verdict the order of the run stays; what does not count comes last."""
    components = [a_component("a"), a_leak("b"), a_settling("c"), a_failure("d"), a_leak("e"), an_undecided("f")]
    components.insert(0, a_leak("g", gate=False))

    assert [component.name for component in worst_first(a_run(*components))] == ["d", "b", "e", "f", "c", "a", "g"]
