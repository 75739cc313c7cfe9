"""The layout of ``run.db``, version by version.

1  first layout
"""

from __future__ import annotations

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
