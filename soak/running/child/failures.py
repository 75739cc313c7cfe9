"""Say why a driver did not come to its end, from its exit status, its ring and the end of its output."""

from __future__ import annotations

import signal

from soak.inside.child import EXIT_FAILED
from soak.inside.ring import PHASE_CYCLES, PHASE_DONE, PHASE_FAILED, PHASE_TEARDOWN
from soak.results import Failure
from soak.running.child.child import Child

_STACK_HEADS = ("Fatal Python error", "Current thread", "Thread 0x")
_STACK_LINES = 40


def describe_failure(child: Child, *, hung: bool, held: bool = False) -> Failure | None:
    """Return what went wrong with a process that has ended, or None when it ended in order.

    ``hung``: it was ended for the cycle timeout; ``held``: a signal held it still then.
    """
    ring = child.ring
    phase, status = ring.phase, child.exit_status()
    if status == 0 and phase == PHASE_DONE:
        return None
    if phase == PHASE_FAILED and status == EXIT_FAILED:
        first, _, trace = ring.read_failure().decode("utf-8", "replace").partition("\n")
        reason = "exit" if first.startswith("SystemExit") else "exception"
        return _failure(child, ring.failed_phase, reason, first, trace.splitlines())
    stack = _stack_of(child.output())
    if hung:
        detail = "stopped by a signal, and not continued" if held else "it did not end"
        if ring.is_counting:
            detail = "garbage collection, or a finalizer that it runs, did not end"
        return _failure(child, phase, "hang", f"{detail} within the cycle timeout", stack)
    if status is not None and status < 0:
        return _failure(child, phase, "signal", _signal_name(-status), stack)
    last_line = (child.output().strip().splitlines() or ["it wrote nothing"])[-1]
    return _failure(child, phase, "exit", f"exit status {status}; last line of its output: {last_line}", stack)


def _failure(child: Child, phase: int, reason: str, detail: str, stack: list[str]) -> Failure:
    name = "cycle" if phase == PHASE_CYCLES else "teardown" if phase >= PHASE_TEARDOWN else "setup"
    cycle = child.ring.cycle if name != "setup" else 0
    return Failure(name, cycle, reason, detail, tuple(stack[-_STACK_LINES:]))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stack_of(output: str) -> list[str]:
    """Return the part of the output that faulthandler wrote when the process was ended."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(_STACK_HEADS):
            return lines[number:]
    return []
