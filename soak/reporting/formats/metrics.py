"""What is known of components, for Prometheus: by ``/metrics`` of ``soak view``, or in a file for node_exporter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, write_to_textfile
from prometheus_client.registry import Collector

from soak.errors import SoakError
from soak.results import AT_WORK, ComponentResult
from soak.verdict import Verdict

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_LABELS = ("run", "component")
Found = tuple[str, ComponentResult]
"""The run's name and what is known of one of its components."""


def render_metrics(found: Iterable[Found]) -> bytes:
    """Write the metrics in the text format of Prometheus."""
    return generate_latest(_registry(found))


def write_metrics(file: Path, found: Iterable[Found]) -> None:
    """Write the metrics into a file in one step. Raises SoakError when that fails."""
    try:
        write_to_textfile(str(file), _registry(found))
    except OSError as error:
        raise SoakError(f"--metrics-file {file} cannot be written: {error.strerror or error}") from error


def _registry(found: Iterable[Found]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Findings(list(found)))
    return registry


class _Findings(Collector):
    def __init__(self, found: list[Found]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with a value per component."""
        counted: dict[str, tuple[str, Callable[[ComponentResult], float]]] = {
            "soak_cycles": ("Cycles that were run", lambda one: one.iterations),
            "soak_checkpoint_seconds": ("Time of the cycles that checkpoints took", _checkpoint_s),
        }
        for name, (about, value) in counted.items():
            counter = CounterMetricFamily(name, about, labels=_LABELS)
            for run, component in self._found:
                counter.add_metric((run, component.name), value(component))
            yield counter
        gauges: dict[str, tuple[str, Callable[[ComponentResult], float | None]]] = {
            "soak_growth_bytes_per_cycle": ("Growth per cycle", lambda one: _growth(one)[0]),
            "soak_growth_low_bytes_per_cycle": ("Lower end of its interval", lambda one: _growth(one)[1]),
            "soak_growth_high_bytes_per_cycle": ("Upper end of its interval", lambda one: _growth(one)[2]),
            "soak_tracked_bytes": ("Memory requested and not freed", lambda one: _last(one, "tracked")),
            "soak_rss_bytes": ("Resident memory", lambda one: _last(one, "rss")),
            "soak_at_work": ("Whether it is being measured", lambda one: float(one.stopped_by == AT_WORK)),
        }
        for name, (about, value_of) in gauges.items():
            gauge = GaugeMetricFamily(name, about, labels=_LABELS)
            for run, component in self._found:
                if (known := value_of(component)) is not None:
                    gauge.add_metric((run, component.name), known)
            yield gauge
        yield self._verdicts()

    def _verdicts(self) -> Metric:
        verdicts = GaugeMetricFamily("soak_verdict", "1 for the verdict that stands", labels=(*_LABELS, "verdict"))
        for run, component in self._found:
            for verdict in Verdict:
                stands = float(component.verdict is verdict)
                verdicts.add_metric((run, component.name, verdict.value), stands)
        return verdicts


def _checkpoint_s(component: ComponentResult) -> float:
    return component.checkpoint_share * component.seconds


def _growth(component: ComponentResult) -> tuple[float | None, float | None, float | None]:
    """Return rate and interval of the growth that the verdict rests on, else of what the tracker or the heap counts.

    Before a long run can decide, what is provisional is known first.
    """
    growth = component.growth
    if growth is not None and growth.bytes_per_iteration is not None:
        return growth.bytes_per_iteration, growth.low, growth.high
    in_bytes = component.provisional if component.provisional and component.provisional.unit == "bytes" else None
    signals = (in_bytes, *(component.signals.get(name) for name in ("tracked", "heap")))
    known = next((signal for signal in signals if signal is not None and signal.per_iteration is not None), None)
    return (None, None, None) if known is None else (known.per_iteration, known.low, known.high)


def _last(component: ComponentResult, name: str) -> float | None:
    signal = component.signals.get(name)
    return None if signal is None else signal.last
