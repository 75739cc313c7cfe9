"""``report.html``: one self-contained page, no script, no network, for screen and paper.

What a tired reader needs comes first: the run in one sentence, a line per component with the worst on top, and for
each that is not clean what grows, from where, and what to do. The evidence follows below it. The markup is in
``templates/report.html``; here is what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from soak.reporting import words as say
from soak.reporting.figures.plot import inline
from soak.reporting.formats.html_component import view_component
from soak.reporting.outcome import known_fingerprints, worst_first
from soak.reporting.templating import OwnMarkup, render
from soak.results import Blank, ComponentResult, Controls, Parts, RunResult, SignalSpike, Spike
from soak.units import format_count, format_duration, format_number, format_size

_NOTHING: tuple[Any, ...] = (None, {}, [])
_WORDS = (
    "A cycle is one call of the component. LEAK: it grows at a steady rate. CLEAN: growth is proven to be below the "
    "tolerance. SETTLING: it grows, but more and more slowly, like a cache that fills. INCONCLUSIVE: neither could be "
    "shown yet. FAILED: the driver failed. In a figure, the shaded windows are the cycles that the fitted rate is "
    "computed from, and the dotted line is growth at the tolerance. A signal that decides can give any verdict. A "
    "signal that alarms can only give LEAK. A signal that informs is only shown."
)


@dataclass(frozen=True)
class OverviewRow:
    """A component in the table on top."""

    name: str
    anchor: str
    verdict: str
    symbol: str
    aside: str | None
    rate: str
    interval: str
    """What follows the rate where the page is wide enough."""
    decided_by: str
    cycles: str
    time: str


@dataclass(frozen=True)
class PartsView:
    """The full cycle against the sum of its parts."""

    combination: str
    planted: str | None
    figure: OwnMarkup | None
    sentence: str


@dataclass(frozen=True)
class ControlRow:
    """A control; ``note`` says what is wrong with it."""

    name: str
    ok: bool
    found: str
    cycles: str
    note: str | None


@dataclass(frozen=True)
class SettingsTable:
    """A group of tables that are alike."""

    titles: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Setting:
    """A name and its value: a table, else a group of settings, else a text."""

    name: str
    text: str = ""
    group: list[Setting] | None = None
    table: SettingsTable | None = None


def render_html(
    result: RunResult,
    figures: Mapping[str, str],
    parts_figure: str | None = None,
    audit_figures: Mapping[str, str] | None = None,
) -> str:
    """Write a run as one HTML page.

    ``figures`` maps a component's name to its SVG (as ``figures.component_figure`` gives it), for those that have
    one; ``parts_figure`` is the sum of the parts, ``audit_figures`` where RSS went, by component. Whatever the run's
    texts contain is escaped.
    """
    known, planted = known_fingerprints(result), say.planted_components(result)
    anchored = [(component, f"component-{position}") for position, component in enumerate(worst_first(result))]
    audits = audit_figures or {}
    return render(
        "report.html",
        title=say.headline(result),
        about=f"soak {result.soak} · run {result.run} · {say.when_words(result)}",
        alarms=_alarms(result),
        overview=[_overview_row(component, anchor, known, planted) for component, anchor in anchored],
        components=[
            view_component(component, anchor, figures.get(component.name), audits.get(component.name), known)
            for component, anchor in anchored
        ],
        parts=None if result.parts is None else _parts(result.parts, parts_figure, planted),
        controls_sentence=say.controls_sentence(result.controls),
        controls=None if result.controls is None else _controls(result.controls),
        command=say.command_line(result),
        settings=_settings({name: value for name, value in result.settings.items() if name != "command"}),
        environment=_settings(result.environment),
        words=_WORDS,
    )


def _alarms(result: RunResult) -> list[str]:
    """Say what a reader must know before any verdict."""
    controls_failed = result.controls is not None and not result.controls.ok
    alarms = (say.controls_sentence(result.controls) if controls_failed else None, say.state_sentence(result))
    return [alarm for alarm in alarms if alarm]


def _overview_row(
    component: ComponentResult, anchor: str, known: Collection[str], planted: Collection[str]
) -> OverviewRow:
    rate, whole = say.growth_cell(component, brief=True), say.growth_cell(component)
    interval = whole.removeprefix(rate)
    if interval == whole:  # nothing that could be left out
        rate, interval = whole, ""
    return OverviewRow(
        name=component.name,
        anchor=anchor,
        verdict=component.verdict,
        symbol=say.SYMBOLS[component.verdict],
        aside=say.asides(component, known, planted),
        rate=rate,
        interval=interval,
        decided_by=say.decided_cell(component),
        cycles=format_count(component.iterations),
        time=format_duration(component.seconds),
    )


def _parts(parts: Parts, figure: str | None, planted: Collection[str]) -> PartsView:
    with_plants = " and ".join(say.printable(part.name) for part in parts.each if part.name in planted)
    return PartsView(
        combination=say.combination_sentence(parts),
        planted=f"A leak was planted in {with_plants} alone." if with_plants else None,
        figure=inline(figure) if figure else None,
        sentence=say.parts_sentence(parts),
    )


def _controls(controls: Controls) -> list[ControlRow]:
    return [
        _control("blank: an empty cycle", controls.blank, _blank_words(controls.blank)),
        _control("spike: planted memory", controls.spike, _recovered_words(controls.spike)),
        *(
            _control(f"spike: planted {say.planted_words(spike.kind)}", spike, _recovered_of_kind_words(spike))
            for spike in controls.spike.of_kinds
        ),
    ]


def _control(name: str, control: Blank | Spike | SignalSpike, found: str) -> ControlRow:
    note = None if control.ok else control.detail
    return ControlRow(name, control.ok, found or "–", format_count(control.iterations), note)


def _blank_words(blank: Blank) -> str:
    if blank.rate is None:
        return ""
    return f"{format_number(blank.rate)}{say.interval_words(blank.low, blank.high)} B"


def _recovered_words(spike: Spike) -> str:
    return ", ".join(
        f"{format_number(recovered)} of {format_number(planted)} {measure}"
        for recovered, planted, measure in (
            (spike.recovered_requested, spike.planted_requested, "requested"),
            (spike.recovered_allocated, spike.planted_allocated, "allocated"),
        )
        if recovered is not None
    )


def _recovered_of_kind_words(spike: SignalSpike) -> str:
    if spike.recovered is None:
        return ""
    return f"{format_number(spike.recovered)} of {format_number(spike.planted)} {spike.unit}"


def _settings(values: Mapping[str, Any]) -> list[Setting]:
    return [_setting(name, value) for name, value in values.items() if value not in _NOTHING]


def _setting(name: str, value: Any) -> Setting:
    """Show what a configuration may hold: a table for a group of like tables, a list for a table, else plain text."""
    if not isinstance(value, Mapping):
        return Setting(name, _plain(name, value))
    if all(isinstance(row, Mapping) for row in value.values()):
        return Setting(name, table=_settings_table(value))
    return Setting(name, group=_settings(value))


def _settings_table(groups: Mapping[str, Mapping[str, Any]]) -> SettingsTable:
    titles = _said_by_any(groups.values())
    rows = [[name, *(_plain(title, group.get(title)) for title in titles)] for name, group in groups.items()]
    return SettingsTable(["", *titles], rows)


def _said_by_any(groups: Collection[Mapping[str, Any]]) -> list[str]:
    """Return the names that have a value in at least one of the groups, in order."""
    names: Iterable[str] = dict.fromkeys(name for group in groups for name in group)
    return [name for name in names if any(group.get(name) not in _NOTHING for group in groups)]


def _plain(name: str, value: Any) -> str:
    if value in _NOTHING:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_size(value) if name == "memory_bytes" else format_count(value)
    if isinstance(value, float):
        return format_number(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
