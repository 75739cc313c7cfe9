"""The driver that soaks a whole test: setup runs the test's fixtures once, and one call of the test is one cycle.

It is a driver like any other. soak loads it by its path, in the interpreter that runs the tests, because it needs
pytest there.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig  # pytest.main runs tests, but does not return them

from soak.inside.counting import counters

_ASYNC_PLUGINS = ("asyncio", "anyio", "trio")


@dataclass
class Case:
    """A test that is ready to be called, and the clean-up to run after its last call."""

    item: pytest.Function
    ending: contextlib.ExitStack


def setup(arguments: list[str], path: list[str]) -> Case:
    """Collect the one test that ``arguments`` select and set up its fixtures; ``path`` goes before sys.path."""
    here = str(Path(__file__).parent)
    sys.path[:] = path + [entry for entry in sys.path if entry not in path and entry != here]
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        del os.environ[name]
    ending = contextlib.ExitStack()
    # Else its folder would be one of the three that pytest keeps, in place of an earlier session of the user.
    temporary = ending.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
    config = _prepareconfig([*arguments, "--basetemp", str(Path(temporary, "pytest"))])
    config._do_configure()
    ending.callback(config._ensure_unconfigure)
    for plugin in config.pluginmanager.get_plugins():
        if getattr(plugin, "__name__", "") == "soak.testing.plugin":
            config.pluginmanager.unregister(plugin)  # it would soak the test again; its fixture and marker stay known
    session = pytest.Session.from_config(config)
    config.hook.pytest_sessionstart(session=session)
    terminal = config.pluginmanager.getplugin("terminalreporter")
    # Without the summary: plugins spend much time on it, and nobody reads it.
    finish = config.pluginmanager.subset_hook_caller("pytest_sessionfinish", [terminal] if terminal else [])
    ending.callback(finish, session=session, exitstatus=0)
    config.hook.pytest_collection(session=session)
    (item,) = session.items
    assert isinstance(item, pytest.Function)
    ending.callback(config.hook.pytest_runtest_teardown, item=item, nextitem=None)
    _set_up(item)
    counters.freeze_older_objects()  # a checkpoint's collection would visit pytest's hundred thousand objects
    ending.enter_context(synchronous(item))
    return Case(item, ending)


def cycle(case: Case) -> None:
    """Call the test once, through the hooks of plugins that call tests (such as asyncio's and anyio's)."""
    case.item.runtest()


def teardown(case: Case) -> None:
    """Tear down the test and end the session."""
    case.ending.close()


def _set_up(item: pytest.Function) -> None:
    """Set up the fixtures and report that, as pytest's runner does: some fixtures read the report at teardown."""
    call = pytest.CallInfo.from_call(lambda: item.config.hook.pytest_runtest_setup(item=item), when="setup")
    item.config.hook.pytest_runtest_makereport(item=item, call=call)
    if call.excinfo is not None:
        raise call.excinfo.value


@contextlib.contextmanager
def synchronous(item: pytest.Function) -> Iterator[None]:
    """Run an ``async def`` test that no plugin handles in one event loop of its own."""
    function = item.obj
    is_handled = any(
        item.config.pluginmanager.hasplugin(name) and item.get_closest_marker(name) for name in _ASYNC_PLUGINS
    )
    if not inspect.iscoroutinefunction(function) or is_handled:
        yield
        return
    import asyncio

    with asyncio.Runner() as runner:
        item.obj = lambda *args, **fixtures: runner.run(function(*args, **fixtures))
        try:
            yield
        finally:
            item.obj = function
