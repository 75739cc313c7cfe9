"""The components of one run, some at a time: each is started here, and soaked by what is imported while it starts."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from soak.probes.limits import read_free_memory_bytes
from soak.results import ComponentResult
from soak.running.child.guards import SHARE_OF_FREE_MEMORY
from soak.running.child.process import MeasuredProcess, start_component
from soak.running.run.shared import Shared
from soak.settings import ComponentPlan


class Components:
    """The components of one run."""

    def __init__(self, shared: Shared, kept: Mapping[str, ComponentResult]) -> None:
        """Prepare to soak those of the plan that are not ``kept``."""
        self._shared, self._kept = shared, kept
        self._max_rss_bytes = SHARE_OF_FREE_MEMORY * read_free_memory_bytes()
        components = shared.plan.components
        self._tells_limit = any(each.max_rss_bytes is None and each.name not in kept for each in components)
        self._limit_told = threading.Lock()

    def soak_all(self) -> list[ComponentResult]:
        """Soak every component; return the results in the plan's order, without those that never began."""
        plan = self._shared.plan
        # A child dies with the thread that started it (see soak.inside.child), so each is watched by that thread.
        with ThreadPoolExecutor(max_workers=plan.jobs) as pool:
            futures = [
                pool.submit(self._soak, component, position) for position, component in enumerate(plan.components, 1)
            ]
            try:
                outcomes = [future.result() for future in futures]
            except BaseException:
                self._shared.context.stopping.set()
                raise
        return [outcome for outcome in outcomes if outcome is not None]

    def _soak(self, component: ComponentPlan, position: int) -> ComponentResult | None:
        shared = self._shared
        if component.name in self._kept:
            return self._kept[component.name]
        if shared.context.stopping.is_set():
            return None
        limited = self._with_memory_limit(component)
        component_id = shared.store.begin_component(component.name, datetime.now(UTC).isoformat(timespec="seconds"))
        begun: MeasuredProcess | OSError | None = None
        try:
            # Where pauses have a budget, even the first checkpoint may not wait for what is imported here.
            if limited.max_pause_s is None:
                begun = start_component(limited, shared.context)
        except OSError as error:
            begun = error
        try:
            self._tell_of(component, position)
            # Imported here, because the process starts meanwhile.
            from soak.running.run.one_component import soak_one
        except BaseException:
            if isinstance(begun, MeasuredProcess):
                begun.close()
            raise
        return soak_one(limited, component_id, begun, shared)

    def _tell_of(self, component: ComponentPlan, position: int) -> None:
        total = len(self._shared.plan.components)
        with self._limit_told:
            if self._tells_limit:
                self._tells_limit = False
                self._shared.teller.tell(lambda listener: listener.limit_memory(self._max_rss_bytes))
        self._shared.teller.tell(lambda listener: listener.begin(component.name, position, total))

    def _with_memory_limit(self, component: ComponentPlan) -> ComponentPlan:
        """Protect the machine: a leak of memory is stopped before there is none left."""
        if component.max_rss_bytes is not None:
            return component
        return dataclasses.replace(component, max_rss_bytes=self._max_rss_bytes)
