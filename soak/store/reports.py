"""A run as it was written to report.json."""

from __future__ import annotations

from pathlib import Path

from soak.documents import FAULTS, from_document, parse
from soak.errors import UsageError
from soak.results import SCHEMA_VERSION, RunResult

REPORT = "report.json"
_LARGEST_BYTES = 256 * 2**20


def read_report(path: Path) -> RunResult:
    """Return the run of a report.json. Raises UsageError."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is not read: it is larger than {_LARGEST_BYTES >> 20} MiB")
        document = parse(path.read_bytes())
        if document["schema"] > SCHEMA_VERSION:
            raise UsageError(f"{path} has schema {document['schema']}; this soak reads up to {SCHEMA_VERSION}")
        return from_document(RunResult, document)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except FAULTS as error:
        raise UsageError(f"{path} is not a report.json of soak: {error!r:.200}") from error
