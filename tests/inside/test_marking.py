"""Functions are marked without a change of the program, and behave as before."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from soak.inside.marking import functions, middleware
from soak.inside.marking.importing import AfterImport

STARTUP = Path(functions.__file__).parent / "startup"


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    labels: list[str] = []
    monkeypatch.setattr(functions, "mark", labels.append)
    return labels


def plain(number: int, *, factor: int = 2) -> int:
    """Multiply."""
    return number * factor


def closing_over(factor: int):
    def multiply(number: int) -> int:
        return number * factor

    return multiply


def counting(number: int) -> Iterator[int]:
    yield from range(number)


async def later(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def trickling(number: int):
    for value in range(number):
        yield value


def test_each_call_of_a_function_is_marked_also_through_older_references(marked: list[str]):
    before = plain
    functions.mark_calls(plain, "plain")

    assert (before(3), plain(3, factor=5)) == (6, 15)
    assert marked == ["plain", "plain"]
    assert str(inspect.signature(plain)) == "(number: 'int', *, factor: 'int' = 2) -> 'int'"
    assert (plain.__doc__, plain.__name__) == ("Multiply.", "plain")


def test_a_function_that_closes_over_variables_is_marked(marked: list[str]):
    multiply = closing_over(7)
    functions.mark_calls(multiply, "multiply")

    assert (multiply(2), marked) == (14, ["multiply"])


def test_generators_and_coroutines_stay_what_they_are(marked: list[str]):
    for function in (counting, later, trickling):
        functions.mark_calls(function, function.__name__)

    async def collect() -> list[int]:
        return [value async for value in trickling(2)]

    assert inspect.isgeneratorfunction(counting)
    assert inspect.iscoroutinefunction(later)
    assert inspect.isasyncgenfunction(trickling)
    assert (list(counting(3)), asyncio.run(later(4)), asyncio.run(collect())) == ([0, 1, 2], 4, [0, 1])
    assert marked == ["counting", "later", "trickling"]


def test_a_script_that_is_imported_too_is_marked_in_both_and_in_each_once(
    marked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As in a process that multiprocessing spawns for a program that imports itself."""
    script = tmp_path / "doubled.py"
    script.write_text("def work():\n    return 5\nclass Jobs:\n    work = work\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    main = ModuleType("__main__")
    main.__file__ = str(script)
    exec(script.read_text(encoding="utf-8"), main.__dict__)
    after_import = AfterImport()
    functions._mark_in(main, ["work"], "doubled.work")
    monkeypatch.setattr(functions._thread, "start_new_thread", lambda *_: None)
    functions.mark_when_imported("doubled.work", after_import)
    functions.mark_when_imported("doubled.Jobs.work", after_import)

    import doubled  # type: ignore[import-not-found]

    assert (main.work(), marked) == (5, ["doubled.work"])
    assert (doubled.work(), marked) == (5, ["doubled.work"] * 2)


def test_an_exception_passes_as_before(marked: list[str]):
    def fails() -> None:
        raise KeyError("key")

    functions.mark_calls(fails, "fails")

    with pytest.raises(KeyError):
        fails()
    assert marked == ["fails"]


def test_a_hook_is_called_once_after_the_import_and_the_finder_steps_aside(tmp_path: Path, monkeypatch):
    (tmp_path / "imported_late.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    after_import, seen = AfterImport(), []
    finders = list(sys.meta_path)

    def note(module: ModuleType) -> None:
        seen.append((module.value, type(module.__loader__).__name__))

    after_import.add("imported_late", note)
    import imported_late

    assert seen == [(1, "SourceFileLoader")]
    assert sys.meta_path == finders
    assert inspect.getsource(imported_late) == "value = 1\n"


def test_a_program_that_is_not_watched_gets_its_environment_back(tmp_path: Path):
    """What a watched program starts: its sitecustomize is imported, and nothing of soak is left in the environment."""
    (tmp_path / "sitecustomize.py").write_text("print('own')\n")
    program = "import os, sys; print(os.environ.get('SOAK_MARK'), os.environ['PYTHONPATH'], 'soak' in sys.modules)"
    environment = {"SOAK_MARK": "asgi", "PYTHONPATH": f"{STARTUP}:{tmp_path}"}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == f"own\nNone {tmp_path} False\n"


def test_of_many_paths_no_more_than_some_are_kept():
    """A program of ten thousand pages must not grow for soak."""
    for number in range(10_000):
        assert middleware._pattern(f"/page-{'x' * (number % 20)}-{number}z") == f"/page-{'x' * (number % 20)}-{number}z"
        assert middleware._pattern(f"/items/{number}") == "/items/*"

    assert len(middleware._whole_paths) == middleware._MOST_PATHS
