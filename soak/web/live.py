"""What the live page of a run is told: its state in words, and the readings since the last time."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soak.attribution.grouping import group_causes
from soak.errors import StoreError
from soak.measurements import SIGNALS
from soak.reporting import words as say
from soak.reporting.formats.metrics import render_metrics
from soak.results import AT_WORK, ComponentResult, RunResult
from soak.store.database import FILE_NAME, RunStore
from soak.store.runs import is_being_measured
from soak.verdict import Verdict

POINTS = 600
"""When a page opens, at most this many readings of each component are sent; of more, the lowest of each stretch."""
LOG_NAME = "soak.log"
_LOG_TAIL_BYTES = 4096
_MEMORY = ("tracked", "heap", "rss")
_COUNTS = ("fds", "threads", "children")
_MOST_CAUSES = 5
_FINAL = (Verdict.LEAK, Verdict.FAILED)


class LiveRun:
    """One run as one page sees it; between two looks only its state and each component's last cycle are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._after: dict[str, int] = {}
        self._told: dict[str, Any] = {}

    def look(self) -> LiveLook:
        """Read what is new. Raises StoreError when the run cannot be read (any more)."""
        is_running = is_being_measured(self._folder)
        with RunStore(self._folder / FILE_NAME, create=False, read_only=True) as store:
            result = dataclasses.replace(store.read_run(so_far=True), is_running=is_running)
            news = [self._news_of(store, name) for name in store.component_names()]
        state = _state(result, _log_tail(self._folder / LOG_NAME))
        is_news, self._told = state != self._told, state
        return LiveLook(
            state=state if is_news else None,
            begun=[one for one in news if "charts" in one],
            readings=[one for one in news if "charts" not in one and one["rows"]],
            is_running=is_running,
        )

    def _news_of(self, store: RunStore, component: str) -> dict[str, Any]:
        names = (*_MEMORY, *_COUNTS)
        is_new = component not in self._after
        rows = store.read_lowest(component, names, after=self._after.get(component, -1), points=POINTS)
        if not rows:
            return {"name": component, "rows": []}
        self._after[component] = int(rows[-1]["cycle"])
        news: dict[str, Any] = {"name": component, "rows": rows}
        if is_new:
            news["charts"] = _charts(rows[-1])
        return news


@dataclasses.dataclass(frozen=True)
class LiveLook:
    """What is new in a run; all of it plain JSON values."""

    state: dict[str, Any] | None
    """None if it is as it was."""
    begun: list[dict[str, Any]]
    """Components that the page has not seen yet, with the signals of their charts."""
    readings: list[dict[str, Any]]
    is_running: bool


def read_metrics(folders: Sequence[Path]) -> bytes:
    """Write what is known of these runs for Prometheus; without those that cannot be read."""
    found: list[tuple[str, ComponentResult]] = []
    for folder in folders:
        with contextlib.suppress(StoreError), RunStore(folder / FILE_NAME, create=False, read_only=True) as store:
            found += [(folder.name, component) for component in store.read_run(so_far=True).components]
    return render_metrics(found)


def _charts(row: Mapping[str, float]) -> list[list[dict[str, str]]]:
    """Return the signals of each chart: those of memory, and those that are counted, as far as they are read."""
    charts = ([name for name in names if name in row] for names in (_MEMORY, _COUNTS))
    return [
        [{"name": name, "title": SIGNALS[name].title, "unit": SIGNALS[name].unit} for name in names]
        for names in charts
        if names
    ]


def _state(result: RunResult, log: str) -> dict[str, Any]:
    return {
        "sentence": say.headline(result),
        "state": " ".join(filter(None, (say.state_sentence(result), say.waiting_sentence(result)))),
        "controls": say.controls_sentence(result.controls) or "",
        "log": say.printable(log),
        "components": [_component(result, component) for component in result.components],
    }


def _component(result: RunResult, component: ComponentResult) -> dict[str, Any]:
    groups = group_causes(component.causes)[:_MOST_CAUSES]
    progress = say.progress_of(result, component) or ""
    return {
        "name": say.printable(component.name),
        "verdict": component.verdict.value,
        "may_change": component.stopped_by == AT_WORK and result.is_running and component.verdict not in _FINAL,
        "sentence": f"{say.component_sentence(component)} {say.why_sentence(component)}",
        "progress": " ".join([progress, *component.messages]).strip(),
        "causes": [
            {"sentence": say.group_sentence(group, component.cycle_noun), "confirmed": group.confirmed}
            for group in groups
        ],
    }


def _log_tail(file: Path) -> str:
    """Return the end of a run's log; nothing if there is none, or where it is a link out of the folder."""
    if file.is_symlink():
        return ""
    with contextlib.suppress(OSError), file.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(log.tell() - _LOG_TAIL_BYTES, 0))
        return log.read(_LOG_TAIL_BYTES).decode("utf-8", "replace")
    return ""
