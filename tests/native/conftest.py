"""A built tracker, a leaking C component, and children that run under the tracker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_children import HERE, PRELUDE, ROOT, Track, Tracked


@pytest.fixture(scope="session")
def leaky(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("leaky") / "leaky.so"
    command = [compiler, "-g", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", target, HERE / "leaky.c", "-lpthread"]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="session")
def spawner(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("spawner") / "spawner.so"
    subprocess.run([compiler, "-g", "-O2", "-shared", "-fPIC", "-o", target, HERE / "spawner.c"], check=True)
    return str(target)


@pytest.fixture
def track(library: Path, leaky: Path, tmp_path: Path) -> Iterator[Track]:
    """Run a script under the tracker up to its first answer; after the test it must end without error."""
    children: list[Tracked] = []

    def run(script: str, python: str = sys.executable, **environment: str) -> Tracked:
        folder = tmp_path / f"child {len(children)}"
        folder.mkdir()
        prelude = PRELUDE.format(root=str(ROOT), leaky=str(leaky), ledger=str(folder / "ledger"))
        children.append(Tracked(prelude + script, python, library, folder, environment))
        return children[-1]

    yield run
    for child in children:
        child.end()
