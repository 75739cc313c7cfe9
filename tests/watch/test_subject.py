"""What a watched process is said to run, from its start until it is gone."""

from __future__ import annotations

import sys
from pathlib import Path

from soak.running.watch.subject import Process, start_program

FREES_MUCH_AS_IT_ENDS = "memory = bytearray(200_000_000)"


def test_a_process_that_is_ending_has_not_become_another_program():
    process = _started(FREES_MUCH_AS_IT_ENDS)
    names = set()
    while name := process.program():
        names.add(name)

    assert process.exit_status() == 0
    assert names == {str(Path(sys.executable).resolve())}


def _started(script: str) -> Process:
    command = [sys.executable, "-c", script]
    return start_program(command, output_to_stderr=True, tree=False, library=None, reason="not of interest")
