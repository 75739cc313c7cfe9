"""Tell why a program cannot have the tracker, before it is started. Stdlib only.

``openings/loadable.c`` asks the same for the programs that a tracked program starts.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from soak.native.preload import LOADER_VARIABLE, SEPARATORS

_LOADER_PREFIX = "ld-linux"
"""What the name of glibc's loader begins with, on all processors that the tracker knows."""
_MACHINES = {"x86_64": 62, "aarch64": 183}
_INTERPRETER_SEGMENT, _DYNAMIC_SEGMENT, _LOADED_SEGMENT = 3, 2, 1
_NAMES_TAG, _NAMES_SIZE_TAG = 5, 10
_MOST_NAMES_BYTES = 4 << 20
_MOST_SCRIPTS = 4
_HEADER_BYTES = 64
_SANITIZERS = (
    *("libasan.so", "liblsan.so", "libhwasan.so"),
    *("libclang_rt.asan", "libclang_rt.lsan", "libclang_rt.hwasan"),
    *("__asan_", "__lsan_", "__hwasan_", "__msan_"),
)
"""What the names of libraries, or of the runtime's functions, begin with."""


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def why_not_preloadable(command: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return why the tracker cannot be preloaded into the program that ``command`` starts, as a phrase, or None.

    None also where the program cannot be found or read: then starting it gives the better message.
    """
    environment = os.environ if environment is None else environment
    found = shutil.which(command, path=environment.get("PATH"))
    return _why_preloaded_sanitizer(environment) or (_why_not(Path(found)) if found else None)


def _why_preloaded_sanitizer(environment: Mapping[str, str]) -> str | None:
    listed = environment.get(LOADER_VARIABLE, "").translate(dict.fromkeys(map(ord, SEPARATORS), " ")).split()
    for name in (Path(path).name for path in listed):
        if name.startswith(_SANITIZERS):
            return f"{LOADER_VARIABLE} has {name}, which must be the first library"
    return None


def _why_not(path: Path) -> str | None:
    try:
        for _ in range(_MOST_SCRIPTS + 1):
            with path.open("rb") as file:
                start = file.read(255)
                if not start.startswith(b"#!"):
                    why = _why_not_elf(file, start) if start.startswith(b"\x7fELF") else None
                    return why or _why_privileged(path)
                words = start[2:].split(b"\n")[0].split()
                if not words:
                    return None
                path = Path(os.fsdecode(words[0]))
    except OSError:
        pass
    return None


def _why_privileged(path: Path) -> str | None:
    """Tell why the loader ignores the variable: the program gets rights which its caller lacks."""
    status = path.stat()
    gets_user = status.st_mode & stat.S_ISUID and status.st_uid != os.getuid()
    gets_group = status.st_mode & stat.S_ISGID and status.st_gid != os.getgid()
    if gets_user or gets_group:
        return "it is a setuid program"
    if os.getuid() and "security.capability" in os.listxattr(path):
        return "it has file capabilities"
    return None


def _why_not_elf(file: BinaryIO, start: bytes) -> str | None:
    if len(start) < _HEADER_BYTES:
        return None
    if start[4] == 1:
        return "it is a 32-bit program"
    if start[5] != 1 or struct.unpack_from("<H", start, 18)[0] != _MACHINES.get(platform.machine()):
        return "it is built for another processor"
    segments = list(_segments(file, start))
    interpreter = next((segment for segment in segments if segment.kind == _INTERPRETER_SEGMENT), None)
    if interpreter is None:
        return "it is a static program"
    loader = Path(os.fsdecode(_read(file, interpreter.offset, interpreter.size).rstrip(b"\0"))).name
    if not loader.startswith(_LOADER_PREFIX):
        libc = "musl" if loader.startswith("ld-musl") else "another libc"
        return f"it is linked with {libc} ({loader}), and the tracker needs glibc"
    return _why_sanitizer(_names(file, segments))


def _why_sanitizer(names: bytes) -> str | None:
    found = next((prefix for prefix in _SANITIZERS if b"\0" + prefix.encode() in names), None)
    return f"it is built with a sanitizer ({found}), which must be the first library" if found else None


def _segments(file: BinaryIO, start: bytes) -> Iterator[_Segment]:
    at, size, count = (*struct.unpack_from("<Q", start, 32), *struct.unpack_from("<HH", start, 54))
    if size == 56:
        for kind, _, offset, address, _, bytes_, *_ in struct.iter_unpack("<IIQQQQQQ", _read(file, at, size * count)):
            yield _Segment(kind, offset, address, bytes_)


def _names(file: BinaryIO, segments: list[_Segment]) -> bytes:
    """Return the table of names of libraries and functions; empty if there is none."""
    for dynamic in (segment for segment in segments if segment.kind == _DYNAMIC_SEGMENT):
        tags = dict(struct.iter_unpack("<QQ", _read(file, dynamic.offset, dynamic.size // 16 * 16)))
        address, size = tags.get(_NAMES_TAG, 0), min(tags.get(_NAMES_SIZE_TAG, 0), _MOST_NAMES_BYTES)
        for segment in segments:
            if segment.kind == _LOADED_SEGMENT and 0 <= address - segment.address < segment.size:
                return _read(file, address - segment.address + segment.offset, size)
    return b""


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    """Return what a file has there; nothing if it ends before."""
    file.seek(at)
    content = file.read(min(size, _MOST_NAMES_BYTES))
    return content if len(content) == size else b""
