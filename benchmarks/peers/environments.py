"""Virtual environments with the peers, made at first use and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from peers.cases import ROOT, Case

PEERS = {"psleak": ("psleak", "pytest"), "pytest-memray": ("pytest-memray",)}
"""Distribution by peer; tracemalloc comes with Python."""
FOR_DRIVERS: tuple[str, ...] = ("numpy", "simplejpeg", "matplotlib")
VERSIONS = """
import importlib.metadata as m, json, platform, sys
names = json.loads(sys.argv[1])
found = {}
for name in names:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps({"python": platform.python_version(), "versions": found}))
"""


class NoEnvironmentError(Exception):
    """An environment cannot be made; the message says why."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, and the peers that it has."""

    python: Path
    python_version: str
    versions: dict[str, str]
    """Versions of the installed peers, and of memray."""


class Environments:
    """Makes environments under ``cache``. Cases without requirements run in ``own``."""

    def __init__(self, cache: Path, own: Path | None) -> None:
        self._cache = cache
        self._own = own or cache / "peers"
        self._made: dict[Path, Environment] = {}

    def of(self, case: Case) -> Environment:
        """Return the environment of a case. Raises NoEnvironmentError."""
        if not case.requires and case.python in (None, _own_version()):
            folder, requires = self._own, FOR_DRIVERS
            interpreter = sys.executable
        else:
            key = hashlib.sha256(repr((case.python, sorted(case.requires))).encode()).hexdigest()[:12]
            folder, requires = self._cache / key, case.requires
            interpreter = find_interpreter(case.python or _own_version())
        if folder not in self._made:
            self._made[folder] = self._make(folder, interpreter, requires)
        return self._made[folder]

    def _make(self, folder: Path, interpreter: str, requires: tuple[str, ...]) -> Environment:
        python = folder / "bin" / "python"
        ready = folder / "ready"
        if not ready.is_file():
            _run([interpreter, "-m", "venv", "--clear", str(folder)], "make a virtual environment")
            constraints = ["--constraint", str(ROOT / "constraints.txt")] if requires is FOR_DRIVERS else []
            if requires:
                _run([*_pip(python), *constraints, *requires], f"install {', '.join(requires)}")
            for distributions in PEERS.values():
                # A peer that does not work with this Python or these packages is left out.
                subprocess.run([*_pip(python), *distributions], capture_output=True, check=False)
            ready.touch()
        names = json.dumps([*PEERS, "memray", "psutil"])
        done = subprocess.run([python, "-c", VERSIONS, names], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        return Environment(python, found["python"], found["versions"])


def find_interpreter(version: str) -> str:
    """Return a CPython of this version from the path or from pyenv, or a path as it is. Raises NoEnvironmentError."""
    if "/" in version:
        return version
    on_path = shutil.which(f"python{version}")
    if on_path and subprocess.run([on_path, "-c", ""], capture_output=True, check=False).returncode == 0:
        return on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(pyenv.glob(f"{version}.*"), reverse=True):
        if (folder / "bin" / "python").is_file():
            return str(folder / "bin" / "python")
    raise NoEnvironmentError(f"no Python {version} here")


def _own_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _run(command: list[str], purpose: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise NoEnvironmentError(f"cannot {purpose}: {lines[-1] if lines else done.returncode}")
