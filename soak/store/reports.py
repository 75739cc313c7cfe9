"""A run, or the verdicts of one or many, as they were written to report.json."""

from __future__ import annotations

from pathlib import Path

from soak.documents import FAULTS, from_document, parse
from soak.errors import SoakError, UsageError
from soak.results import SCHEMA_VERSION, RunResult
from soak.store.profile_files import read_regular

REPORT = "report.json"
_LARGEST_BYTES = 256 * 2**20
_LARGEST_FOR_VERDICTS_BYTES = 64 * 2**20


def read_verdicts(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the verdicts in a report.json, by component, or by id where it has cells; none if unreadable.

    Where only verdicts are wanted this does not read run.db, because opening it would write files beside it.
    """
    try:
        document = parse(read_regular(path, _LARGEST_FOR_VERDICTS_BYTES))
        if "cells" in document:
            return tuple((str(cell["id"]), str(cell["verdict"])) for cell in document["cells"] if cell["verdict"])
        return tuple((str(found["name"]), str(found["verdict"])) for found in document["components"])
    except (SoakError, *FAULTS):
        return ()


def read_report(path: Path) -> RunResult:
    """Return the run of a report.json. Raises UsageError."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is not read: it is larger than {_LARGEST_BYTES >> 20} MiB")
        document = parse(path.read_bytes())
        if document["schema"] > SCHEMA_VERSION:
            raise UsageError(f"{path} has schema {document['schema']}; this soak reads up to {SCHEMA_VERSION}")
        if "cells" in document:
            raise UsageError(f"{path} is the report of many runs; name the folder of a matrix, or of one run")
        return from_document(RunResult, document)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except FAULTS as error:
        raise UsageError(f"{path} is not a report.json of soak: {error!r:.200}") from error
