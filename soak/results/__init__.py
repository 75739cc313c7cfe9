"""What a run found, in the shape of ``report.json`` (schema 1; changes are additive only).

Field names are the document's names. Rates are per cycle. `soak.documents` turns the records into plain JSON values
and back, so that what is stored, drawn and exported is one thing.
"""

from soak.results.audit import AuditPart, RssAudit
from soak.results.causes import Cause, Opened, Owner, Unseen
from soak.results.component import (
    AT_WORK,
    NEVER_RAN,
    WATCHED_FROM_OUTSIDE,
    ComponentResult,
    Garbage,
    LabelGrowth,
    TracemallocLine,
    TracemallocResult,
)
from soak.results.conditions import Failure, Pacing, Pauses, TrackerState
from soak.results.controls import Blank, Controls, SignalSpike, Spike
from soak.results.places import ChainNode, MemoryKind, MemoryStep, Place
from soak.results.processes import ProcessResult, RoleResult
from soak.results.run import SCHEMA_VERSION, Part, Parts, RunResult
from soak.results.signals import Growth, SignalResult

__all__ = [
    "AT_WORK",
    "NEVER_RAN",
    "SCHEMA_VERSION",
    "WATCHED_FROM_OUTSIDE",
    "AuditPart",
    "Blank",
    "Cause",
    "ChainNode",
    "ComponentResult",
    "Controls",
    "Failure",
    "Garbage",
    "Growth",
    "LabelGrowth",
    "MemoryKind",
    "MemoryStep",
    "Opened",
    "Owner",
    "Pacing",
    "Part",
    "Parts",
    "Pauses",
    "Place",
    "ProcessResult",
    "RoleResult",
    "RssAudit",
    "RunResult",
    "SignalResult",
    "SignalSpike",
    "Spike",
    "TracemallocLine",
    "TracemallocResult",
    "TrackerState",
    "Unseen",
]
