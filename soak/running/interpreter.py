"""The interpreter of the measured process: found, asked what it is, and asked whether it can see a module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from soak.errors import UsageError

OLDEST = (3, 8)
_QUESTION = (
    "import sys, json; v = sys.version_info; sys.stdout.write(json.dumps({"
    "'executable': sys.executable, 'version': list(v[:3]), 'implementation': sys.implementation.name}))"
)
_WHERE = (
    "import sys, importlib.util; sys.path[:0] = sys.argv[2:]; "
    "sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 3)"
)


@dataclass(frozen=True)
class Interpreter:
    """A CPython that can run measured processes."""

    executable: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"CPython {'.'.join(map(str, self.version))}"


def find_interpreter(command: str | None) -> Interpreter:
    """Ask ``command`` (default: this interpreter) what it is; a shim is resolved to the executable behind it.

    Raises UsageError when it is none, no CPython, or older than 3.8.
    """
    if command is None:
        return Interpreter(sys.executable, sys.version_info[:3])
    try:
        answer = subprocess.run(
            [command, "-c", _QUESTION], capture_output=True, text=True, timeout=30, check=True, stdin=subprocess.DEVNULL
        )
        facts = json.loads(answer.stdout)
        executable, version = facts["executable"], tuple(facts["version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--python {command}: this is not a working Python interpreter ({_short(error)})") from error
    if facts["implementation"] != "cpython":
        raise UsageError(f"--python {command}: this is {facts['implementation']}; soak measures CPython only")
    if version < OLDEST:
        raise UsageError(
            f"--python {command}: this is Python {'.'.join(map(str, version))}; 3.8 is the oldest that can be measured"
        )
    return Interpreter(os.path.abspath(executable), version)  # noqa: PTH100 - a venv's python must stay a link


def check_module(interpreter: Interpreter, module: str, path: list[str]) -> None:
    """Raise UsageError unless ``interpreter`` finds ``module`` with ``path`` before its own."""
    try:
        answer = subprocess.run(
            [interpreter.executable, "-c", _WHERE, module, *path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{interpreter.executable} does not run: {_short(error)}") from error
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["not found"])[-1]
        raise UsageError(f"unknown target: {interpreter} finds no module {module!r} ({last})")


def _short(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit status {error.returncode}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
