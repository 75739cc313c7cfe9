"""A run as it was written to report.json."""

from __future__ import annotations

import json
from pathlib import Path

from soak.errors import UsageError
from soak.results import SCHEMA_VERSION, RunResult, from_document

REPORT = "report.json"


def read_report(path: Path) -> RunResult:
    """Return the run of a report.json. Raises UsageError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] > SCHEMA_VERSION:
            raise UsageError(f"{path} has schema {document['schema']}; this soak reads up to {SCHEMA_VERSION}")
        return from_document(RunResult, document)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is not a report.json of soak: {error!r}") from error
