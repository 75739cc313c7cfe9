"""Unpack CPythons that this release of Debian does not have, from its unstable suite, into a folder; install nothing.

    python .ci/newer_interpreters.py build/interpreters

Afterwards ``FOLDER/bin/python3.14`` and so on run with the loader and the libraries of that suite. What is there is
kept. Without apt, network or Debian it says so in one line and exits with 0: who needs these interpreters skips what
they are for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from debian_archive import FAULTS, PATCHER, DebianArchive

VERSIONS = ("3.13", "3.14", "3.15")
SUITE = "unstable"
PARTS = ("python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib")
LIBRARIES = ("libc6", "libgcc-s1", "libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5", "libzstd1", "libuuid1")


def main() -> int:
    """Unpack what is missing; always return 0."""
    folder = Path(sys.argv[1]).resolve()
    missing = [version for version in VERSIONS if not (folder / "bin" / f"python{version}").exists()]
    if not missing:
        return 0
    try:
        unpack(folder, missing)
    except FAULTS as error:
        print(f"no newer interpreters: {error}")
    return 0


def unpack(folder: Path, versions: list[str]) -> None:
    """Download the packages and unpack them. Raises one of ``FAULTS``."""
    archive = DebianArchive(folder, SUITE)
    (folder / "bin").mkdir(exist_ok=True)
    parts = [part.format(version) for version in versions for part in PARTS]
    archive.unpack(*parts, *LIBRARIES, *PATCHER)
    for version in versions:
        python = archive.root / "usr" / "bin" / f"python{version}"
        if not python.exists():
            raise LookupError(f"the packages have no python{version}")
        archive.use_own_loader(python)
        (folder / "bin" / python.name).symlink_to(python)


if __name__ == "__main__":
    sys.exit(main())
