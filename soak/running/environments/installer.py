"""Virtual environments with chosen releases of packages, made when first needed and kept."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from soak.errors import SoakError, UsageError
from soak.running.interpreter import Interpreter

FIRST_PIP = Version("22.3")
"""The first that installs into another environment (``--python``)."""
_READY = "soak.json"
"""The file that an environment gets last."""
_POLL_S = 0.1
_LONGEST_NAME = 60
_SECTIONS = ("global", "install", ":env:")
"""Of pip's settings: each replaces those before it. pip itself lists them in the order of their names."""
_PLACES = ("-url", "-links")
"""So end the names of the settings that tell pip where to look; uv's options have the same names."""
_DESCRIBE = """
import importlib.metadata, json, re, sys
there = {re.sub("[-_.]+", "-", d.metadata["Name"]).lower(): d for d in importlib.metadata.distributions()}
modules = {file.parts[0].split(".")[0] for name in sys.argv[1:] if name in there for file in there[name].files or ()}
print(json.dumps({
    "modules": sorted(name for name in modules if name.isidentifier() and name != "__pycache__"),
    "installed": {name: d.version for name, d in sorted(there.items())},
}))
"""


_VERSIONS = re.compile(r"\(from versions: (?:[^,()]+, )+((?:[^,()]+, ){2}[^,()]+)\)")


class NotInstalledError(SoakError):
    """A release cannot be installed; the message is the installer's reason."""


class StoppedError(SoakError):
    """The work was told to stop, by a signal."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with releases in it."""

    python: str
    modules: tuple[str, ...]
    """The names by which the modules and packages of the named releases are imported."""
    installed: dict[str, str]
    """Version by distribution, of everything in it."""


@dataclass(frozen=True)
class Output:
    """What a command of an installer printed, and its exit code."""

    code: int
    out: str
    err: str


class Installer:
    """Installs releases for one interpreter, below ``cache``.

    What index is asked is pip's configuration to say, for uv too, which installs where it is on the path. Only wheels
    are taken unless ``build`` allows source distributions.
    """

    def __init__(
        self,
        cache: Path,
        interpreter: Interpreter,
        stopping: threading.Event,
        *,
        requirements: Sequence[str] = (),
        build: bool = False,
    ) -> None:
        """Prepare; ``requirements``: what each environment has beside what it is made for. Nothing is made yet."""
        self.interpreter = interpreter
        self.wheels_only = not build
        self._cache = cache
        self._stopping = stopping
        self._requirements = tuple(requirements)
        self._uv = shutil.which("uv")
        self._pip_python: Path | None = None

    def install(self, requirements: Sequence[str]) -> Environment:
        """Return the environment with these requirements (``numpy==2.4.0``), making it when it is not there yet.

        Its ``modules`` are those of ``requirements``, not of what is installed beside them. Raises NotInstalledError,
        StoppedError; UsageError when there can be no environment at all.
        """
        names = [canonicalize_name(_name_of(requirement)) for requirement in requirements]
        # A home that several machines share has environments for each of them.
        system = (platform.machine(), *platform.libc_ver())
        key = repr((self.interpreter, system, tuple(requirements), self._requirements, self.wheels_only))
        readable = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", each) for each in requirements)[:_LONGEST_NAME]
        folder = self._cache / "environments" / f"{readable}-{_digest(key)}"
        with _locked(folder):
            if not _is_ready(folder):
                self._make_environment(folder)
                self._install(folder, [*requirements, *self._requirements])
                python = _python(folder)
                described = self._run([str(python), "-c", _DESCRIBE, *names])
                if described.code:
                    raise NotInstalledError(_last_line(described.err))
                environment = Environment(str(python), **json.loads(described.out))
                _make_ready(folder, asdict(environment))
            return Environment(**json.loads((folder / _READY).read_text(encoding="utf-8")))

    def ask_pip(self, *arguments: str, wheels_only: bool | None = None) -> Output:
        """Run ``pip install`` without changing anything; ``wheels_only``: other than for installing.

        Raises UsageError when there can be no pip, StoppedError when it is told to stop.
        """
        formats = _formats(self.wheels_only if wheels_only is None else wheels_only)
        return self._pip("install", "--dry-run", *formats, *arguments)

    def _make_environment(self, folder: Path) -> None:
        # Without pip, which takes seconds to unpack: one pip installs into all of them.
        made = self._run([self.interpreter.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
        if made.code:
            raise UsageError(
                f"{self.interpreter.executable} makes no virtual environment: {_last_line(made.err or made.out)}"
            )

    def _install(self, folder: Path, requirements: list[str]) -> None:
        if self._uv is not None:
            where = ["--python", str(_python(folder)), *_formats(self.wheels_only)]
            answer = self._run([self._uv, "pip", "install", *where, *self._index_for_uv(), *requirements])
        else:
            answer = self._pip("--python", str(_python(folder)), "install", *_formats(self.wheels_only), *requirements)
        if answer.code:
            raise NotInstalledError(_reason(answer.err or answer.out))

    def _index_for_uv(self) -> list[str]:
        """Return uv's options for the index that pip is configured for."""
        sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
        for line in self._pip("config", "list").out.splitlines():
            key, _, value = line.partition("=")
            section, _, name = key.rpartition(".")
            if section in sections:
                sections[section][name] = str(ast.literal_eval(value))
        settings = {name: value for section in sections.values() for name, value in section.items()}
        places = {name: value for name, value in settings.items() if name.endswith(_PLACES)}
        options = [word for name, value in places.items() for place in value.split() for word in (f"--{name}", place)]
        if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
            options.append("--no-index")
        # As pip does: the best of all indexes, not the first that knows the package.
        return [*options, "--index-strategy", "unsafe-best-match"]

    def _pip(self, *arguments: str) -> Output:
        return self._run([str(self._find_pip()), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments])

    def _find_pip(self) -> Path:
        """Return the interpreter of the environment that has pip for all others, made when it is not there yet."""
        if self._pip_python is not None:
            return self._pip_python
        folder = self._cache / "environments" / f"pip-{_digest(repr(self.interpreter))}"
        python = _python(folder)
        with _locked(folder):
            if not _is_ready(folder):
                self._make_environment(folder)
                unpacked = self._run([str(python), "-m", "ensurepip"])
                if unpacked.code:
                    raise UsageError(
                        f"{self.interpreter.executable} has no pip to install with "
                        f"({_last_line(unpacked.err or unpacked.out)}); on Debian, install the package python3-venv"
                    )
                self._renew_pip(python)
                _make_ready(folder, {})
        self._pip_python = python
        return python

    def _renew_pip(self, python: Path) -> None:
        version = self._run([str(python), "-m", "pip", "--version"]).out.split()[1]
        if Version(version) < FIRST_PIP:
            renewed = self._run([str(python), "-m", "pip", "install", "--upgrade", f"pip>={FIRST_PIP}"])
            if renewed.code:
                raise UsageError(f"pip {version} is too old and cannot be renewed: {_reason(renewed.err)}")

    def _run(self, command: list[str]) -> Output:
        """Run a command to its end, or kill it with all that it started when told to stop."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            while not self._stopping.is_set():
                try:
                    out, err = process.communicate(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
                return Output(process.returncode, out, err)
            raise StoppedError("stopped while installing")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.communicate()


def _name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_ready(folder: Path) -> bool:
    """Tell whether an environment was made to its end, and its interpreter is still there."""
    return (folder / _READY).is_file() and _python(folder).exists()


def _make_ready(folder: Path, facts: dict[str, Any]) -> None:
    unfinished = folder / f"{_READY}.part"
    unfinished.write_text(json.dumps(facts), encoding="utf-8")
    unfinished.replace(folder / _READY)


def _formats(wheels_only: bool) -> list[str]:
    return ["--only-binary", ":all:"] if wheels_only else []


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other searches from making the same environment at the same time; they wait."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("w", encoding="ascii")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise UsageError(f"no environment can be kept under {folder.parent}: {error.strerror}; see --cache") from error
    with lock:
        yield


def _reason(messages: str) -> str:
    """Return the line that says why an installation failed; pip's last is often only that it did.

    Of the versions that there are, which it lists, the newest ones suffice.
    """
    messages = _VERSIONS.sub(r"(from versions: …, \1)", messages)
    errors = [line.partition("ERROR: ")[2] for line in messages.splitlines() if line.startswith("ERROR: ")]
    return errors[0] if errors else " ".join(line.strip(" ×╰─▶") for line in messages.split("\n") if line.strip())[:300]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gives no reason"])[-1]
