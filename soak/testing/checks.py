"""The part of the pytest plugin that measures: checks, and whole tests as cycles.

Only what a measured process needs to be started is imported at the top: the rest is imported while it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest

from soak.api import check
from soak.documents import to_document
from soak.errors import SoakError, UsageError
from soak.results import ComponentResult
from soak.running.check.checking import Terms, is_measured_process, search_path, soak_alone
from soak.running.interpreter import find_interpreter
from soak.targets import Target
from soak.testing import case as pytest_case
from soak.testing.warm import warm_process
from soak.verdict import Verdict

_OWN_OPTIONS = ("--soak-budget", "--soak-report")
_CARRIED_OPTIONS = {"xdist": ("-n0",), "pytest_cov": ("--no-cov",), "cacheprovider": ("-p", "no:cacheprovider")}


class Options(TypedDict, total=False):
    """The options of `soak.check` for type checkers; `soak.check` describes them."""

    tolerance: str | float
    iterations: int | None
    duration: str | float | None
    budget: str | float
    n_min: int | None
    checkpoint_every: int | None
    isolate: bool
    name: str | None
    interval: str | float
    settings: dict[str, Any] | None
    track: bool
    python: str | None
    cycle_timeout: str | float
    max_rss: str | float | None


class Checks:
    """The value of the fixture ``soak`` in one test."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def check(self, function: Callable[[], Any] | str, **terms: Unpack[Options]) -> ComponentResult:
        """Judge ``function`` as `soak.check` does, with the same options; return the result when it is CLEAN.

        Any other verdict fails the test with an explanation, also INCONCLUSIVE and SETTLING: a function passes only
        when it was shown to be clean. ``--soak-budget`` replaces ``budget``.
        """
        __tracebackhide__ = True
        budget = self._item.config.getoption("--soak-budget")
        if budget is not None:
            terms["budget"] = budget
        with _alone(self._item.config), _errors_in_one_line():
            result = check(function, **terms)
        name = f"{_own_id(self._item)} {result.name}"
        return _settle(self._item, replace(result, name=name), lambda: self._look_closer(result, terms))

    def _look_closer(self, result: ComponentResult, terms: Options) -> str:
        if terms.get("isolate", True):
            return _run_command(result)
        return f"{_pytest_command(self._item)} (in this process, soak could read only the counters named above)"


def soak_test(item: pytest.Function, marker: pytest.Mark) -> None:
    """Repeat a test that has just passed: in a fresh process with the tracker, or in this one (``isolate=False``)."""
    __tracebackhide__ = True
    if is_measured_process():
        return
    with _alone(item.config), _errors_in_one_line():
        terms, isolate = _terms(item, marker)
        target = Target(_own_id(item), "driver", path=pytest_case.__file__, given=_own_id(item))
        if isolate:
            settings = {"arguments": _arguments(item), "path": search_path()}
            template = warm_process(item.config)
            result = soak_alone(terms.plan(target, settings), find_interpreter(None), track=True, template=template)
            if template is not None and template.refused:
                item.add_report_section("call", "soak", f"started a new process: {template.refused}")
        else:
            from soak.running.check.inprocess import soak_here

            fixtures = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
            result = soak_here(terms.plan(target, {}), lambda: item.obj(**fixtures))
    _settle(item, result, lambda: _pytest_command(item))


def _terms(item: pytest.Function, marker: pytest.Mark) -> tuple[Terms, bool]:
    """Read the marker's options; return the terms and whether to use a fresh process."""
    options = dict(marker.kwargs)
    isolate = options.pop("isolate", True)
    budget = item.config.getoption("--soak-budget")
    if budget is not None:
        options["budget"] = budget
    known = [*Terms.__dataclass_fields__, "isolate"]
    unknown = [repr(argument) for argument in marker.args] + [name for name in options if name not in known]
    if unknown:
        raise UsageError(
            f"@pytest.mark.soak does not know {', '.join(unknown)}; it takes {', '.join(known)} as keyword arguments"
        )
    return Terms(**options), isolate


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    __tracebackhide__ = True
    try:
        yield
    except SoakError as error:
        raise pytest.fail.Exception(f"soak: {error}", pytrace=False) from None


def _arguments(item: pytest.Function) -> list[str]:
    """Return the command line under which pytest collects this one test and nothing else."""
    config = item.config
    arguments = [_id_from(item, Path.cwd()), f"--rootdir={config.rootpath}", "-q", "--capture=no"]
    arguments += ["-k", "", "-m", ""]  # -k or -m in the configuration could deselect the test
    arguments.append(f"--import-mode={config.getoption('importmode')}")
    if config.inipath is not None:
        arguments += ["-c", str(config.inipath)]
    for setting in config.known_args_namespace.override_ini or ():
        arguments += ["-o", setting]
    for plugin in config.known_args_namespace.plugins:
        arguments += ["-p", plugin]
    for plugin, options in _CARRIED_OPTIONS.items():
        if config.pluginmanager.hasplugin(plugin):
            arguments += options
    return arguments


def _own_id(item: pytest.Item) -> str:
    """Return the test's id without the group that xdist adds to it."""
    return str(item.nodeid).removesuffix("@soak")


def _id_from(item: pytest.Item, folder: Path) -> str:
    """Return the test's id with its file relative to ``folder``; in pytest's own id it is relative to the rootdir."""
    return "::".join([os.path.relpath(item.path, folder), *_own_id(item).split("::")[1:]])


def _pytest_command(item: pytest.Item) -> str:
    node = _id_from(item, item.config.invocation_params.dir)
    own = ["--soak-budget", "60s", "--soak-report", "soak-report"]
    return shlex.join(["pytest", node, *_other_options(item.config), *own])


def _other_options(config: pytest.Config) -> list[str]:
    """Return the options of the command line, but for soak's own: without them another test may run, or none."""
    given = [str(argument) for argument in config.invocation_params.args]
    for place in config.known_args_namespace.file_or_dir:
        if place in given:  # a worker of xdist is not told of the command line
            del given[len(given) - 1 - given[::-1].index(place)]
    options: list[str] = []
    while given:
        option = given.pop(0)
        if option in _OWN_OPTIONS:
            del given[:1]
        elif not option.startswith(tuple(f"{own}=" for own in _OWN_OPTIONS)):
            options.append(option)
    return options


def _run_command(result: ComponentResult) -> str:
    """Return the command that soaks the same again, with the folders that pytest put on the path and soak does not.

    Where the verdict is open, with as many cycles as would decide it.
    """
    from soak.reporting.words import needed_command, run_command

    question = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path))"]
    answer = subprocess.run(question, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    here = Path.cwd()
    usual = {Path(entry).absolute() for entry in json.loads(answer.stdout or "[]")}
    usual |= {here, Path(sys.argv[0]).absolute().parent, Path(result.target.partition(":")[0]).absolute().parent}
    added = [path for path in map(Path, search_path()) if path not in usual and path.exists()]
    command = needed_command(result) or run_command(result) or ""
    if not added:
        return command
    words = [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in added]
    kept = ":$PYTHONPATH" if os.environ.get("PYTHONPATH") else ""
    return f"PYTHONPATH={shlex.quote(':'.join(words))}{kept} {command}"


def _settle(item: pytest.Item, result: ComponentResult, command: Callable[[], str]) -> ComponentResult:
    __tracebackhide__ = True
    vars(item).setdefault("soak_results", []).append(json.dumps(to_document(result)))
    if result.verdict is not Verdict.CLEAN:
        from soak.reporting.commands.check import culprit_line, render_check

        pytest.fail("\n".join(filter(None, (culprit_line(result), render_check(result, command())))), pytrace=False)
    return result


@contextlib.contextmanager
def _alone(config: pytest.Config) -> Iterator[None]:
    """Wait until no other xdist worker of this project measures, then measure."""
    if not hasattr(config, "workerinput"):
        yield
        return
    import fcntl

    # The lock is on the folder itself, so that no file is left. NFS refuses it; there the tests run beside each other.
    lock = os.open(config.rootpath, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
