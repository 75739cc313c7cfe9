"""End what the measured processes started when soak itself is killed with a signal that it cannot answer.

The measured process dies with soak by itself (see soak.inside.child); a server that its driver started would go on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from soak.running.child.template import MARK_VARIABLE

# Looks again until there is nothing left, for a process may be starting another at that moment.
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
    """Have a small process wait for the end of this one; whenever that comes, nothing of ours goes on."""
    command = [sys.executable, "-S", "-E", "-c", _WATCH, f"{MARK_VARIABLE}={os.getpid()}-"]
    # In a session of its own, so that what ends soak's (a closed terminal, a kill of the group) does not end it too.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield
