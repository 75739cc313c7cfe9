"""The pytest plugin: a fixture and a marker named ``soak``, ``--soak-budget`` and ``--soak-report``.

pytest imports this module at every start, so it imports nothing of soak at its top. The part that measures is in
soak.testing.checks; the first test that measures imports it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from soak.testing.checks import Checks

_MARKER = (
    "soak(tolerance='1B', budget='3s', iterations=None, duration=None, n_min=None, isolate=True, ...): "
    "repeat the whole test until soak knows whether it leaks"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("soak", "leaks")
    group.addoption("--soak-budget", metavar="3s", help="longest time of each check that sets no iterations")
    group.addoption("--soak-report", metavar="DIR", help="write report.json, .md and .html of all checks to DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker. With ``--soak-report``, collect results."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("--soak-report") and not hasattr(config, "workerinput"):
        from soak.testing.reporter import Reporter

        config.pluginmanager.register(Reporter(config), "soak-report")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under xdist, put the tests that measure into one group, so that ``--dist loadgroup`` runs them on one worker."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if item.get_closest_marker("soak") or "soak" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("soak"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the process that marked tests are measured in get ready. A worker of xdist may not run them: it waits."""
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    markers = (item.get_closest_marker("soak") for item in session.items)
    if any(marker is not None and marker.kwargs.get("isolate", True) for marker in markers):
        from soak.testing.warm import warm_process

        warm_process(session.config)


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Checks:
    """Judge functions: ``soak.check(function, tolerance="1B", ...)`` fails the test unless the verdict is CLEAN."""
    from soak.testing.checks import Checks

    return Checks(request.node)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test. A marked test that passes is then repeated until its verdict stands."""
    marker = pyfuncitem.get_closest_marker("soak")
    if marker is None:
        return (yield)
    from soak.running.rare_collections import rare_collections
    from soak.testing.case import synchronous

    with synchronous(pyfuncitem):
        result = yield
        with rare_collections():
            from soak.testing.checks import soak_test

            soak_test(pyfuncitem, marker)
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Warn when a marked test cannot be measured, because pytest does not call it itself."""
    if item.get_closest_marker("soak") and not _is_called_by_pytest(item):
        item.warn(pytest.PytestWarning("soak repeats only test functions and methods of plain classes, not this test"))


def _is_called_by_pytest(item: pytest.Item) -> bool:
    unittest = sys.modules.get("unittest")
    of_case = unittest is not None and issubclass(getattr(item, "cls", None) or object, unittest.TestCase)
    return isinstance(item, pytest.Function) and not of_case


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Attach a test's results to its report, as text, so that xdist can send them from its workers."""
    report = yield
    results = vars(item).pop("soak_results", None)
    if results:
        report.soak_results = results
    return report
