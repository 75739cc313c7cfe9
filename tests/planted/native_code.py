"""Builds and loads the leaking C and C++ code: as an extension module of this interpreter, or for ctypes.

Runs under CPython 3.8 and later, in the measured process as well as for the tests. The code is built without
setuptools, once for each folder; where there is no compiler or there are no headers, that is said.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BINDINGS = ("extension", "ctypes")
FLAGS = ("-g", "-O1", "-fPIC", "-fno-builtin", "-Wall", "-Wextra", "-I", str(HERE))


class BuildError(Exception):
    """There is no compiler, or there are no headers of this interpreter."""


def load(binding="extension", folder=""):
    """Return what has the functions as attributes; ``folder``: where it is built, or has been."""
    path = build(binding, Path(folder or Path(tempfile.gettempdir(), f"soak-planted-{os.getuid()}")))
    if binding == "ctypes":
        import ctypes

        return ctypes.CDLL(str(path))
    spec = importlib.util.spec_from_file_location("planted_extension", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(binding, folder):
    """Build what is not there yet, or is older than its sources, and return its path."""
    if binding not in BINDINGS:
        raise ValueError(f"the binding {binding!r} is none of {', '.join(BINDINGS)}")
    sources = [HERE / "leaks.c", HERE / "leaks.cpp"]
    name, includes = "planted.so", []
    if binding == "extension":
        sources.append(HERE / "extension.c")
        name, includes = (
            "planted_extension" + sysconfig.get_config_var("EXT_SUFFIX"),
            [sysconfig.get_paths()["include"]],
        )
    target = folder / name
    if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return target
    with tempfile.TemporaryDirectory() as scratch:
        objects = []
        for source in sources:
            objects.append(str(Path(scratch, source.name + ".o")))
            compiler = "c++" if source.suffix == ".cpp" else "cc"
            _run([compiler, *FLAGS, *("-I" + include for include in includes), "-c", str(source), "-o", objects[-1]])
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}")
        _run(["c++", "-g", "-shared", *objects, "-o", str(unfinished)])
        unfinished.replace(target)
    return target


def _run(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise BuildError(done.stdout.decode("utf-8", "replace"))


if __name__ == "__main__":
    try:
        sys.stdout.write(str(build(sys.argv[1], Path(sys.argv[2]))))
    except BuildError as error:
        sys.exit(str(error))
