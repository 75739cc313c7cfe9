"""The settings of a run: command line, ``[tool.soak]`` and defaults, combined into one plan for each component.

The order of precedence is: command line, ``[tool.soak.component.NAME]``, the INTERVAL of the driver, ``[tool.soak]``,
default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date, time
from pathlib import Path
from typing import Any

from soak.documents import from_document
from soak.errors import UsageError
from soak.request import OVERNIGHT_INTERVAL_S, Injection, Option, Request, run_options, typed_options
from soak.targets import Target, find_targets
from soak.units import parse_duration_s, parse_size_bytes

DEFAULT_BUDGET_S = 60.0
DEFAULT_CYCLE_TIMEOUT_S = 60.0
DEFAULT_TOLERANCE_BYTES = 1.0
LONGEST_SETTINGS = 8_000
QUICK_TOTAL_S = 6.0
QUICK_CHECKPOINT_SHARE = 0.3
OVERNIGHT_DURATION_S = 12 * 3600.0

_RUN_KEYS = ("targets", "budget", "interval", "tolerance", "n_min", "out", "known", "component", "matrix")
_MATRIX_KEYS = ("python", "with")
_COMPONENT_KEYS = (
    "interval",
    "iterations",
    "budget",
    "tolerance",
    "n_min",
    "cycle_timeout",
    "max_pause",
    "gate",
    "settings",
    "parts",
)
_READ_BY: dict[str, Callable[[str | float], float]] = {
    "budget": parse_duration_s,
    "interval": parse_duration_s,
    "cycle_timeout": parse_duration_s,
    "max_pause": parse_duration_s,
    "tolerance": parse_size_bytes,
}


@dataclass(frozen=True)
class ComponentPlan:
    """How one component is soaked."""

    target: Target
    interval_s: float = 0.0
    """0: as fast as possible."""
    iterations: int | None = None
    budget_s: float | None = None
    """Wall time of the loop; None when only the iterations are limited."""
    longest_budget_s: float | None = None
    """How long the loop may run when the budget decided nothing; None: no longer than the budget."""
    full_budget: bool = True
    """The user named the budget. A CLEAN of a counter before its end is then only "clean so far"."""
    early_stop: bool = True
    tolerance_bytes: float = DEFAULT_TOLERANCE_BYTES
    n_min: int | None = None
    checkpoint_every: int | None = None
    cycle_timeout_s: float = DEFAULT_CYCLE_TIMEOUT_S
    max_rss_bytes: float | None = None
    max_pause_s: float | None = None
    """How long a checkpoint may keep a cycle waiting; None for no budget."""
    gate: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    injection: Injection | None = None
    checkpoint_share: float | None = None
    """The part of the time that checkpoints may take. None: a tenth; with an interval, a twentieth."""
    parts: tuple[str, ...] = ()
    """The components whose growth should add up to that of this one."""
    max_temperature_c: float | None = None
    nice: int = 0
    follow: bool = True
    """The tracker counts in the processes that the component starts as well."""
    resumed_at: int = 0
    """Cycles that earlier processes of this run have done; above 0 the driver's ``resume`` makes the state."""
    options: tuple[Option, ...] = ()
    """Of ``soak run``, as typed for this component: `options_of` adds those of the run."""

    @property
    def name(self) -> str:
        """The component's name."""
        return self.target.name


@dataclass(frozen=True)
class RunPlan:
    """A whole run."""

    components: tuple[ComponentPlan, ...]
    out: Path
    jobs: int
    python: str | None
    track: bool
    known: tuple[str, ...]
    on_verdict: str | None
    base: Path
    """The folder at which relative targets start; measured processes have it on their path."""


def make_plan(request: Request, working_folder: Path) -> RunPlan:
    """Combine request, configuration and drivers. Raises UsageError, which names what is wrong."""
    root, configuration = read_configuration(working_folder)
    if request.targets:
        base, names = working_folder, list(request.targets)
    else:
        base, names = root, list(configuration.get("targets", []))
    if not names:
        raise UsageError("nothing to soak: name a target, or set targets under [tool.soak] in pyproject.toml")
    targets = find_targets(names, base)
    if base != working_folder:
        targets = [_as_typed_in(working_folder, target) for target in targets]
    tables = _component_tables(configuration, root)
    known_names = [target.name for target in targets]
    for option, named in (("--set", request.driver_settings), ("--inject", request.injections)):
        for name in named:
            if name not in known_names:
                raise UsageError(f"{option} {name}: no such component; this run has {', '.join(known_names)}")
    components = tuple(
        _plan_component(target, request, configuration, tables.get(target.name, {}), len(targets)) for target in targets
    )
    jobs = request.jobs or (len(components) if request.overnight else 1)
    out = request.out or root / configuration.get("out", "reports")
    return RunPlan(
        components,
        out if out.is_absolute() else working_folder / out,
        jobs,
        request.python,
        request.track,
        tuple(configuration.get("known", ())),
        request.on_verdict,
        base,
    )


def options_of(run: RunPlan, component: ComponentPlan) -> tuple[Option, ...]:
    """Return the options with which ``soak run`` soaks a component as this run does, but for the budget."""
    return run_options(run.python, track=run.track) + component.options


def plan_to_document(plan: RunPlan) -> dict[str, Any]:
    """Return a plan as plain JSON values, from which the run can be resumed."""
    return {**asdict(plan), "out": str(plan.out), "base": str(plan.base)}


def plan_from_document(document: Any) -> RunPlan:
    """Read a plan from a document. Raises one of `soak.documents.FAULTS` when it is something else."""
    plan = from_document(RunPlan, document)
    return replace(plan, out=Path(plan.out), base=Path(plan.base))


def _plan_component(
    target: Target, request: Request, configuration: dict[str, Any], table: dict[str, Any], count: int
) -> ComponentPlan:
    iterations, budget_s, full_budget = _budget(request, configuration, table, count)
    return ComponentPlan(
        target,
        interval_s=_interval_s(target, request, configuration, table),
        iterations=iterations,
        budget_s=budget_s,
        full_budget=full_budget,
        early_stop=request.early_stop and not request.overnight,
        tolerance_bytes=_tolerance_bytes(request, configuration, table),
        n_min=request.n_min or table.get("n_min", configuration.get("n_min")),
        checkpoint_every=request.checkpoint_every,
        cycle_timeout_s=request.cycle_timeout_s
        or parse_duration_s(table.get("cycle_timeout", DEFAULT_CYCLE_TIMEOUT_S)),
        max_rss_bytes=request.max_rss_bytes,
        max_pause_s=_max_pause_s(target, request, table),
        gate=table.get("gate", True),
        settings=_driver_settings(target, request, table),
        injection=request.injections.get(target.name),
        checkpoint_share=QUICK_CHECKPOINT_SHARE if request.quick else None,
        parts=tuple(table.get("parts", ())),
        max_temperature_c=request.max_temperature_c,
        nice=request.nice,
        follow=request.follow,
        options=typed_options(request, target.name),
    )


def _max_pause_s(target: Target, request: Request, table: dict[str, Any]) -> float | None:
    if request.max_pause_s is not None:
        return request.max_pause_s
    return parse_duration_s(table["max_pause"]) if "max_pause" in table else target.max_pause_s


def _as_typed_in(folder: Path, target: Target) -> Target:
    """Return a target that the configuration names, with its file as a user in ``folder`` writes it."""
    if target.path is None:
        return target
    function = f":{target.function}" if target.function else ""
    return replace(target, given=os.path.relpath(target.path, folder.resolve()) + function)


def _interval_s(target: Target, request: Request, configuration: dict[str, Any], table: dict[str, Any]) -> float:
    if request.interval_s is not None:
        return request.interval_s
    if request.overnight:
        return OVERNIGHT_INTERVAL_S
    if "interval" in table:
        return parse_duration_s(table["interval"])
    if target.interval_s is not None:
        return target.interval_s
    return parse_duration_s(configuration.get("interval", 0))


def _budget(
    request: Request, configuration: dict[str, Any], table: dict[str, Any], count: int
) -> tuple[int | None, float | None, bool]:
    """Return iterations, seconds, and whether the user named either for this run."""
    if request.iterations is not None or request.duration_s is not None:
        return request.iterations, request.duration_s, True
    if request.overnight:
        return None, OVERNIGHT_DURATION_S, True
    if request.quick:
        return None, QUICK_TOTAL_S / count, False
    budget = table.get("budget", configuration.get("budget", DEFAULT_BUDGET_S))
    return table.get("iterations"), parse_duration_s(budget), False


def _tolerance_bytes(request: Request, configuration: dict[str, Any], table: dict[str, Any]) -> float:
    tolerance = request.tolerance_bytes
    if tolerance is None:
        tolerance = parse_size_bytes(table.get("tolerance", configuration.get("tolerance", DEFAULT_TOLERANCE_BYTES)))
    if tolerance <= 0:
        raise UsageError(f"a tolerance of {tolerance:g} B can never be met; use 0.01B or more")
    return tolerance


def _driver_settings(target: Target, request: Request, table: dict[str, Any]) -> dict[str, Any]:
    settings = {**table.get("settings", {}), **request.driver_settings.get(target.name, {})}
    if settings and target.kind != "driver":
        raise UsageError(
            f"{target.name} is a function and takes no settings ({', '.join(settings)}); write a driver with "
            "setup(**settings) and cycle(state)"
        )
    if len(repr(settings)) > LONGEST_SETTINGS:
        raise UsageError(
            f"the settings of {target.name} have {len(repr(settings)):,} characters, and {LONGEST_SETTINGS:,} are "
            "allowed; put them into a file and let setup() read it"
        )
    return {key: _as_text_if_time(value) for key, value in settings.items()}


def _as_text_if_time(value: Any) -> Any:
    """Return a TOML value with dates and times as text: only plain values can be passed to a driver."""
    if isinstance(value, list):
        return [_as_text_if_time(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_text_if_time(item) for key, item in value.items()}
    return value.isoformat() if isinstance(value, date | time) else value


def read_configuration(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the root of the project and its ``[tool.soak]`` table, from the nearest pyproject.toml that has one.

    Without one: ``folder`` itself and an empty table. Raises UsageError for unknown keys and values of a wrong type.
    """
    for candidate in (folder, *folder.parents):
        file = candidate / "pyproject.toml"
        try:
            if not file.is_file():
                continue
        except PermissionError:  # a folder of somebody else's above this one
            continue
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except RecursionError:
            raise UsageError(f"{file} cannot be read: it is nested too deeply") from None
        except (ValueError, OSError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
        tools = document.get("tool", {})
        table = tools.get("soak") if isinstance(tools, dict) else None
        if table is not None:
            if not isinstance(table, dict):
                raise UsageError(f"[tool.soak] in {file} must be a table, not {table!r}")
            _check_keys(table, _RUN_KEYS, f"[tool.soak] in {file}")
            _check_kinds(table, f"[tool.soak] in {file}")
            return candidate, table
    return folder, {}


def read_matrix(folder: Path) -> dict[str, list[str]]:
    """Return ``[tool.soak.matrix]``: ``python`` and ``with``, each a list. Raises UsageError."""
    root, configuration = read_configuration(folder)
    table = configuration.get("matrix", {})
    where = f"[tool.soak.matrix] in {root / 'pyproject.toml'}"
    _check_keys(table, _MATRIX_KEYS, where)
    _check_kinds(table, where)
    return {key: list(table.get(key, ())) for key in _MATRIX_KEYS}


def _component_tables(configuration: dict[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    tables = configuration.get("component", {})
    for name, table in tables.items():
        where = f"[tool.soak.component.{name}] in {root / 'pyproject.toml'}"
        if not isinstance(table, dict):
            raise UsageError(f"{where} must be a table, not {table!r}")
        _check_keys(table, _COMPONENT_KEYS, where)
        _check_kinds(table, where)
    return dict(tables)


def _check_keys(table: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise UsageError(f"unknown key {key!r} in {where}; known keys are {', '.join(allowed)}")


def _check_kinds(table: dict[str, Any], where: str) -> None:
    for key, value in table.items():
        if key in ("n_min", "iterations"):
            right = isinstance(value, int) and not isinstance(value, bool) and value > 0
            expected = "a whole number above 0"
        elif key in ("targets", "known", "parts", *_MATRIX_KEYS):
            right = isinstance(value, list) and all(isinstance(item, str) for item in value)
            expected = "a list of strings"
        elif key == "gate":
            right, expected = isinstance(value, bool), "true or false"
        elif key in ("settings", "component", "matrix"):
            right, expected = isinstance(value, dict), "a table"
        elif key == "out":
            right, expected = isinstance(value, str), "a string"
        else:
            right, expected = (
                isinstance(value, str | int | float) and not isinstance(value, bool),
                "a string or a number",
            )
        if not right:
            raise UsageError(f"{key} = {value!r} in {where} must be {expected}")
        if key in _READ_BY:
            try:
                _READ_BY[key](value)
            except UsageError as error:
                raise UsageError(f"{key} in {where}: {error}") from error
