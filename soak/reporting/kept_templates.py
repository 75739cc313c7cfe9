"""Keeps templates as Python's bytecode in the user's cache folder, because compiling them takes as long as all else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

import jinja2.compiler
from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket


class KeptTemplates(FileSystemBytecodeCache):
    """One file for each template and version of Python; a folder that cannot be written to is no error."""

    def __init__(self, made_with: bytes) -> None:
        """Take note of what a template's bytecode depends on beside its text."""
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - does not raise
        super().__init__(str(Path(home) / "soak" / "templates"), f"%s.{sys.implementation.cache_tag}")
        self._made_with = made_with

    def get_cache_key(self, name: str, _filename: str | None = None) -> str:
        """Return the name of a template, wherever soak is installed: so the folder does not grow."""
        return name

    def get_source_checksum(self, source: str) -> str:
        """Return a digest of all that the bytecode depends on."""
        compiler = Path(jinja2.compiler.__file__).stat().st_mtime_ns
        return hashlib.sha256(b"%d %b %b" % (compiler, self._made_with, source.encode())).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read what is kept; a damaged file is as good as none."""
        try:
            super().load_bytecode(bucket)
        except Exception:
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        with contextlib.suppress(OSError):
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)
