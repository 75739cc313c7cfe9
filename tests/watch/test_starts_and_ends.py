"""A watched program that begins, ends, or loses its first thread: nothing is taken for what it is not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from soak.errors import UsageError
from soak.probes.descendants import read_descendants
from soak.probes.ledgers.followed import Followed
from soak.probes.ledgers.tables import own_number
from soak.probes.outside import living_thread
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.plan import WatchPlan
from soak.running.watch.preloaded import PreloadedTracker
from soak.running.watch.subject import Process, start_program

pytestmark = [pytest.mark.integration, pytest.mark.native]

WITHOUT_ITS_FIRST_THREAD = """
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void soak_mark(void) __attribute__((weak));

static void *volatile last;

static __attribute__((noinline)) void take_header(void)
{
    last = memset(malloc(100), 1, 100);
}

static void *work(void *repaired)
{
    for (int i = 0; i < 1500; i++) {
        if (soak_mark)
            soak_mark();
        take_header();
        if (repaired)
            free(last);
        usleep(1000);
    }
    exit(3);
}

int main(int count, char **arguments)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, count > 1 ? arguments : NULL);
    pthread_exit(NULL);
}
"""
HOLDING = "import time\nkept = [str(n) for n in range(1000)]\nprint('held', flush=True)\ntime.sleep(60)\n"


@pytest.fixture(scope="module")
def headless(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a program whose first thread ends before the one that works."""
    folder = tmp_path_factory.mktemp("headless")
    (folder / "headless.c").write_text(WITHOUT_ITS_FIRST_THREAD)
    command = [compiler, "-g", "-O1", "-pthread", "-o", folder / "headless", folder / "headless.c"]
    subprocess.run(command, check=True)
    return folder / "headless"


def watch(*command: str, options: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    with tempfile.TemporaryDirectory() as runs:
        own = ["--out", runs, "--every", "10ms", "--n-min", "256", "--json", "-", *options]
        start = [sys.executable, "-m", "soak", "watch", *own, "--", *command]
        done = subprocess.run(start, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["components"][0], done.stderr


@pytest.mark.long  # it ends by itself: a busy machine reads too little of it for a verdict
@pytest.mark.usefixtures("library")
def test_a_program_whose_first_thread_has_ended_is_watched_to_its_end(headless: Path):
    with ThreadPoolExecutor() as both:
        watched = [both.submit(watch, str(headless), *arguments) for arguments in ((), ("repaired",))]
    (leaking, said), (repaired, _) = (each.result() for each in watched)

    for component in (leaking, repaired):
        assert component["failure"]["detail"] == "it ended with status 3", said
        assert 1024 <= component["iterations"] <= 1500
        assert not any("became another program" in text for text in component["messages"])
    assert leaking["signals"]["tracked"]["verdict"] == "LEAK"
    assert leaking["causes"][0]["where"]["function"] == "take_header"
    assert repaired["signals"]["tracked"]["verdict"] == "CLEAN"
    assert repaired["causes"] == []


def test_a_found_process_whose_first_thread_has_ended_is_no_zombie(headless: Path):
    process = subprocess.Popen([headless])
    try:
        while living_thread(process.pid) in (process.pid, None):
            assert process.poll() is None
        found = Process(process.pid, tree=False)

        assert found.read()["threads"] >= 1
        assert found.program() == str(headless)
        assert found.is_alive()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def start(library: Path) -> Iterator[Callable[..., tuple[PreloadedTracker, subprocess.Popen[str]]]]:
    """Start a program with the tracker that ends when the test does."""
    with contextlib.ExitStack() as ending:

        def begin(*command: str) -> tuple[PreloadedTracker, subprocess.Popen[str]]:
            tracker = PreloadedTracker(library, os.environ, follows=True)
            ending.callback(tracker.close)
            process = subprocess.Popen(command, env=tracker.environment, stdout=subprocess.PIPE, text=True)
            ending.enter_context(process)
            ending.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return tracker, process

        yield begin


def test_a_process_that_has_just_ended_has_the_tables_that_it_had(start):
    """So nothing is judged anew, and what was counted last stands."""
    tracker, process = start(sys.executable, "-c", HOLDING)
    tables = tracker.tables(process.pid)
    assert tables is not None
    assert tables.read() is not None
    mapped = tables.own_mapped()

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert tracker.tables(process.pid) is tables
    assert tracker.reason is None
    assert tables.read() is None
    assert tables.own_mapped() == mapped > 0


def test_tables_that_were_closed_say_nothing_more(start):
    tracker, process = start(sys.executable, "-c", HOLDING)
    tables = tracker.tables(process.pid)
    assert tables is not None
    assert tables.read() is not None

    tables.close()
    files = [os.open("/dev/zero", os.O_RDWR) for _ in range(8)]  # they get the numbers that are free now

    assert tables.read() is None
    tables.close()
    for file in files:
        os.close(file)


def test_a_process_that_has_let_go_of_its_memory_is_no_other_program():
    """A zombie has let go of it as well, so that the test can look at it as long as it wants."""
    process = subprocess.Popen(["sleep", "60"])
    found = Process(process.pid, tree=False)
    assert found.program().endswith("sleep") or found.program().endswith("coreutils")

    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert (found.program(), found.read(), living_thread(process.pid)) == ("", {}, None)
    process.wait()


def test_a_command_that_ends_at_once_is_one_line():
    """At every run the start is another: the program has ended, is ending, or has been seen once."""
    for _ in range(10):
        seen = start_false()
        if isinstance(seen, str):
            assert seen == "'false' ended at once, with status 1: soak measured nothing"
        else:
            assert seen.exit_status() == 1
            assert (seen.read(), seen.program()) == ({}, "")


def start_false() -> Process | str:
    """Start a program that ends at once, or return why it is not watched."""
    try:
        return start_program(["false"], output_to_stderr=True, tree=False, library=None, reason="not wanted")
    except UsageError as error:
        return str(error)


def test_marks_are_kept_when_the_process_has_ended():
    pace = WatchPace(WatchPlan(0.1, None, 1.0, None, stop_at_leak=False), 0, tracked=True)

    pace.turn(5, 100)
    pace.turn(6, 0)

    assert pace.marks == 100


def test_a_process_in_a_namespace_of_its_own_is_found_by_the_number_it_has_there(start):
    """As in a container: it says that it is process 1."""
    made = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no namespace of processes can be made here")
    tracker, process = start("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", HOLDING)
    (inside,) = read_descendants(process.pid)

    assert own_number(inside.pid) == 1
    assert own_number(process.pid) == process.pid
    places = Followed(tracker.announcements).places(inside)
    assert places is not None
    assert places.pid == inside.pid
