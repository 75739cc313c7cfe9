"""soak watch -- COMMAND: leaks in programs that do not use soak are named, and their repaired twins pass."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.usefixtures("library")]

NATIVE_LEAK = """
import ctypes, sys, time
library = ctypes.CDLL(sys.argv[1])
def decode(repaired):
    library.make_frame(repaired)
repaired = len(sys.argv) > 2
for _ in range(800 if repaired else 10**6):
    decode(repaired)
    time.sleep(0.002)
"""
EXTENSION = """
#include <stdlib.h>
__attribute__((noinline)) void make_frame(int release)
{
    char *volatile frame = malloc(300);
    frame[0] = 1;
    if (release)
        free(frame);
}
"""
MARKING = """
import sys, time
import soak

kept = []

def remember(repaired):
    kept.append(bytes(200))
    if repaired and len(kept) > 16:
        kept.pop(0)

for _ in range(1500 if len(sys.argv) > 1 else 10**6):
    soak.mark()
    remember(len(sys.argv) > 1)
    time.sleep(0.002)
"""

STARTING = """
import os, subprocess, sys, time
child = "import os; print([name for name in os.environ if name in ('LD_PRELOAD', 'SOAK_WATCH')])"
found = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip()
print(found, sys.path, len(sys.modules))
time.sleep(0.2)
"""

OWN_ALLOCATOR = """
import mmap, sys, time
import soak
room = mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for cycle in range(2500):
    soak.mark()
    room[4096 * (cycle % 64 if len(sys.argv) > 1 else cycle)] = 1
    time.sleep(0.002)
"""


@dataclass(frozen=True)
class Answer:
    """What a watch said."""

    code: int
    component: dict[str, Any]
    text: str


def watch(*command: str, options: tuple[str, ...] = (), n_min: int | None = 64) -> Answer:
    with tempfile.TemporaryDirectory() as runs:
        asked = [] if n_min is None else ["--n-min", str(n_min)]
        own = ["--out", runs, "--every", "10ms", *asked, "--json", "-", *options]
        start = [sys.executable, "-m", "soak", "watch", *own, "--", *command]
        done = subprocess.run(start, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return Answer(done.returncode, json.loads(done.stdout)["components"][0], done.stderr)


def watch_until_it_leaks(*command: str, options: tuple[str, ...] = (), n_min: int = 64) -> Answer:
    """Watch a program that runs for ever until a LEAK is told, as a user who then presses Ctrl-C.

    How many samples that takes depends on the load of the machine.
    """
    with tempfile.TemporaryDirectory() as runs:
        own = ["--out", runs, "--every", "10ms", "--duration", "100s", "--n-min", str(n_min), "--json", "-", *options]
        start = [sys.executable, "-m", "soak", "watch", *own, "--", *command]
        with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stderr is not None
            told = next((line for line in watching.stderr if ": LEAK of " in line), "")
            if told:
                watching.send_signal(signal.SIGINT)
            out, text = watching.communicate(timeout=120)
    assert out, text
    return Answer(watching.returncode, json.loads(out)["components"][0], told + text)


def at_once(*arguments: tuple[str, ...], program: str, n_min: int) -> list[Answer]:
    """Watch a program of Python with each of these arguments, all at the same time."""
    with ThreadPoolExecutor() as pool:
        watching = [pool.submit(watch, sys.executable, "-c", program, *given, n_min=n_min) for given in arguments]
    return [each.result() for each in watching]


@pytest.fixture(scope="module")
def extension(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extension")
    (folder / "frames.c").write_text(EXTENSION)
    command = [compiler, "-g", "-O1", "-shared", "-fPIC", "-o", folder / "frames.so", folder / "frames.c"]
    subprocess.run(command, check=True)
    return folder / "frames.so"


def test_a_leak_in_c_is_named_with_function_and_line(watched: Path):
    answer = watch_until_it_leaks(str(watched), "1000000", "leaking")

    assert (answer.code, answer.component["verdict"]) == (1, "LEAK"), answer.text
    cause = answer.component["causes"][0]
    assert (cause["kind"], cause["confirmed"], cause["where"]["function"]) == ("native", True, "take_header")
    assert (Path(cause["where"]["file"]).name, cause["where"]["line"]) == ("watched.c", 12)
    assert answer.component["decided_by"] == "ledger"
    assert "per sample" in answer.text
    assert "cycle" not in answer.text


def test_a_leak_in_c_is_counted_by_the_programs_own_marks(watched: Path):
    answer = watch_until_it_leaks(str(watched), "1000000", "leaking", "marking", n_min=256)

    assert answer.code == 1, answer.text
    growth = answer.component["growth"]
    assert growth["measures"] == "requested"
    assert growth["low"] <= 100 <= growth["high"]
    assert answer.component["causes"][0]["requested_size"] == 100, (answer.component["causes"], answer.text)
    assert answer.component["pacing"]["interval_s"] is None
    assert answer.component["iterations"] >= 256
    assert "per mark" in answer.text


def test_the_repaired_program_in_c_is_clean(watched: Path):
    answer = watch(str(watched), "1500", "repaired", "marking", n_min=256)

    assert (answer.code, answer.component["verdict"]) == (0, "CLEAN"), answer.text
    assert answer.component["tracker"]["covers"] == ["native"]
    assert answer.component["causes"] == []


def test_a_leak_in_an_extension_of_python_is_named(extension: Path):
    answer = watch_until_it_leaks(sys.executable, "-c", NATIVE_LEAK, str(extension))

    assert answer.code == 1, answer.text
    where = {cause["where"]["function"] for cause in answer.component["causes"] if cause["where"]}
    assert "make_frame" in where
    tracker = answer.component["tracker"]
    assert (tracker["covers"], tracker["follows_objects"]) == (["native", "python"], True)


def test_the_repaired_extension_is_no_leak(extension: Path):
    answer = watch(sys.executable, "-c", NATIVE_LEAK, str(extension), "repaired")

    assert answer.code in (0, 3), answer.text
    assert not [cause for cause in answer.component["causes"] if cause["confirmed"]]


def test_a_list_that_grows_at_each_mark_is_named(tmp_path: Path):
    program = tmp_path / "service.py"
    program.write_text(MARKING)

    answer = watch_until_it_leaks(sys.executable, str(program), n_min=256)

    assert (answer.code, answer.component["decided_by"]) == (1, "ledger"), answer.text
    cause = answer.component["causes"][0]
    assert cause["kind"] == "python-object"
    assert (cause["python_where"]["function"], cause["python_where"]["line"]) == ("remember", 8)
    growth = answer.component["growth"]
    assert (growth["low"] < 260, growth["high"] > 230) == (True, True)  # 233 for an object, and its place in the list
    assert answer.component["pacing"]["interval_s"] is None


@pytest.mark.long
def test_the_list_that_is_kept_short_is_clean(tmp_path: Path):
    program = tmp_path / "service.py"
    program.write_text(MARKING)

    answer = watch(sys.executable, str(program), "repaired", n_min=256)

    assert (answer.code, answer.component["verdict"]) == (0, "CLEAN"), answer.text


def test_a_program_that_begins_anew_is_judged_from_then_on_with_the_tracker(tmp_path: Path):
    program = tmp_path / "twice.py"
    program.write_text(
        "import os, sys, time\n"
        "time.sleep(0.5)\n"
        "if len(sys.argv) < 2: os.execv(sys.executable, [sys.executable, __file__, 'again'])\n"
        "time.sleep(0.5)\n"
    )

    answer = watch(sys.executable, str(program))

    assert answer.component["tracker"]["active"] is True
    assert any(
        "the program restarted; the verdict is for the samples after that" in said
        for said in answer.component["messages"]
    )


def test_the_program_runs_unchanged_and_what_it_starts_is_left_alone(tmp_path: Path):
    """Its children have neither variable, and it has the same path and the same modules as without soak."""
    program = tmp_path / "starts.py"
    program.write_text(STARTING)
    alone = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)

    answer = watch(sys.executable, str(program), options=("--no-follow",))

    assert alone.stdout.startswith("[] ")
    assert answer.text.startswith(alone.stdout), answer.text


def test_a_static_program_is_watched_from_outside_and_the_reason_is_given(compiler: str, tmp_path: Path):
    (tmp_path / "static.c").write_text("#include <unistd.h>\nint main(void) { sleep(2); return 0; }\n")
    built = subprocess.run([compiler, "-static", "-o", tmp_path / "static", tmp_path / "static.c"], check=False)
    if built.returncode:
        pytest.skip("no static libc")

    answer = watch(str(tmp_path / "static"))

    assert (answer.code, answer.component["tracker"]["active"]) == (3, False)
    assert answer.component["tracker"]["reason"] == "it is a static program"
    assert answer.component["signals"]["rss"]["readings"] > 0


def test_without_tracking_all_is_seen_from_outside():
    answer = watch("sleep", "0.3", options=("--no-track",))

    assert answer.component["tracker"] == {
        "active": False,
        "reason": "--no-track",
        "covers": [],
        "follows_objects": True,
        "is_filtered": False,
    }
    assert "tracked" not in answer.component["signals"]


def test_a_mark_without_a_tracker_imports_nothing_and_does_nothing():
    program = (
        "import sys, soak; soak.mark(); print(sorted({'ctypes', 'numpy', 'soak.inside.tracker'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


RINGS = """
import sys, time

class Node:
    pass

def handle(repaired):
    one, other = Node(), Node()
    one.data, one.other = bytes(4000), other
    if not repaired:
        other.other = one

repaired = len(sys.argv) > 1
for _ in range(1500 if repaired else 4000):
    handle(repaired)
    time.sleep(0.001)
"""


@pytest.mark.long
def test_reference_cycles_that_wait_for_a_collection_are_suggested() -> None:
    """Their memory climbs until gc runs by itself, every 350 calls, and then falls at once.

    It falls eleven times: a busy machine may read too few samples of a climb, and the watch begins after some calls.
    """
    waiting, repaired = at_once((), ("repaired",), program=RINGS, n_min=512)

    assert waiting.component["verdict"] != "LEAK"
    suggestions = [text for text in waiting.component["messages"] if "Reference cycles that wait" in text]
    assert len(suggestions) == 1
    assert suggestions[0].startswith("The memory of Python objects dropped suddenly ")
    assert not any("Reference cycles" in text for text in repaired.component["messages"])


GATHERING = """
import sys, time
import soak

kept = []

def handle(leaks):
    ring = [bytes(60)]
    ring.append(ring)
    if leaks:
        kept.append(bytes(200))

for _ in range(int(sys.argv[1])):
    soak.mark()
    handle(len(sys.argv) > 2)
    time.sleep(0.0005)
"""


@pytest.mark.long
def test_what_a_collection_takes_in_the_end_is_clean_and_what_it_leaves_is_not() -> None:
    """The memory of the marks climbs for 700 of them and falls, so its size proves nothing; the births do.

    On a busy machine there are few counts, and more marks are needed.
    """
    for marks in (9000, 36_000):
        repaired = watch(sys.executable, "-c", GATHERING, str(marks), n_min=512)
        assert repaired.component["verdict"] in ("CLEAN", "INCONCLUSIVE"), repaired.text
        if repaired.component["verdict"] == "CLEAN":
            break
    leaking = watch_until_it_leaks(sys.executable, "-c", GATHERING, str(10**6), "leaks", n_min=512)

    assert repaired.component["verdict"] == "CLEAN", repaired.text
    assert repaired.component["grounds"][0]["kind"] == "nothing-stays"
    assert leaking.component["verdict"] == "LEAK", leaking.text


LOOKING_UP = """
import ctypes, time
import soak

look_up = ctypes.pythonapi.PyObject_HasAttrString
look_up.argtypes = (ctypes.py_object, ctypes.c_char_p)

class Request:
    method = "GET"

request = Request()
for _ in range(1400):
    soak.mark()
    look_up(request, b"method")
    time.sleep(0.001)
"""


@pytest.mark.long
def test_names_that_the_interpreter_keeps_of_attribute_look_ups_are_no_growth() -> None:
    """Its cache keeps one for each of 4,096 entries: 57 B at each of the first thousands of calls."""
    answer = watch(sys.executable, "-c", LOOKING_UP, n_min=256)

    assert answer.component["verdict"] in ("CLEAN", "SETTLING", "INCONCLUSIVE"), answer.text


SERVING = """
import time
import soak

kept = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/keep/7":
        kept.append(bytes(1000))
    return [b"done"]

application = soak.wsgi(application)
for number in range(1_000_000):
    application({"REQUEST_METHOD": "GET", "PATH_INFO": ("/keep/7", "/ok", "/fine")[number * 7 % 3]}, None)
    time.sleep(0.001)
"""


def test_each_route_of_a_web_application_is_told_by_itself() -> None:
    answer = watch_until_it_leaks(sys.executable, "-c", SERVING, n_min=512)

    assert answer.code == 1, answer.text
    first, *others = answer.component["labels"]
    assert (first["label"], first["bytes_per_iteration"] > 50) == ("GET /keep/*", True)
    assert {(label["label"], label["bytes_per_iteration"]) for label in others} == {("GET /ok", 0), ("GET /fine", 0)}
    assert "the other 2 labels keep nothing" in answer.text


WORKING = """
import time

kept = []

class Jobs:
    def handle(self, number):
        kept.append(bytes(300))

handle = Jobs().handle
for number in range(10**6):
    handle(number)
    time.sleep(0.002)
"""


def test_calls_of_a_method_are_the_cycles_of_a_script_that_does_not_know_soak(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(WORKING)

    options = ("--mark", "jobs.Jobs.handle")
    answer = watch_until_it_leaks(sys.executable, str(tmp_path / "jobs.py"), options=options, n_min=256)

    assert answer.code == 1, answer.text
    # 333 B for each entry, and 8 to 9 for its place in the list, which grows in steps.
    assert answer.component["growth"]["low"] <= 346
    assert answer.component["growth"]["high"] >= 333
    assert answer.component["causes"][0]["python_where"]["line"] == 8


def test_a_mark_that_never_comes_is_told() -> None:
    answer = watch(sys.executable, "-c", "import time; time.sleep(0.5)", options=("--mark", "jobs.handle"))

    assert any("soak received no mark: jobs.handle was not called" in said for said in answer.component["messages"])


FORKING = """
import os, sys, time
kept = []
parent = os.getpid()
def work(keeps):
    while os.getppid() == parent:
        for _ in range(20):
            block = bytes(500)
            if keeps:
                kept.append(block)
        time.sleep(0.01)
    os._exit(0)
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        work(sys.argv[1] == "keeps")
    children.append(child)
time.sleep(float(sys.argv[2]))
for child in children:
    os.kill(child, 9)
    os.wait()
"""


FAILING = """
import time
kept = []
for _ in range(40):
    kept.append(bytes(1000))
    time.sleep(0.01)
raise SystemExit(3)
"""


def test_of_a_program_that_fails_as_it_starts_nothing_is_suspected():
    """A port that is in use, a module that is missing: until then it has imported what it needs."""
    answer = watch(sys.executable, "-c", FAILING, n_min=8192)

    assert answer.component["verdict"] == "FAILED", answer.text
    assert "ended with status 3" in answer.component["why"]
    assert answer.component["signals"]["tracked"]["last"] > answer.component["signals"]["tracked"]["first"]
    assert answer.component["causes"] == []


def test_a_leak_in_forked_workers_is_told_with_its_line_and_the_role(tmp_path: Path):
    script = tmp_path / "forking.py"
    script.write_text(FORKING, encoding="utf-8")

    leaking = watch_until_it_leaks(sys.executable, str(script), "keeps", "1000", options=("--mark", "jobs.handle"))

    assert (leaking.code, leaking.component["verdict"]) == (1, "LEAK"), leaking.text
    assert leaking.component["grounds"][0]["kind"] == "growing-processes"
    assert any("soak received no mark: jobs.handle was not called" in said for said in leaking.component["messages"])
    confirmed = [cause for cause in leaking.component["causes"] if cause["confirmed"]]
    assert confirmed, (leaking.component["grounds"], leaking.component["causes"], leaking.component["roles"])
    # The bytes, or the table of the list: it may be known first.
    assert Path(confirmed[0]["python_where"]["file"]).name == "forking.py"
    assert confirmed[0]["python_where"]["line"] in (8, 10)
    assert confirmed[0]["processes"].startswith("2 × ")
    (role,) = leaking.component["roles"]
    assert (role["verdict"], len(role["processes"])) == ("LEAK", 2)


@pytest.mark.long
def test_workers_that_keep_nothing_are_no_leak_and_are_not_counted_where_that_is_not_wanted(tmp_path: Path):
    script = tmp_path / "forking.py"
    script.write_text(FORKING, encoding="utf-8")

    counted = watch(sys.executable, str(script), "drops", "6")
    alone = watch(sys.executable, str(script), "keeps", "4", options=("--no-follow",))

    assert counted.component["verdict"] != "LEAK", counted.text
    assert [role["living"] + role["ended"] for role in counted.component["roles"]] == [2]
    assert alone.component["roles"] == []
    assert alone.component["verdict"] != "LEAK"


DISPATCHING = """
import os, sys, time
seen, kept = {}, []
def work(number):
    if sys.argv[1] == "keeps":
        kept.append(bytes(2000))
parent = os.getpid()
for _ in range(2):
    if not os.fork():
        while os.getppid() == parent:
            work(0)
            time.sleep(0.005)
        os._exit(0)
for number in range(10**6):
    seen[number] = bytes(3000)
    seen.pop(number - 350, None)
    time.sleep(0.08)
"""


@pytest.mark.long
@pytest.mark.parametrize("does", ["keeps", "drops"])
def test_a_bounded_table_of_the_process_that_hands_out_the_work_is_no_leak(tmp_path: Path, does: str):
    """It fills for 28 s, more than n_min of 128 samples; only the workers make marks."""
    script = tmp_path / "dispatching.py"
    script.write_text(DISPATCHING, encoding="utf-8")
    options = ("--mark", "dispatching.work", "--every", "100ms", "--duration", "26s")

    answer = watch(sys.executable, str(script), does, options=options, n_min=None)

    assert answer.component["verdict"] == ("LEAK" if does == "keeps" else "INCONCLUSIVE"), answer.text
    assert "LEAK of" not in answer.text or does == "keeps"
    confirmed = {cause["python_where"]["line"] for cause in answer.component["causes"] if cause["confirmed"]}
    assert confirmed <= {6}


REPLACED = """
import os, sys, time
import soak
kept = []
def work(keeps):
    for _ in range(60):
        soak.mark()
        for _ in range(40):
            block = bytes(500)
            if keeps:
                kept.append(block)
        time.sleep(0.05)
    os._exit(0)
def start():
    child = os.fork()
    if not child:
        work(sys.argv[1] == "keeps")
    return child
start()
time.sleep(1.5)
start()
for _ in range(8):
    os.wait()
    start()
for _ in range(2):
    os.wait()
"""


@pytest.mark.long
def test_workers_that_grow_and_are_replaced_are_never_clean(tmp_path: Path):
    """Together they do not grow, for each takes along what it holds: that is told, and nothing of cycles of garbage."""
    script = tmp_path / "replaced.py"
    script.write_text(REPLACED, encoding="utf-8")

    keeps = watch(sys.executable, str(script), "keeps", n_min=64)
    drops = watch(sys.executable, str(script), "drops", n_min=64)

    assert keeps.component["verdict"] != "CLEAN", keeps.text
    (role,) = keeps.component["roles"]
    assert role["verdict"] != "CLEAN"
    assert role["living"] + role["ended"] == 10
    assert role["ended_bytes_per_iteration"] > 500
    assert "until then. To decide this, turn replacement off" in keeps.text
    assert not any("dropped suddenly" in said for said in keeps.component["messages"])
    (role,) = drops.component["roles"]
    assert role["ended_bytes_per_iteration"] < 1
    assert "that has ended grew by" not in drops.text
    assert drops.component["verdict"] != "LEAK"


CUTTING = """
import sys, time
import soak
kept = []
def cut(keeps):
    one = tuple(each for each in [object()])
    if keeps:
        kept.append(one)
for _ in range(1_000_000 if len(sys.argv) > 1 else 1800):
    soak.mark()
    cut(len(sys.argv) > 1)
    time.sleep(0.001)
"""


@pytest.mark.long
def test_tuples_that_cpython_keeps_free_are_no_growth_and_those_that_a_list_keeps_are():
    """Up to 2,000 of a size: one more at each call, for a longer one is made and cut."""
    free = watch(sys.executable, "-c", CUTTING, n_min=1024)
    kept = watch_until_it_leaks(sys.executable, "-c", CUTTING, "keeps", n_min=1024)

    assert free.component["verdict"] != "LEAK", free.text
    assert not [cause for cause in free.component["causes"] if cause["confirmed"]]
    assert any("free tuples that CPython keeps" in said for said in free.component["messages"])
    assert not any("tuples that CPython" in said for said in kept.component["messages"])
    assert free.component["signals"]["tracked_blocks"]["last"] > free.component["signals"]["tracked_blocks"]["first"]
    assert kept.component["verdict"] == "LEAK", kept.text
    lines = {cause["python_where"]["line"] for cause in kept.component["causes"] if cause["confirmed"]}
    assert lines & {6, 8}  # the tuples, or the table of the list: it may be known first


HURRYING = """
import sys, time
import soak
kept = []
def handle(number):
    soak.mark(f"user {number}")
    block = bytes(200)
    if len(sys.argv) > 1:
        kept.append(block)
for call in range(100_000):
    handle(call)
    if call % 100 == 0:
        time.sleep(0.009)
"""


@pytest.mark.long
def test_ten_thousand_marks_a_second_with_a_label_each_are_told_together():
    """At most 1,000 labels are told apart, and the latest 65,536 marks."""
    keeps = watch(sys.executable, "-c", HURRYING, "keeps", n_min=1024)
    drops = watch(sys.executable, "-c", HURRYING, n_min=1024)

    assert keeps.component["verdict"] == "LEAK", keeps.text
    assert 90_000 < keeps.component["iterations"] <= 100_000
    (label,) = keeps.component["labels"]
    assert (label["label"], label["cycles"] <= 65_536) == ("other labels", True)
    assert label["bytes_per_iteration"] == pytest.approx(233, abs=1)
    assert drops.component["verdict"] != "LEAK", drops.text
    assert drops.component["labels"] == []


@pytest.mark.long
@pytest.mark.parametrize("repaired", [False, True])
def test_what_a_library_maps_and_hands_out_itself_is_seen_in_resident_memory(*, repaired: bool):
    found = watch(sys.executable, "-c", OWN_ALLOCATOR, *(["repaired"] if repaired else []), n_min=None)

    verdict, (ground, *_) = found.component["verdict"], found.component["grounds"]
    assert verdict in (["CLEAN"] if repaired else ["LEAK", "INCONCLUSIVE"]), found.component["why"]
    assert repaired or ground["kind"] in ("steady-mapped", "hidden-memory"), found.component["why"]
