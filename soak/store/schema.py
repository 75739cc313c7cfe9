"""The layout of ``run.db``, version by version.

1  first layout
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from soak.measurements import SIGNALS

SCHEMA_VERSION = 1

DDL = f"""
-- Facts of the run: one row for each, the value as JSON. Keys: run, folder, started, finished, soak, environment,
-- settings, plan (what is needed to resume the run), controls, parts, so_far/NAME (of a component at work: what can be
-- said of it by now, as in report.json).
create table fact (
    name text primary key,
    value text not null
) without rowid;

-- One row for each component, created when its process starts.
create table component (
    id integer primary key,
    name text not null unique,
    started text not null,      -- ISO 8601, UTC
    n_min integer,              -- cycles before which nothing is decided; null until it is fixed
    result text                 -- what was found, as in report.json; null while it runs
);

-- One row for each checkpoint, in the order of cycles. A signal that was not read is null.
create table reading (
    component_id integer not null references component (id),
    cycle integer not null,     -- cycles completed
    at_s real not null,         -- monotonic seconds since the component's loop began
    {", ".join(f"{signal.name} real" for signal in SIGNALS.values())},
    primary key (component_id, cycle)
) without rowid;
"""

_COMMENT = re.compile(r"--[^\n]*")
_SIGNAL = re.compile(r"(\w+) real")


def plain(statement: str) -> str:
    """Return a statement without comments and line breaks, in small letters."""
    return " ".join(_COMMENT.sub("", statement).lower().split())


_TABLES = {text.split()[2]: text.strip() for text in plain(DDL).split(";") if text.strip()}
_READING_BEGINS, _, _READING_ENDS = _TABLES["reading"].partition(f"{', '.join(f'{name} real' for name in SIGNALS)}, ")


def signals_of(objects: Iterable[tuple[str, str, str | None]]) -> list[str] | None:
    """Return the signals that a database of this layout has; None if anything in it is not what soak writes.

    ``objects``: (type, name, statement) of all that the database defines. Versions of soak differ in their signals.
    """
    statements = {name: plain(text or "") for kind, name, text in objects if kind != "index" or text is not None}
    reading = statements.pop("reading", "")
    if statements != {name: text for name, text in _TABLES.items() if name != "reading"}:
        return None
    if not (reading.startswith(_READING_BEGINS) and reading.endswith(_READING_ENDS)):
        return None
    columns = reading[len(_READING_BEGINS) : -len(_READING_ENDS)].removesuffix(", ").split(", ")
    found = [_SIGNAL.fullmatch(column) for column in columns if column]
    return None if None in found else [match.group(1) for match in found if match is not None]
