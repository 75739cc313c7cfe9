"""The pages that are ours: the index, and the one that says why there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from soak.profiles import MERGED, ComponentProfile, Statistics, summarise
from soak.reporting.commands.profile import function_name, overhead_words, place_words
from soak.reporting.formats.stylesheet import page_css
from soak.reporting.markup import Markup, element, join
from soak.units import format_count, format_duration
from soak.verdict import Verdict
from soak.web.catalogue import FILES, Entry, Profile

_CSS = """
.chips{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;margin:.5rem 0}.chips .badge{margin-left:.35rem}
td.all{font-weight:650}
"""


def index_page(entries: Sequence[Entry]) -> str:
    """List runs, newest first, with their reports and profiles."""
    if not entries:
        content = element("p", "There are no runs yet; ", element("code", "soak profile"), " makes one.")
    else:
        content = join(*(_entry(entry) for entry in entries))
    return _page("Runs and profiles", element("h1", "Runs and profiles"), content)


def undrawable_page(profile: str, statistics: Statistics) -> str:
    """Say what a profile holds in which no function calls another: there is no icicle to draw then."""
    totals = summarise(statistics)
    words = "It is empty." if not totals.top else "No function in it calls another, so there is nothing to draw."
    rows = [
        f"{function_name(function)} {place_words(function)}: {format_count(function.calls)} calls, "
        f"{format_duration(function.own_s)} own time"
        for function in totals.top
    ]
    return _page(profile, element("h1", profile), element("p", words), *(element("p", row) for row in rows), _back())


def failure_page(title: str, reason: str) -> str:
    """Say why something is not shown."""
    return _page(title, element("h1", title), element("p", reason), _back())


def profile_address(entry: Entry, profile: Profile) -> str:
    """Give the address of a profile in SnakeViz."""
    return f"/snakeviz/{quote(entry.name, safe='')}/{quote(profile.name, safe='')}"


def report_address(entry: Entry) -> str:
    """Give the address of a run's report."""
    return f"/report/{quote(entry.name, safe='')}"


def _entry(entry: Entry) -> Markup:
    kind = "named on the command line" if entry.name == FILES else "profile" if entry.profiled else "soak run"
    link = element("a", "report", href=report_address(entry), class_="report") if entry.report else None
    return element(
        "section",
        element("div", element("h2", entry.name), element("span", kind, class_="note"), link, class_="title"),
        element("div", *(_chip(name, verdict) for name, verdict in entry.verdicts), class_="chips")
        if entry.verdicts
        else None,
        _profiles(entry) if entry.profiles else None,
        id=entry.name,
    )


def _chip(name: str, verdict: str) -> Markup:
    known = verdict if verdict in Verdict.__members__ else None
    return element("span", name, element("span", verdict, class_=f"badge {known}" if known else "badge"))


def _profiles(entry: Entry) -> Markup:
    rows = [_profile(entry, profile) for profile in entry.profiles]
    titles = ("profile", "cycle", "under the profiler", "cycles", "most time of its own")
    head = element("tr", *(element("th", title, class_=_alignment(place)) for place, title in enumerate(titles)))
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll")


def _profile(entry: Entry, profile: Profile) -> Markup:
    component = entry.component(profile)
    merged = profile.name.removesuffix(".prof") == MERGED
    totals = component.totals if component else entry.profiled.merged if merged and entry.profiled else None
    first = totals.top[0] if totals is not None and totals.top else None
    cells = (
        element("a", profile.name.removesuffix(".prof"), href=profile_address(entry, profile)),
        *_times(component),
        join(element("code", function_name(first)), element("span", f" {place_words(first)}", class_="note"))
        if first
        else "",
    )
    name, *others = cells
    return element(
        "tr",
        element("td", name, class_="all" if merged else None),
        *(element("td", cell, class_=_alignment(place)) for place, cell in enumerate(others, 1)),
    )


def _times(component: ComponentProfile | None) -> tuple[str, str, str]:
    if component is None or component.cycle_s is None or component.profiled_cycle_s is None:
        return "", "", ""
    cost = f" ({overhead_words(component.slowdown)})" if component.slowdown is not None else ""
    return (
        format_duration(component.cycle_s),
        f"{format_duration(component.profiled_cycle_s)}{cost}",
        format_count(component.cycles),
    )


def _alignment(place: int) -> str | None:
    return "number" if 1 <= place <= 3 else None


def _back() -> Markup:
    return element("p", element("a", "All runs and profiles", href="/"))


def _page(title: str, *content: Markup) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"soak: {title}"),
        element("style", Markup(page_css() + _CSS)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', element('main', *content)), lang='en')}\n"
