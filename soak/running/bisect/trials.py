"""Soak a target with one release of a package after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from soak.bisections import Package, Trial
from soak.errors import UsageError
from soak.running.bisect.trial_cache import TrialCache
from soak.running.environments.installer import Environment, Installer, NotInstalledError, StoppedError
from soak.running.environments.target_code import check_path, import_folders
from soak.running.run.experiment import run_experiment
from soak.running.run.telling import RunListener
from soak.settings import RunPlan
from soak.store.database import RunStore
from soak.verdict import Verdict

_AGAIN_TIMES = 5
_LEAKS = {Verdict.LEAK: True, Verdict.CLEAN: False}
_UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.SETTLING)


class BisectListener(Protocol):
    """Who is told how a search goes."""

    def begin(self, release: str) -> RunListener:
        """Take note that a release is to be installed; return who is told how its run goes."""

    def end(self, trial: Trial) -> None:
        """See what was found with a release."""


class Trials:
    """Tries releases as they are asked for. ``done`` has all that were tried, in that order."""

    def __init__(
        self,
        package: Package,
        plan: RunPlan,
        installer: Installer,
        cache: TrialCache,
        *,
        settings: dict[str, Any],
        listener: BisectListener,
        on_run: Callable[[RunStore], None],
        stopping: threading.Event,
    ) -> None:
        """Prepare.

        ``plan``: of the target as its only component; its interpreter is replaced. ``settings``: plain facts for the
        reports. ``on_run``: is given each run, open, when it has ended.
        """
        self._package = package
        self._plan = plan
        self._installer = installer
        self._cache = cache
        self._settings = settings
        self._listener = listener
        self._on_run = on_run
        self._stopping = stopping
        self.done: list[Trial] = []

    def leaks(self, release: str) -> bool | None:
        """Tell whether the target leaks with a release; None when that cannot be told.

        Raises StoppedError; UsageError when something else than the release would be measured.
        """
        listener = self._listener.begin(release)
        try:
            environment = self._installer.install([self._package.at(release)])
        except NotInstalledError as error:
            trial = Trial(release, None, f"could not be installed: {error}")
        else:
            trial = self._judge(release, environment, listener)
        self.done.append(trial)
        self._listener.end(trial)
        return trial.leaks

    def _judge(self, release: str, environment: Environment, listener: RunListener) -> Trial:
        check_path(environment.modules, import_folders(self._plan.components[0].target, self._plan.base))
        plan = replace(self._plan, python=environment.python)
        trial = self._cache.find(plan, environment)
        if trial is None:
            trial = self._measure(plan, release, environment, listener)
            if trial.leaks is not None:
                self._cache.keep(trial, plan, environment)
        return trial

    def _measure(self, plan: RunPlan, release: str, environment: Environment, listener: RunListener) -> Trial:
        """Soak once, and once more with a larger budget when that did not decide."""
        trial = self._soak(plan, release, environment, listener)
        if trial.result is None or trial.result.verdict not in _UNDECIDED:
            return trial
        component = plan.components[0]
        larger = replace(
            component,
            iterations=component.iterations and _AGAIN_TIMES * component.iterations,
            budget_s=component.budget_s and _AGAIN_TIMES * component.budget_s,
            n_min=trial.result.n_min,
        )
        return self._soak(replace(plan, components=(larger,)), release, environment, listener)

    def _soak(self, plan: RunPlan, release: str, environment: Environment, listener: RunListener) -> Trial:
        settings = {**self._settings, "release": self._package.at(release), "installed": environment.installed}
        try:
            store = run_experiment(plan, settings, listener, self._stopping)
        except UsageError as error:
            return Trial(release, None, f"could not be soaked: {error}", installed=environment.installed)
        with store:
            self._on_run(store)
            run = store.read_run()
        if self._stopping.is_set():
            raise StoppedError("stopped while measuring")
        result = run.components[0]
        return Trial(
            release,
            _LEAKS.get(result.verdict),
            result=result,
            folder=run.folder,
            controls_ok=run.controls is None or run.controls.ok,
            installed=environment.installed,
        )
