"""Limits, locks and filters that a program sets itself: it works as without the tracker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tracked_children import Track, interpreters

from soak.native import preload
from soak.native.layout import STATE_FILTERED, TABLES

pytestmark = pytest.mark.native

MIB = 1 << 20
STATUS = """
import json, os, resource, sys
def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)
"""
LIMITED = (
    STATUS
    + """
import ctypes
which, way, most = getattr(resource, sys.argv[1]), sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
if way == "prlimit":
    resource.prlimit(0, which, (most, resource.RLIM_INFINITY))
elif way == "setrlimit":
    resource.setrlimit(which, (most, resource.RLIM_INFINITY))
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
blocks = sum(bool(libc.malloc(1000)) for _ in range(100_000))
large = libc.malloc(1 << 40)
try:
    bytearray(most)
    failed = False
except MemoryError:
    failed = True
print(json.dumps([blocks, large, failed]))
"""
)
LOCKED = (
    STATUS
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
flags = int(sys.argv[1])
before = status("VmRSS")
if libc.mlockall(flags):
    print(json.dumps(ctypes.get_errno()))
    sys.exit()
after, locked = status("VmRSS"), status("VmLck")
libc.malloc.restype = ctypes.c_void_p
for _ in range(20_000):
    libc.malloc(1000)
grown = status("VmLck") - locked
again = libc.munlockall()
print(json.dumps({"rss": after - before, "locked": locked, "grown": grown, "after": status("VmLck")}))
"""
)
FILTER = """
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* What a loop of malloc needs. */
static struct sock_filter rules[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(mprotect), ALLOW(brk), ALLOW(futex), ALLOW(write),
    ALLOW(exit_group),
    ALLOW(read), ALLOW(getpid), /* these two for the checkpoint and the end of the test */
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
__attribute__((visibility("default"))) int restrict_calls(int by_syscall)
{
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return by_syscall ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                      : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
__attribute__((visibility("default"))) void fill(long count, size_t size)
{
    while (count--)
        memset(malloc(size), 1, size);
}
int main(int count, char **arguments)
{
    void *first = malloc(1);
    if (restrict_calls(count > 1))
        return 3;
    fill(200000, 1000);
    (void)!realloc(first, 100);
    (void)!write(1, "done\\n", 5);
    (void)arguments;
    _exit(0);
}
"""


@pytest.fixture(scope="module")
def filtered(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a program that restricts its system calls, which is also a library."""
    folder = tmp_path_factory.mktemp("filtered")
    (folder / "filter.c").write_text(FILTER)
    subprocess.run([compiler, "-O1", "-o", folder / "filter", folder / "filter.c"], check=True)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", folder / "filter.so", folder / "filter.c"], check=True)
    if subprocess.run([folder / "filter"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no program filter its calls")
    return folder


def run(script: str, *arguments: str, library: Path | None, before: str = "") -> Any:
    """Run a script of Python and return what it printed, with the tracker or without."""
    command = [sys.executable, "-c", script, *arguments]
    if before:
        command = ["sh", "-c", f'{before}; exec "$@"', "sh", *command]
    if library is None:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    else:
        with preload.preloading(library, os.environ) as environment:
            result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(result.stdout)


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
@pytest.mark.parametrize("way", ["setrlimit", "prlimit", "shell"])
def test_a_limit_is_met_by_the_program_and_not_by_the_tracker(library: Path, limit: str, way: str) -> None:
    """100 MB in small blocks fit into 256 MiB, and what does not fit fails as without the tracker."""
    most = 256 * MIB
    before = f"ulimit -{'v' if limit == 'RLIMIT_AS' else 'd'} {most // 1024}" if way == "shell" else ""

    plain = run(LIMITED, limit, way, str(most), library=None, before=before)
    tracked = run(LIMITED, limit, way, str(most), library=library, before=before)

    assert plain == tracked == [100_000, None, True]


@pytest.mark.parametrize("flags", [1, 3, 5, 7], ids=["current", "and future", "on fault", "and future, on fault"])
def test_memory_that_a_program_locks_is_its_own(library: Path, flags: int) -> None:
    """What the tracker has reserved is neither filled nor locked."""
    plain, tracked = (run(LOCKED, str(flags), library=found) for found in (None, library))
    if isinstance(plain, int):
        pytest.skip(f"mlockall: {os.strerror(plain)}")

    # The library and its names are memory of the program, about 1 MiB.
    assert abs(tracked["rss"] - plain["rss"]) < 3 * 1024
    assert abs(tracked["locked"] - plain["locked"]) < 5 * 1024
    assert abs(tracked["grown"] - plain["grown"]) < 2 * 1024
    assert tracked["after"] == 0


@pytest.mark.parametrize("way", [(), ("by syscall",)], ids=["prctl", "syscall"])
def test_a_program_that_filters_its_system_calls_lives_on(library: Path, filtered: Path, way: tuple[str, ...]) -> None:
    """The table of 200 MB of new blocks is made without a call that malloc does not make."""
    with preload.preloading(library, os.environ) as environment:
        command = [filtered / "filter", *way]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (result.returncode, result.stdout) == (0, "done\n")


def test_blocks_behind_a_filter_are_recorded_and_the_filter_is_said(track: Track, filtered: Path) -> None:
    """The filter kills at any call that is not in its list, so the child cannot end as usual."""
    child = track(
        f"""
import time
filter = ctypes.CDLL({str(filtered / "filter.so")!r})
filter.fill.argtypes = [ctypes.c_long, ctypes.c_size_t]
filter.fill(50_000, 1_000)
tracker.checkpoint()
time.sleep(0.3)  # without a filter, the leaves that have been still for so long would be packed now
tracker.cycle[0] = 5
if filter.restrict_calls(1):
    os._exit(3)
filter.fill(100_000, 1_000)
tracker.cycle[0] = 6
tracker.checkpoint()
answer()
os._exit(0)
""",
        SOAK_PACK_TABLES="1",
    )

    checkpoint = child.checkpoint()
    rows = checkpoint.rows[checkpoint.rows["bucket"] == 5]
    assert int(rows["live_blocks"].max()) == 100_000
    assert checkpoint.lost_blocks == 0
    assert child.ledger.state & STATE_FILTERED


WITHOUT_MPROTECT = """
import ctypes, platform, struct
libc = ctypes.CDLL(None)
LOAD, JUMP, RETURN, KILL, ALLOW = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
number = {"x86_64": 10, "aarch64": 226}[platform.machine()]
steps = (LOAD, 0, 0, 0), (JUMP, 0, 1, number), (RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)
rules = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
program = struct.pack("@HP", len(steps), ctypes.addressof(rules))
no_new_privileges, filter_calls, by_rules = 38, 22, 2
libc.prctl(no_new_privileges, 1, 0, 0, 0)
assert libc.prctl(filter_calls, by_rules, program) == 0
made = [{number: [number]} for number in range(10000)]
print("done")
"""


@pytest.mark.parametrize("version", sorted({*list(interpreters())[:1], *list(interpreters())[-1:]}))
def test_a_program_that_may_not_protect_memory_comes_to_its_end(
    library: Path, tmp_path: Path, version: str, filtered: Path
) -> None:
    """What the tracker has changed in the interpreter's code stays changed at the end."""
    command = [interpreters()[version], "-c", WITHOUT_MPROTECT]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this interpreter protects memory itself")
    (tmp_path / "places").touch()
    with preload.preloading(library, os.environ) as environment:
        watched = {**environment, preload.WATCH_VARIABLE: f"{preload.EVERYBODY}:{tmp_path / 'places'}"}
        result = subprocess.run(command, capture_output=True, text=True, env=watched, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_the_tracker_takes_little_address_space(library: Path) -> None:
    """A process of Python has less than 40 MiB more."""
    script = STATUS + 'print(json.dumps(status("VmSize")))'

    plain, tracked = (run(script, library=found) for found in (None, library))

    assert tracked - plain < 40 * 1024


LIMITED_FILES = """
import json, os, resource, signal, sys
child = os.fork()
if child == 0:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
    os.execv("/bin/sh", ["sh", "-c", "exit 3"])
print(json.dumps(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("most", "told"), [(0, 1), (100, 1), (-1, 2)], ids=["nothing", "less than a record", "any"])
def test_a_limit_of_file_sizes_ends_no_program(library: Path, tmp_path: Path, most: int, told: int) -> None:
    """What a process tells the watcher goes to a file. At the limit, a write would end the process."""
    places = tmp_path / "places"
    places.touch()

    with preload.preloading(library, os.environ) as environment:
        watched = {**environment, preload.WATCH_VARIABLE: f"{preload.EVERYBODY}:{places}"}
        command = [sys.executable, "-c", LIMITED_FILES, str(most)]
        result = subprocess.run(command, capture_output=True, text=True, env=watched, check=True)

    assert json.loads(result.stdout) == 3 << 8
    assert places.stat().st_size == told * TABLES.itemsize
