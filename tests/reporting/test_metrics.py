"""Metrics for Prometheus: of each component what stands, as far as it is known."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from builder import a_component, a_leak
from rich.console import Console

from soak.errors import SoakError
from soak.reporting.formats.metrics import render_metrics, write_metrics
from soak.reporting.formats.metrics_display import MetricsDisplay
from soak.results import AT_WORK

DASHBOARD = Path(__file__).parents[2] / "docs" / "examples" / "grafana-dashboard.json"


def values(text: bytes) -> dict[str, float]:
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_leak_has_its_rate_with_interval_and_its_verdict():
    leak = a_leak()

    found = values(render_metrics([("night", leak)]))

    labels = f'{{component="{leak.name}",run="night"}}'
    assert leak.growth is not None
    assert found[f"soak_growth_bytes_per_cycle{labels}"] == leak.growth.bytes_per_iteration
    assert found[f"soak_growth_low_bytes_per_cycle{labels}"] == leak.growth.low
    assert found[f"soak_cycles_total{labels}"] == leak.iterations
    verdicts = {name: value for name, value in found.items() if name.startswith("soak_verdict")}
    assert [name for name, value in verdicts.items() if value == 1] == [
        f'soak_verdict{{component="{leak.name}",run="night",verdict="LEAK"}}'
    ]
    assert len(verdicts) == 5


def test_what_is_not_known_is_left_out():
    found = values(render_metrics([("", dataclasses.replace(a_component("get"), growth=None, signals={}))]))

    assert not any(name.startswith(("soak_growth", "soak_rss", "soak_tracked")) for name in found)


def test_the_file_has_what_is_known_so_far_and_then_what_was_found(tmp_path: Path):
    file = tmp_path / "soak.prom"
    display = MetricsDisplay(Console(file=io.StringIO(), width=100), file)

    display.so_far(dataclasses.replace(a_component("get"), stopped_by=AT_WORK))
    at_work = values(file.read_bytes())['soak_at_work{component="get",run=""}']
    display.done(a_component("get"))

    assert at_work == 1
    assert values(file.read_bytes())['soak_at_work{component="get",run=""}'] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["soak.prom"]


def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path):
    with pytest.raises(SoakError, match=r"--metrics-file .* cannot be written: No such file or directory"):
        write_metrics(tmp_path / "gone" / "soak.prom", [])


def test_the_dashboard_shows_metrics_that_exist():
    asked = {
        name
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
        for name in re.findall(r"soak_\w+", target["expr"])
    }

    written = re.findall(r"^# TYPE (\w+)", render_metrics([]).decode(), re.MULTILINE)

    assert asked
    assert asked <= set(written)
