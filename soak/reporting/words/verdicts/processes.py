"""What was seen of the processes that a program started: a sentence for each role."""

from __future__ import annotations

from soak.reporting.words.vocabulary import printable, rate_number
from soak.results import ComponentResult, ProcessResult, RoleResult
from soak.units import format_count, format_size
from soak.verdict import Verdict

_MOST_PROCESSES = 4
_NOTABLE_BYTES = 1.0


def role_sentences(component: ComponentResult) -> tuple[str, ...]:
    """Say of each role its verdict, how many processes it has had, and what each of them holds."""
    return tuple(_role(role, component.cycle_noun) for role in component.roles)


def _role(role: RoleResult, noun: str) -> str:
    count = f"{format_count(role.living or role.ended)} × {printable(role.command)}"
    ended = f"{_ended(role)} ended" if role.ended else ""
    rate = ""
    if role.bytes_per_iteration is not None:
        rate = f", {rate_number(role.bytes_per_iteration, 'bytes')} per {noun} together"
    living = [process for process in role.processes if not process.has_ended]
    each = "; ".join(map(_process, living[:_MOST_PROCESSES])) + ("; …" if len(living) > _MOST_PROCESSES else "")
    return f"{count}: {role.verdict}{rate}{ended}.{f' {each}.' if each else ''}{_hidden(role, noun)}"


def _hidden(role: RoleResult, noun: str) -> str:
    """Say what went with processes that have ended, where it is not known whether the others leak."""
    grown = role.ended_bytes_per_iteration or 0.0
    if role.verdict in (Verdict.LEAK, Verdict.CLEAN) or grown < _NOTABLE_BYTES:
        return ""
    return (
        f" Each process that has ended grew by {rate_number(grown, 'bytes')} per {noun} until then. To decide this, "
        "turn replacement off (max-requests, maxtasksperchild), or set an n_min that is shorter than their lives."
    )


def _ended(role: RoleResult) -> str:
    if role.living:
        return f", {format_count(role.ended)} more {'has' if role.ended == 1 else 'have'}"
    return "; it has" if role.ended == 1 else "; all have"


def _process(process: ProcessResult) -> str:
    return f"process {process.pid} {format_size(process.first_bytes)} → {format_size(process.last_bytes)}"
