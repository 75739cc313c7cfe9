"""Build the tracker's library with the C compiler of the machine.

Stdlib only, because the package's build backend calls it as well. A source checkout builds the library on first use. It
is kept in this folder, or in the user's cache folder where this one is read-only. Its name changes with the sources.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LIBRARY_FOLDER = Path(__file__).parent
SOURCE_FOLDER = LIBRARY_FOLDER / "source"
LIBRARY_PREFIX = "libsoak_tracker"
PROCESSORS = ("x86_64", "aarch64")
COMPILER_FLAGS = (
    "-std=gnu11",
    "-O2",
    "-g1",
    "-Wall",
    "-Wextra",
    "-fPIC",
    "-fvisibility=hidden",
    # The library is loaded with the program, so access to its thread variables needs no call.
    "-ftls-model=initial-exec",
    # A wrapper at the start of a cache line is fetched at once: this saves a percent of a pair of malloc and free
    # (docs/tracker.md, What it costs).
    "-falign-functions=64",
)
LINKER_FLAGS = ("-shared", "-Wl,-z,now", "-Wl,-z,relro", "-ldl", "-lpthread", "-lrt")


@dataclass(frozen=True)
class Built:
    """The library is there."""

    path: Path


@dataclass(frozen=True)
class NotBuilt:
    """There is no library; ``reason`` is a phrase for a person: "no C compiler (cc) …"."""

    reason: str


def built_library() -> Built | NotBuilt:
    """Return the library that fits the sources; build it first when it does not exist yet."""
    unsupported = _why_unsupported()
    if unsupported:
        return NotBuilt(unsupported)
    if not sources():
        installed = sorted(LIBRARY_FOLDER.glob(f"{LIBRARY_PREFIX}-*.so"))
        return Built(installed[-1]) if installed else NotBuilt("soak was installed without the tracker's library")
    name = library_name()
    folders = (LIBRARY_FOLDER, _cache_folder())
    for folder in folders:
        if (folder / name).is_file():
            return Built(folder / name)
    result: Built | NotBuilt = NotBuilt("no folder to build in")
    for folder in folders:
        if _can_write(folder):
            result = build(folder / name)
            break
    return result


def library_name() -> str:
    """Return the file name of the library, which contains the processor and a digest of sources and flags."""
    digest = hashlib.sha256(" ".join(COMPILER_FLAGS + LINKER_FLAGS).encode())
    for source in sorted(SOURCE_FOLDER.rglob("*.[ch]")):
        digest.update(source.read_bytes())
    return f"{LIBRARY_PREFIX}-{platform.machine()}-{digest.hexdigest()[:12]}.so"


def sources() -> list[Path]:
    """Return the files to compile; none when soak was installed without them."""
    return sorted(SOURCE_FOLDER.rglob("*.c"))


def build(target: Path) -> Built | NotBuilt:
    """Compile the library to ``target``. At any moment there is a complete library, or none."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return NotBuilt("no C compiler (cc) to build the tracker with")
    handle, unfinished = tempfile.mkstemp(dir=target.parent, prefix=".tracker-", suffix=".so")
    os.close(handle)
    command = [compiler, *COMPILER_FLAGS, f"-I{SOURCE_FOLDER}", "-o", unfinished, *map(str, sources()), *LINKER_FLAGS]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return NotBuilt(f"the C compiler failed: {_last_line(result.stderr)}")
        Path(unfinished).chmod(0o755)
        Path(unfinished).replace(target)
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return Built(target)


def _why_unsupported() -> str | None:
    if not sys.platform.startswith("linux"):
        return f"the tracker needs Linux, this is {sys.platform}"
    if platform.machine() not in PROCESSORS:
        return f"the tracker does not know the processor {platform.machine()}"
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        libc = None
    return None if libc else "the tracker needs glibc"


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soak"


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line] or text.splitlines()
    return lines[-1].strip() if lines else "without a message"
