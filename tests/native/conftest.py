"""A built tracker, a leaking C component, and children that run under the tracker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tracked_children import HERE, PRELUDE, ROOT, Track

from soak.native import preload


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
def track(library: Path, leaky: Path) -> Track:
    """Run a script under the tracker; return what it answered."""

    def run(script: str, python: str = sys.executable, **environment: str) -> Any:
        prelude = PRELUDE.format(root=str(ROOT), leaky=str(leaky))
        with preload.preloading(library, {**os.environ, **environment}) as child_environment:
            result = subprocess.run(
                [python, "-c", prelude + script], capture_output=True, text=True, env=child_environment, check=False
            )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    return run
