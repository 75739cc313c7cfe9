"""The process that measures one cell, as the one who starts it sees it.

A process of its own for each cell: what one cell does to soak does not reach the next, and the environment of the
measured process is that of a plain ``soak run``. A subprocess, because workers of Dask may have no multiprocessing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import psutil

from soak.errors import SoakError
from soak.matrix.cells import Cell
from soak.running.environment import host_name
from soak.store.fleets import is_asked_to_stop, is_done
from soak.store.runs import is_fleet

MODULE = "soak.commands.matrices.cell"
"""The command line of the process; it stands above this package, for it writes reports."""
_LOOK_S, _GRACE_S = 0.5, 30.0
_KEPT_BYTES = 4096


class CellLostError(SoakError):
    """The process of a cell ended and left no run; the message says how."""


def run_cell_process(
    folder: Path, cell: Cell, environment: Mapping[str, str], is_stopped: Callable[[], bool] = lambda: False
) -> None:
    """Measure a cell in a process of its own and wait for its end. A cell that has its run is not measured again.

    When ``is_stopped`` or the fleet says so, the process is asked to stop, and the cell gets no run. Raises
    CellLostError when it got none otherwise.
    """
    if not is_fleet(folder):
        raise CellLostError(f"{host_name()} does not see {folder}; --out must be a folder that all hosts share")
    if is_done(folder, cell.id):
        return
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", MODULE, str(os.getpid()), str(folder), json.dumps(dataclasses.asdict(cell))]
        process = psutil.Popen(  # whose wait is woken by the end, where that of subprocess looks every 50 ms
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=dict(environment), start_new_session=True
        )
        try:
            is_stopped_now = _wait(process, lambda: is_stopped() or is_asked_to_stop(folder))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if not is_stopped_now and not is_done(folder, cell.id):
            raise CellLostError(_how_it_ended(process.returncode, said))


def _wait(process: psutil.Popen, is_stopped: Callable[[], bool]) -> bool:
    """Wait for the end of a process; tell whether it was asked to stop."""
    while True:
        try:
            process.wait(_LOOK_S)
            return is_stopped()
        except psutil.TimeoutExpired:
            if is_stopped():
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_GRACE_S)
                except psutil.TimeoutExpired:
                    process.kill()
                return True


def _how_it_ended(code: int, said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _KEPT_BYTES))
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit status {code}{f': {lines[-1].strip()}' if lines else ''}"
