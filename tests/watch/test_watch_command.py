"""soak watch on real processes: what it says, and that it does them no harm."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_builder import cycles_read, wait_until

pytestmark = pytest.mark.integration

LEAKING = """
import os, resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
for _ in range(300):
    os.open("/dev/null", os.O_RDONLY)
while True:
    os.open("/dev/null", os.O_RDONLY)
    time.sleep(0.01)
"""
"""Its memory does not grow."""


AS_SOMEBODY_ELSE = """
import encodings.ascii, encodings.unicode_escape, encodings.utf_8_sig, importlib, os, sys
from soak.__main__ import main
for name in ("watch", "measure"):
    importlib.import_module("soak.commands.measuring." + name)
import soak.reporting.commands.watch, soak.reporting.write, soak.running.watch.record, soak.running.watch.watch
import soak.running.processes.watching
os.setuid(65534)
sys.exit(main(["watch", *sys.argv[1:]]))
"""


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the runs in a folder of the test's own, which anybody may use, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        monkeypatch.chdir(folder)
        yield
        monkeypatch.undo()


def soak_watch(*arguments: str, start: tuple[str, ...] = ("-m", "soak", "watch")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *start, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def leaking() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", LEAKING])
    yield process
    process.kill()
    process.wait()


def test_a_leak_of_descriptors_in_a_foreign_process_is_found_and_the_process_goes_on(leaking):
    answer = soak_watch("--pid", str(leaking.pid), "--every", "20ms", "--n-min", "64")

    assert answer.returncode == 1, answer.stderr
    assert "File descriptors grow by" in answer.stdout
    assert re.search(r"/dev/null \d+ → \d+", answer.stdout), answer.stdout
    assert "still running" not in answer.stderr
    assert leaking.poll() is None


def test_a_command_is_watched_to_its_end_with_its_own_output():
    answer = soak_watch("--every", "20ms", "--", sys.executable, "-c", "print('mine'); import time; time.sleep(0.3)")

    assert answer.returncode == 3
    assert answer.stdout.startswith("mine\n? INCONCLUSIVE")


def test_json_goes_to_stdout_alone():
    answer = soak_watch("--every", "20ms", "--json", "-", "--", "sh", "-c", "echo mine; sleep 0.2")

    document = json.loads(answer.stdout)
    assert document["components"][0]["stopped_by"] == "ended"
    assert document["components"][0]["name"] == "sh"
    assert "mine" in answer.stderr
    assert "one every 20 ms, until it ended" in answer.stderr
    assert "is still running" not in answer.stderr


def test_a_command_that_fails_gives_code_4():
    assert soak_watch("--every", "20ms", "--", "sh", "-c", "sleep 1; exit 3").returncode == 4


def test_a_command_that_execs_says_so():
    waits = "while [ ! -e go ]; do sleep 0.05; done; exec sleep 1"
    command = [sys.executable, "-m", "soak", "watch", "--every", "10ms", "--no-track", "--", "sh", "-c", waits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        wait_until(lambda: cycles_read(Path.cwd(), "sh"))
        Path("go").touch()
        out, _ = watching.communicate(timeout=60)

    assert "the process became another program (" in out


SERVER = """
import os, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
if len(sys.argv) > 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: (child.kill(), sys.exit()))
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def watch_until_interrupted(*arguments: str) -> tuple[int, list[int], str]:
    """Interrupt a watch when its program has told its processes; return the code, these, and what went to stderr."""
    command = [sys.executable, "-m", "soak", "watch", "--every", "20ms", "--no-track", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        pids = [int(word) for word in watching.stdout.readline().split()]
        wait_until(lambda: cycles_read(Path.cwd(), Path(sys.executable).name))
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
    return watching.returncode, pids, said


def is_running(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("stubborn", [[], ["stubborn"]])
def test_the_end_of_the_watch_ends_the_program_that_it_started(stubborn: list[str]):
    """One that ignores SIGTERM is killed, with the processes that it has started."""
    grace = "200ms" if stubborn else "30s"
    code, pids, said = watch_until_interrupted("--grace", grace, "--", sys.executable, "-c", SERVER, *stubborn)

    assert (code, len(pids)) == (3, 2), said
    assert not any(map(is_running, pids))
    assert ("did not end within 200 ms: killed" in said) is bool(stubborn)


ORPHANING = """
import os, signal, subprocess, sys, time
ignoring = "trap '' TERM; " if len(sys.argv) > 1 else ""
child = subprocess.Popen(["sh", "-c", ignoring + "echo ready; while :; do sleep 0.05; done"], stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.long
@pytest.mark.parametrize("stubborn", [[], ["stubborn"]])
def test_processes_that_do_not_end_with_the_program_are_ended_after_it(stubborn: list[str]):
    """Such as the workers of a pool: they would hold its port, and the streams of the watch."""
    grace = "3s" if stubborn else "1s"
    code, pids, said = watch_until_interrupted("--grace", grace, "--", sys.executable, "-c", ORPHANING, *stubborn)

    assert (code, len(pids)) == (3, 2), said
    assert not any(map(is_running, pids))
    assert "did not end with it: ended too" in said
    assert "killed" not in said


def test_a_program_may_be_left_running():
    options = ("--every", "20ms", "--duration", "300ms", "--keep-running", "--no-track", "--json", "-")
    # Else it would keep the streams of the watch open.
    command = ("sh", "-c", "exec sleep 60 >/dev/null 2>&1")
    answer = soak_watch(*options, "--", *command)
    pid = int(answer.stderr.split("kill ")[1].split()[0])

    assert json.loads(answer.stdout)["components"][0]["stopped_by"] == "budget"
    assert is_running(pid)
    os.kill(pid, 9)


def test_a_watch_is_kept_as_a_run():
    answer = soak_watch("--every", "20ms", "--no-track", "--", "sleep", "0.5")
    folder = answer.stdout.splitlines()[-1]

    assert {path.name for path in Path(folder).iterdir()} >= {"report.html", "report.json", "run.db", "sleep.svg"}
    for command in ("list", "show"):
        shown = subprocess.run([sys.executable, "-m", "soak", command], capture_output=True, text=True, check=True)
        assert "INCONCLUSIVE" in shown.stdout


@pytest.mark.long
def test_a_tree_counts_the_descendants():
    command = ("--every", "20ms", "--duration", "1s", "--json", "-", "--", "sh", "-c", "sleep 4 & sleep 4 & wait")

    one, tree = (json.loads(soak_watch(*options, *command).stdout) for options in ([], ["--tree"]))

    threads = [document["components"][0]["signals"]["threads"]["last"] for document in (one, tree)]
    assert threads == [1, 3]


def test_a_process_of_another_user_is_judged_by_its_readable_counters(leaking):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    answer = soak_watch(
        "--pid", str(leaking.pid), "--every", "20ms", "--duration", "300ms", start=("-c", AS_SOMEBODY_ELSE)
    )

    assert answer.returncode == 3, answer.stderr
    assert f"of process {leaking.pid}: permission denied" in answer.stderr
    assert "resident memory (RSS)" in answer.stdout


def test_a_zombie_is_named_as_such():
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)

    answer = soak_watch("--pid", str(zombie.pid))
    zombie.wait()

    assert answer.returncode == 2
    assert f"process {zombie.pid} has ended: a zombie" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name one: --pid N, or -- COMMAND"),
        (["--pid", "1", "--", "true"], "name one: --pid N, or -- COMMAND"),
        (["--pid", "999999999"], "there is no process 999999999"),
        (["--", "no-such-program"], "'no-such-program' cannot be started"),
        (["--every", "1ms", "--", "true"], "--every must be 10ms or more"),
        (["--scan", "--pid", "1"], "--scan needs the tracker in the program"),
        (["--scan", "20ms", "--no-track", "--", "true"], "--scan needs the tracker in the program"),
        (["--json", "/nowhere/x.json", "--", "true"], "there is no folder"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(arguments: list[str], said: str):
    answer = soak_watch(*arguments)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
