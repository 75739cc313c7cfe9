"""Packages of another suite of Debian, unpacked into a folder; nothing is installed.

What is unpacked runs with the loader and the libraries of that suite. The address of the archive is that of this
machine's own sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCES = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))
PATCHER = ("patchelf", "libstdc++6")
FAULTS = (OSError, subprocess.CalledProcessError, LookupError)
"""What everything here raises: without apt, network or Debian."""


class DebianArchive:
    """Downloads packages of a suite and unpacks them below a folder."""

    def __init__(self, folder: Path, suite: str) -> None:
        """Prepare the folder and fetch the lists of packages. Raises one of ``FAULTS``."""
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            raise LookupError("apt-get and dpkg are needed")
        self.root = folder / "root"
        self._folder = folder
        for part in ("downloads", "lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "no-packages").touch()
        source = f"deb {_source_options()}{_archive()} {suite} main\n"
        (folder / "sources.list").write_text(source, encoding="utf-8")
        self._run("update", "-qq")

    def unpack(self, *packages: str) -> None:
        """Unpack packages, without those that they depend on."""
        for package in packages:
            self._run("download", "-qq", package)
        self._unpack_from(self._folder / "downloads")

    def unpack_with_dependencies(self, *packages: str) -> None:
        """Unpack packages and all that they depend on, whatever this machine has."""
        self._run("install", "-qq", "--yes", "--download-only", "--no-install-recommends", *packages, installed=False)
        self._unpack_from(self._folder / "cache" / "archives")

    def use_own_loader(self, *programs: Path, libraries: tuple[Path, ...] = ()) -> None:
        """Make unpacked programs start with the loader and the libraries that were unpacked.

        ``libraries``: folders of further libraries. The packages of ``PATCHER`` must have been unpacked.
        """
        system = self.root / "usr"
        loader = next(system.glob("lib/*/ld-linux-*"), None)
        if loader is None:
            raise LookupError("the packages have no loader")
        paths = ":".join(map(str, (loader.parent, *libraries)))
        patcher = [loader, "--library-path", loader.parent, system / "bin" / "patchelf"]
        for program in programs:
            # One after the other: with both at once, or in the other order, the program does not start.
            for change in (["--force-rpath", "--set-rpath", paths], ["--set-interpreter", loader]):
                subprocess.run([*patcher, *change, program], check=True)

    def _unpack_from(self, folder: Path) -> None:
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, self.root], check=True)

    def _run(self, *arguments: str, installed: bool = True) -> None:
        """Run apt-get with lists and cache of its own, so that the machine's stay as they are.

        ``installed``: what this machine has installed need not be downloaded.
        """
        options = [
            f"Dir::Etc::sourcelist={self._folder / 'sources.list'}",
            "Dir::Etc::sourceparts=-",
            f"Dir::State::lists={self._folder / 'lists'}",
            f"Dir::Cache={self._folder / 'cache'}",
            "APT::Sandbox::User=root",
        ]
        if not installed:
            options.append(f"Dir::State::status={self._folder / 'no-packages'}")
        command = ["apt-get", *(part for option in options for part in ("-o", option)), *arguments]
        subprocess.run(command, check=True, cwd=self._folder / "downloads", env={**os.environ, "LC_ALL": "C"})


def _archive() -> str:
    """Return the address that this machine has packages from. Raises LookupError when it is not found."""
    for line in _source_lines():
        found = next((word for word in line.split() if "://" in word), None)
        if found and line.startswith(("URIs:", "deb ")):
            return found
    raise LookupError("no source of packages is configured")


def _source_options() -> str:
    """Return the option that names the keys, as the machine's own sources do."""
    keys = (line.split()[1] for line in _source_lines() if line.startswith("Signed-By:") and len(line.split()) > 1)
    return next((f"[signed-by={key}] " for key in keys), "")


def _source_lines() -> list[str]:
    """Return the lines of all lists of sources."""
    return [line for file in SOURCES if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()]
