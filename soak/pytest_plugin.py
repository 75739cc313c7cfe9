"""The pytest plugin: a fixture and a marker named ``soak``, ``--soak-budget`` and ``--soak-report``.

pytest imports this module at every start, so it imports nothing itself: what measures is in soak.pytest_checks and
is imported by the first test that measures.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from soak.pytest_checks import Checks

_MARKER = (
    "soak(tolerance='1B', budget='3s', iterations=None, duration=None, n_min=None, isolate=True, ...): "
    "repeat the whole test until it is known whether it leaks"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("soak", "leaks")
    group.addoption("--soak-budget", metavar="3s", help="at most so long for each check that names no iterations")
    group.addoption("--soak-report", metavar="DIR", help="write report.json, .md and .html of all checks there")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; listen for results only when there is to be a report of them."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("--soak-report") and not hasattr(config, "workerinput"):
        from soak.pytest_checks import Reporter

        config.pluginmanager.register(Reporter(config), "soak-report")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under xdist, keep the tests that measure on one worker (``--dist loadgroup``)."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if item.get_closest_marker("soak") or "soak" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("soak"))


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Checks:
    """Judge functions: ``soak.check(function, tolerance="1B", ...)`` fails the test unless the verdict is CLEAN."""
    from soak.pytest_checks import Checks

    return Checks(request.node)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test; one that is marked and passes is then repeated until its verdict stands."""
    marker = pyfuncitem.get_closest_marker("soak")
    if marker is None:
        return (yield)
    from soak.pytest_case import synchronous
    from soak.pytest_checks import soak_test

    with synchronous(pyfuncitem):
        result = yield
        soak_test(pyfuncitem, marker)
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say of a marked test whose call pytest does not make itself that nothing is measured."""
    if item.get_closest_marker("soak") and not _is_called_by_pytest(item):
        item.warn(pytest.PytestWarning("soak repeats test functions and methods of plain classes only, not this test"))


def _is_called_by_pytest(item: pytest.Item) -> bool:
    unittest = sys.modules.get("unittest")
    of_case = unittest is not None and issubclass(getattr(item, "cls", None) or object, unittest.TestCase)
    return isinstance(item, pytest.Function) and not of_case


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Hand what a test measured to its report, as text, which also comes through from xdist's workers."""
    report = yield
    results = vars(item).pop("soak_results", None)
    if results:
        report.soak_results = results
    return report
