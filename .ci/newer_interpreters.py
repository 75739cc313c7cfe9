"""Unpack CPythons that this release of Debian does not have, from its unstable suite, into a folder; install nothing.

    python .ci/newer_interpreters.py build/interpreters

Afterwards ``FOLDER/bin/python3.14`` and so on run with the loader and the libraries of that suite. What is there is
kept. The address of the archive is that of this machine's own sources. Without apt, network or Debian it says so in
one line and exits with 0: who needs these interpreters skips what they are for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.13", "3.14", "3.15")
SUITE = "unstable"
PARTS = ("python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib")
LIBRARIES = ("libc6", "libgcc-s1", "libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5", "libzstd1", "libuuid1")
PATCHER = ("patchelf", "libstdc++6")
SOURCES = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))


def main() -> int:
    """Unpack what is missing; always return 0."""
    folder = Path(sys.argv[1]).resolve()
    missing = [version for version in VERSIONS if not (folder / "bin" / f"python{version}").exists()]
    if not missing:
        return 0
    try:
        unpack(folder, missing)
    except (OSError, subprocess.CalledProcessError, LookupError) as error:
        print(f"no newer interpreters: {error}")
    return 0


def unpack(folder: Path, versions: list[str]) -> None:
    """Download the packages and unpack them. Raises OSError, CalledProcessError or LookupError."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise LookupError("apt-get and dpkg are needed")
    downloads, root = folder / "downloads", folder / "root"
    for part in (downloads, folder / "lists" / "partial", folder / "cache" / "archives" / "partial", folder / "bin"):
        part.mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb {source_options()}{archive()} {SUITE} main\n", encoding="utf-8")
    run(folder, "update", "-qq")
    for version in versions:
        run(folder, "download", "-qq", *(part.format(version) for part in PARTS))
    run(folder, "download", "-qq", *LIBRARIES, *PATCHER)
    for package in sorted(downloads.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    for version in versions:
        use_own_loader(folder, version)


def archive() -> str:
    """Return the address that this machine has packages from. Raises LookupError when it is not found."""
    for line in source_lines():
        found = next((word for word in line.split() if "://" in word), None)
        if found and line.startswith(("URIs:", "deb ")):
            return found
    raise LookupError("no source of packages is configured")


def source_options() -> str:
    """Return the option that names the keys, as the machine's own sources do."""
    keys = (line.split()[1] for line in source_lines() if line.startswith("Signed-By:") and len(line.split()) > 1)
    return next((f"[signed-by={key}] " for key in keys), "")


def source_lines() -> list[str]:
    """Return the lines of all lists of sources."""
    return [line for file in SOURCES if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()]


def run(folder: Path, *arguments: str) -> None:
    """Run apt-get with lists and cache of its own, so that the machine's stay as they are."""
    options = (
        f"Dir::Etc::sourcelist={folder / 'sources.list'}",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={folder / 'lists'}",
        f"Dir::Cache={folder / 'cache'}",
        "APT::Sandbox::User=root",
    )
    command = ["apt-get", *(part for option in options for part in ("-o", option)), *arguments]
    subprocess.run(command, check=True, cwd=folder / "downloads", env={**os.environ, "LC_ALL": "C"})


def use_own_loader(folder: Path, version: str) -> None:
    """Make an unpacked interpreter start with the loader and the libraries beside it. Raises LookupError, OSError."""
    system = folder / "root" / "usr"
    python, loader = system / "bin" / f"python{version}", next(system.glob("lib/*/ld-linux-*"), None)
    if not python.exists() or loader is None:
        raise LookupError(f"the packages have no python{version}, or no loader")
    patcher = [loader, "--library-path", loader.parent, system / "bin" / "patchelf"]
    # One after the other: with both at once, or in the other order, the program does not start.
    for change in (["--force-rpath", "--set-rpath", loader.parent], ["--set-interpreter", loader]):
        subprocess.run([*patcher, *change, python], check=True)
    (folder / "bin" / python.name).symlink_to(python)


if __name__ == "__main__":
    sys.exit(main())
