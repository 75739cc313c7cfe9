"""All raw readings as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from builder import from_table

from soak.measurements import Reading
from soak.reporting.formats.csv_export import write_csv


def test_each_checkpoint_is_a_row_and_each_signal_a_column():
    """Columns in the order of the signals; what was not read is empty; whole numbers have no decimals."""
    table = {
        "get": [
            Reading(0, 0.0, {"rss": 28_573_696.0, "heap": 5_000_000.0}),
            Reading(128, 0.0512, {"heap": 5_000_106.5, "new": 1.0, "rss": float("nan")}),
        ],
        "a,b": [Reading(7, 1.0, {"fds": 6.0})],
    }
    out = io.StringIO()

    write_csv(["get", "a,b"], from_table(table), out)

    assert out.getvalue() == (
        "component,cycle,at_s,fds,heap,rss,new\n"
        "get,0,0.000000,,5000000,28573696,\n"
        "get,128,0.051200,,5000106.5,,1\n"
        '"a,b",7,1.000000,6,,,\n'
    )


def test_a_run_without_readings_has_a_heading_only():
    """A driver that failed in setup leaves nothing to export."""
    out = io.StringIO()

    write_csv(["get"], from_table({}), out)

    assert out.getvalue() == "component,cycle,at_s\n"


@pytest.mark.parametrize("name", ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_name_of_a_component_is_a_formula_in_a_spreadsheet(name: str):
    out = io.StringIO()
    write_csv([name], lambda _: [Reading(1, 0.5, {"heap": -5.0})], out)

    _, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row == [f"'{name}", "1", "0.500000", "-5"]
