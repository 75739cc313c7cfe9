"""Keeps tables of symbols that take long to make, because every run of an interpreter needs the same ones.

A table is kept in the user's cache folder under the build id of its file, which names the file's content.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from symbolic.debuginfo import Object
from symbolic.exceptions import SymbolicError
from symbolic.symcache import SymCache

_WORTH_KEEPING_S = 0.1
_MOST_KEPT = 16
"""A table of CPython's library has 7 MB; the ones that were made first go first."""


def table_of(source: Object) -> SymCache:
    """Return the table of an object file, from the folder or made now. Raises SymbolicError when it cannot be made."""
    file = _file_of(source)
    if file is not None and file.is_file():
        with contextlib.suppress(SymbolicError, OSError):
            kept: SymCache = SymCache.open(str(file))  # type: ignore[no-untyped-call]
            if kept.is_latest_version:
                return kept
    begun_s = time.perf_counter()
    made: SymCache = source.make_symcache()
    if file is not None and time.perf_counter() - begun_s >= _WORTH_KEEPING_S:
        with contextlib.suppress(OSError):
            _keep(made, file)
    return made


def _file_of(source: Object) -> Path | None:
    """Return the place of a kept table; None for a file without a build id."""
    if not source.code_id:
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - does not raise
    # A library and its separate debug file have the same build id.
    kind = "-".join(sorted(source.features))
    return Path(home) / "soak" / "symbols" / f"{source.code_id}-{kind}"


def _keep(table: SymCache, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=".unfinished-")
    with os.fdopen(handle, "wb") as stream:
        table.dump_into(stream)  # type: ignore[no-untyped-call]
    Path(unfinished).replace(file)
    kept = sorted(file.parent.glob("[!.]*"), key=lambda one: one.stat().st_mtime)
    for old in kept[:-_MOST_KEPT]:
        old.unlink()
