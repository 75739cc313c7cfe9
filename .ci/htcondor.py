"""Unpack HTCondor, which Debian 12 does not have, from Debian 13 into a folder; install nothing.

    python .ci/htcondor.py build/htcondor

Afterwards its programs are in ``usr/bin`` and ``usr/sbin`` of the folder ``root`` in it. What is there is kept.
Without apt, network or Debian it says so in one line and exits with 0: who needs HTCondor skips what it is for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from debian_archive import FAULTS, PATCHER, DebianArchive

SUITE = "trixie"
PACKAGE = "condor"


def main() -> int:
    """Unpack it if it is missing; always return 0."""
    folder = Path(sys.argv[1]).resolve()
    whole = folder / "whole"
    if whole.exists():
        return 0
    try:
        unpack(folder)
        whole.touch()
    except FAULTS as error:
        print(f"no HTCondor: {error}")
    return 0


def unpack(folder: Path) -> None:
    """Download the packages and unpack them. Raises one of ``FAULTS``."""
    archive = DebianArchive(folder, SUITE)
    archive.unpack_with_dependencies(PACKAGE, *PATCHER)
    system = archive.root / "usr"
    found = [file for place in ("bin", "sbin", "libexec/condor") for file in (system / place).glob("condor_*")]
    programs = [file for file in found if file.is_file() and not file.is_symlink() and is_elf(file)]
    if not programs:
        raise LookupError(f"{PACKAGE} has no programs")
    archive.use_own_loader(*programs, libraries=(system / "lib",))


def is_elf(file: Path) -> bool:
    """Tell whether a file is a program, and no script."""
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


if __name__ == "__main__":
    sys.exit(main())
