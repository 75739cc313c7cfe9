"""The controls of one run: measured beside its components, or taken from an earlier run on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from soak.results import Controls
from soak.running.context import RunContext
from soak.running.run.controls import run_controls
from soak.running.run.kept_controls import find_kept, keep


class ControlsOfRun:
    """Knows the controls of a run at the moment a verdict needs them.

    A run whose components are all CLEAN may rest on controls that an earlier run kept. A run that finds anything else
    measures its own, while the causes are looked for.
    """

    def __init__(self, context: RunContext, on_measured: Callable[[Controls], None], *, may_be_kept: bool) -> None:
        """Begin to measure, unless ``may_be_kept`` and an earlier run kept controls that hold for this one."""
        self._context = context
        self._on_measured = on_measured
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._lock = threading.Lock()
        self._own: Future[Controls] | None = None
        self._kept = find_kept(context) if may_be_kept else None
        if self._kept is None:
            self.measure_own()
        else:
            on_measured(self._kept)

    def measure_own(self) -> None:
        """Begin to measure controls in this run, if that was not done before."""
        with self._lock:
            if self._own is None:
                self._own = self._pool.submit(self._measure)

    @property
    def are_known(self) -> bool:
        """Whether `failed_signals` need not wait."""
        return self._own is None or self._own.done()

    def failed_signals(self) -> frozenset[str]:
        """Return the signals that a control found wanting; wait until they are measured. Raises what measuring did."""
        controls = self._kept if self._own is None else self._own.result()
        assert controls is not None
        return controls.failed_signals

    def close(self) -> None:
        """Wait for what is being measured."""
        self._pool.shutdown()

    def _measure(self) -> Controls:
        controls = run_controls(self._context)
        self._on_measured(controls)
        keep(self._context, controls)
        return controls
