"""A folder of wheels made on the spot, for pip to install from."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

CLEAN = "def call():\n    bytearray(100)\n"
LEAK = "kept = []\n\ndef call():\n    kept.append(bytearray(100))\n"


def install_only_from(index: Path, patch: pytest.MonkeyPatch) -> None:
    """Let pip and uv see this folder only, whatever this machine has set."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(index))


def make_wheel(folder: Path, name: str, version: str, code: str, requires: str = "") -> None:
    """Write a wheel of one module, named as the package is."""
    info = f"{name}-{version}.dist-info"
    required = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)


def make_sdist(folder: Path, name: str, version: str) -> None:
    """Write a source distribution with nothing but its metadata."""
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        entry = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
