"""The figures: small, the same on white and dark paper, and safe to put side by side on one page."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree as ET

import pytest
from builder import a_component, a_failure, a_leak, an_undecided, growth, parts, readings, sawtooth, signal

from soak.measurements import Reading
from soak.reporting.figures.component_figure import component_figure, parts_figure
from soak.reporting.figures.palette import FIGURE
from soak.results import Parts
from soak.verdict import Verdict


def test_a_leak_shows_its_rate_its_windows_and_where_memory_went():
    """The words of a figure are text: a person can search them, and so can a test."""
    words = words_of(component_figure(a_leak(), readings(rate=128.0)))

    assert {
        "malloc heap in use, change since 5 MiB at the first reading",
        "fitted rate, 128 B per cycle",
        "older window",
        "newer window",
        "1 B per cycle, the tolerance",
        "decided at cycle 16,384",
        "resident (RSS)",
        "heap kept free",
    } <= words


def test_a_series_that_grows_in_a_run_without_a_verdict_has_decided_nothing():
    """It may be a cache that fills."""
    undecided = dataclasses.replace(a_leak(), verdict=Verdict.INCONCLUSIVE)
    words = words_of(component_figure(undecided, readings(rate=128.0)))

    assert "fitted up to cycle 16,384" in words
    assert not any(text.startswith("decided") for text in words)


def test_the_fitted_rate_goes_on_where_more_was_read_and_the_tolerance_begins_with_it():
    """Later readings can be compared with the line; the angle between the lines shows the distance to the tolerance."""
    decided_at_the_end = component_figure(a_leak(), readings(129, rate=128.0))
    read_on_afterwards = component_figure(a_leak(), readings(rate=128.0))

    fitted, _ = ends_of_lines(decided_at_the_end, "s-fit")
    tolerance = ends_of_lines(decided_at_the_end, "s-muted")[0]
    assert fitted[0] == tolerance[0]
    fitted, _, goes_on = ends_of_lines(read_on_afterwards, "s-fit")
    assert fitted[1] == goes_on[0]


def test_of_one_window_there_is_no_older_one():
    """CLEAN rests on the newer half alone."""
    words = words_of(component_figure(a_component(), readings()))

    assert "window" in words
    assert not {"older window", "newer window"} & words


def test_a_figure_uses_no_colour_but_by_class():
    """Otherwise it could not follow the reader's dark setting."""
    figure = component_figure(a_leak(), readings(rate=128.0))
    drawn = re.sub(r"<style>.*?</style>", "", figure)

    assert re.findall(r"#[0-9a-f]{6}", drawn) == []
    assert all(f".f-{name}{{fill:{shade.dark}}}" in figure for name, shade in FIGURE.items())


def test_no_two_colours_are_the_same():
    """The light colour is the key by which a drawn colour finds its class."""
    assert len({shade.light for shade in FIGURE.values()}) == len(FIGURE)


def test_the_same_readings_give_the_same_figure():
    """A report can be made again and compared."""
    assert component_figure(a_leak(), readings(rate=128.0)) == component_figure(a_leak(), readings(rate=128.0))


def test_figures_on_one_page_share_no_ids():
    """Every id carries the figure's prefix, and every reference leads to one."""
    figure = component_figure(a_leak(), readings(rate=128.0), prefix="c7")
    ids = re.findall(r' id="([^"]*)"', figure)
    references = re.findall(r'(?:url\(|href=")#([^)"]*)', figure)

    assert ids
    assert all(name.startswith("c7-") for name in ids)
    assert set(references) == set(ids)


def test_a_long_run_gives_a_small_figure():
    """8,000 readings of a million cycles are thinned to what can be seen."""
    figure = component_figure(a_component(), sawtooth(8_000, every=128))

    assert len(figure) < 40_000


@pytest.mark.parametrize(
    ("component", "read"),
    [
        (a_component(), readings(1)),
        (a_component(), readings(2)),
        (a_component(signals={}), readings(9)),
        (a_component(signals={"heap": signal("heap", None, None, None)}), readings(9)),
        (a_component(signals={"heap": signal("heap", 1.0, None, None)}), readings(9)),
        (an_undecided(signals={"heap": signal("heap", 5.0, -90.0, 90.0, verdict=Verdict.INCONCLUSIVE)}), readings(9)),
        (a_leak(growth=growth(0.1, 0.1, 0.1, signal="fds")), readings(9)),
        (a_component(growth=None, decided_by=None), [Reading(5, 1.0, {"gc_objects": 3.0})]),
        (a_component(growth=None, decided_by=None), [Reading(5, 1.0, {"of another version": 3.0})]),
        (a_component("a_$dollar$_<script>"), readings(9)),
    ],
)
def test_whatever_was_read_can_be_drawn(component, read):
    """One reading, no rate, no interval, a signal nobody knows: a figure that is well-formed XML."""
    assert words_of(component_figure(component, read))


def test_large_counts_have_short_ticks():
    """Thirteen thousand open files are 13 thousand, not 1.3e+04."""
    opened = [Reading(cycle, 0.0, {"fds": 4.0 + cycle / 10}) for cycle in range(0, 132_000, 1_000)]

    words = words_of(component_figure(a_failure(), opened))

    assert {"thousand fds", "0", "5", "10", "100,000"} <= words


def test_nothing_read_gives_no_figure():
    """A driver that failed in setup has nothing to draw."""
    assert component_figure(a_failure(), []) is None
    assert component_figure(a_failure(), [Reading(0, 0.0, {})]) is None


def test_the_sum_of_parts_names_every_part_and_what_is_unexplained():
    """A bar each, with its number."""
    words = words_of(parts_figure(parts()))

    assert {"get", "numpy_conversion", "sum of the parts", "full cycle", "unexplained", "106"} <= words


def test_a_sum_without_its_parts_can_be_drawn():
    """What is known is shown."""
    assert "unexplained" in words_of(parts_figure(Parts(0.0, 0.0, 0.0, 0.0, 0.0)))


def ends_of_lines(figure: str | None, colour: str) -> list[tuple[str, str]]:
    """Give both ends of each straight line of a colour, as written; the legend has three points to a line."""
    return re.findall(rf'<path d="M ([\d. ]+) L ([\d. ]+)"[^>]* class="{colour}"', figure or "")


def words_of(figure: str | None) -> set[str]:
    """Parse a figure and give its texts."""
    assert figure is not None
    root = ET.fromstring(figure)
    return {(text.text or "").strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
