"""End what the measured processes started when soak itself is killed with a signal that it cannot answer.

The measured process ends when soak ends (see soak.inside.child). A server that its driver started would continue.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from soak.running.child.template import MARK_VARIABLE

# Looks again until there is nothing left, because a process may be starting another at that moment.
_WATCH = """
import os, signal, sys
mark = sys.argv[1].encode()
sys.stdin.buffer.read()
found = True
while found:
    found = False
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % name, "rb") as environment:
                if any(variable.startswith(mark) for variable in environment.read().split(b"\\0")):
                    os.kill(int(name), signal.SIGKILL)
                    found = True
        except OSError:
            pass
"""


@contextmanager
def guarded() -> Iterator[None]:
    """Start a small process that waits for the end of this one, and then ends all that soak started."""
    command = [sys.executable, "-S", "-E", "-c", _WATCH, f"{MARK_VARIABLE}={os.getpid()}-"]
    # In a session of its own, so that what ends soak's (a closed terminal, a kill of the group) does not end it too.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield
        # Each measured process has been closed, with all that it started, so the watchdog has nothing left to do.
        process.kill()
