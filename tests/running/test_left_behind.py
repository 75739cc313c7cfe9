"""What a program leaves behind outside its process in each cycle is a leak with its line; what it removes is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, context

from soak.grounds import GroundKind
from soak.native.layout import CREATED_MOVED, CREATED_PATH, CREATED_REPLACING
from soak.native.ledger import Creation, Creations
from soak.reporting.words import why_sentence
from soak.results import ComponentResult
from soak.running.clock import ScriptedClock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.component.reading.left_behind import LeftBehind
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.targets import find_targets
from soak.verdict import Verdict

HEAD = """import ctypes, itertools, os, shutil, tempfile
from multiprocessing import shared_memory
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
small = (ctypes.c_long * 8)(0, 1, 8)
numbers, undo = itertools.count(), []
def cycle(state):
"""
LINE = HEAD.count("\n") + 1
TEARDOWN = "\ndef teardown(state):\n    for one in undo:\n        one()\n"
NAMED = "it = b'/soak-test-%d-%d' % (os.getpid(), next(numbers))"
LEAKS = {
    "shared-memory segment": ("it = shared_memory.SharedMemory(create=True, size=64); it.close()", "it.unlink()"),
    "temporary file": ("handle, it = tempfile.mkstemp(); os.close(handle)", "os.unlink(it)"),
    "temporary folder": (
        "it = tempfile.mkdtemp(); open(it + '/a', 'w').close(); os.mkdir(it + '/b')",
        "shutil.rmtree(it)",
    ),
    "lock file": ("it = '%d.lock' % next(numbers); open(it, 'w').close()", "os.unlink(it)"),
    "System V shared-memory segment": ("it = libc.shmget(0, 64, 0o1600)", "libc.shmctl(it, 0, None)"),
    "System V semaphore set": ("it = libc.semget(0, 1, 0o1600)", "libc.semctl(it, 0, 0)"),
    "System V message queue": ("it = libc.msgget(0, 0o1600)", "libc.msgctl(it, 0, None)"),
    "POSIX semaphore": (
        f"{NAMED}; libc.sem_close(ctypes.c_void_p(libc.sem_open(it, os.O_CREAT, 0o600, 1)))",
        "libc.sem_unlink(it)",
    ),
    "message queue": (
        f"{NAMED}; libc.mq_close(libc.mq_open(it, os.O_CREAT | os.O_RDWR, 0o600, small))",
        "libc.mq_unlink(it)",
    ),
}
"""By what it is, how a cycle creates it and how it is removed."""
KEPT = {
    "an output file a cycle in the working folder": "open('out-%d.txt' % next(numbers), 'w').close()",
    "a file that is written anew": (
        "handle, path = tempfile.mkstemp(dir='.'); os.close(handle); os.replace(path, 'result.txt')"
    ),
    "a pool": "kept = globals().setdefault('pool', []); len(kept) < 12 and kept.append(tempfile.mkdtemp())",
    "removed cycles later": (
        "kept = globals().setdefault('queue', []); kept.append(tempfile.mkstemp()); os.close(kept[-1][0]); "
        "len(kept) > 3 and os.unlink(kept.pop(0)[1])"
    ),
    "removed by another program": "os.spawnlp(os.P_WAIT, 'rmdir', 'rmdir', tempfile.mkdtemp())",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the working folder of a soak, beside the folder for its temporary files."""
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    temporary.mkdir()
    working.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    return working


def soak_lines(folder: Path, *lines: str, cycles: int, n_min: int | None = None, every: int = 1) -> ComponentResult:
    """Soak a driver with these lines in its cycle, with a reading each ``every``; it undoes at its end what it left."""
    body = "".join(f"    {line}\n" for line in lines)
    (folder / "it.py").write_text(f"{HEAD}{body}{TEARDOWN}", encoding="utf-8")
    plan = a_plan(
        find_targets(["it.py"], folder)[0], iterations=cycles, n_min=n_min, checkpoint_every=every, early_stop=True
    )
    library, reason = find_library()
    bare = context(folder)
    tracked = RunContext(bare.interpreter, folder, bare.stopping, library, reason)
    return make_result(plan, soak_component(plan, tracked), None, bare.interpreter)


@pytest.mark.integration
def test_one_left_behind_in_each_of_30_cycles_is_a_leak_with_its_line(folder: Path) -> None:
    create, remove = LEAKS["shared-memory segment"]

    result = soak_lines(folder, create, f"undo.append(lambda it=it: {remove})", cycles=30)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:left_behind")
    assert result.grounds[0].kind is GroundKind.COUNT_EVERY_CYCLE
    (cause,) = result.causes[:1]
    assert (cause.kind, cause.confirmed, cause.count_per_iteration) == ("left-behind", True, 1.0)
    told = f"Left behind: 1 shared-memory segment in each of 30 calls, created at it.py:{LINE}; "
    assert why_sentence(result) == f"{told}the newest is {cause.newest}."
    assert (cause.newest or "").startswith("/dev/shm/psm_")


@pytest.mark.long
@pytest.mark.integration
def test_each_kind_is_a_cause_of_its_own_with_its_line(folder: Path) -> None:
    lines = [line for create, remove in LEAKS.values() for line in (create, f"undo.append(lambda it=it: {remove})")]

    result = soak_lines(folder, *lines, cycles=30)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:left_behind")
    causes = [cause for cause in result.causes if cause.kind == "left-behind"]
    found = {
        cause.type: (cause.python_where and cause.python_where.line, cause.count_per_iteration) for cause in causes
    }
    assert found == {kind: (LINE + 2 * at, 1.0) for at, kind in enumerate(LEAKS)}
    assert not list((folder.parent / "temporary").iterdir())


@pytest.mark.integration
def test_what_is_removed_in_its_cycle_is_not_left_behind(folder: Path) -> None:
    """All kinds in one process."""
    result = soak_lines(folder, *(line for pair in LEAKS.values() for line in pair), cycles=448, n_min=64, every=2)

    signal = result.signals["left_behind"]
    assert (signal.verdict, signal.first, signal.last) == (Verdict.CLEAN, 0.0, 0.0)
    assert result.verdict is Verdict.CLEAN


@pytest.mark.integration
@pytest.mark.parametrize("name", sorted(KEPT))
def test_what_is_meant_to_be_kept_or_has_a_bound_is_no_leak(folder: Path, name: str) -> None:
    result = soak_lines(folder, KEPT[name], cycles=60)

    assert result.verdict is not Verdict.LEAK
    assert not any(cause.confirmed for cause in result.causes)
    if name.startswith("an output file"):
        assert result.signals["kept_files"].last == 60.0
        assert result.messages[0].startswith("60 other files that it created are still there.")


# ---- what is counted, without a process ----


class ScriptedLedger(LedgerReader):
    """Hands out what a test has created."""

    def __init__(self) -> None:
        super().__init__(lambda: None, 1, 1.0)
        self.new: list[Creation] = []
        self.lost = 0

    def take_creations(self) -> Creations:
        """See LedgerReader."""
        new, self.new = tuple(self.new), []
        return Creations(new, self.lost)


class Scene:
    """Files that a test makes, and what is counted of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder, ScriptedLedger()
        self.left = LeftBehind(self.ledger, ScriptedClock(), "/elsewhere")
        self.cycle = 0

    def make(self, name: str, kind: int = CREATED_PATH, *, is_folder: bool = False, is_forked: bool = False) -> None:
        path = self.folder / name
        if is_folder:
            path.mkdir()
        elif kind == CREATED_PATH:
            path.touch()
        found = path.lstat()
        self.ledger.new.append(Creation(kind, str(path), found.st_ino, found.st_dev, 0, self.cycle, is_forked))

    def count(self) -> float:
        counts = self.left.read(self.cycle)
        self.cycle += 1
        return counts["left_behind"]

    def names(self) -> list[str]:
        return [Path(one.item.name).name for one in self.left.still_there()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_is_gone_does_not_count_any_more(scene: Scene) -> None:
    scene.make("a")
    scene.make("b")
    assert scene.count() == 2
    (scene.folder / "a").unlink()
    scene.make("c")
    assert (scene.count(), scene.names()) == (2, ["b", "c"])


def test_a_folder_with_what_its_cycle_put_into_it_is_one_thing(scene: Scene) -> None:
    scene.make("folder", is_folder=True)
    scene.make("folder/a")
    scene.make("folder/b", is_folder=True)
    assert scene.count() == 1
    scene.make("folder/later")
    assert (scene.count(), scene.names()) == (2, ["folder", "later"])


def test_what_is_moved_counts_only_where_the_program_made_it(scene: Scene) -> None:
    """A file of another program that is moved or replaced is still that program's."""
    for name in ("theirs", "state"):
        (scene.folder / name).touch()
    scene.make("mine")
    assert scene.count() == 1
    (scene.folder / "theirs").rename(scene.folder / "theirs too")
    scene.make("theirs too", CREATED_MOVED)
    (scene.folder / "mine").rename(scene.folder / "mine too")
    scene.make("mine too", CREATED_MOVED)
    assert (scene.count(), scene.names()) == (1, ["mine too"])
    scene.make("state", CREATED_REPLACING)
    scene.make("mine too", CREATED_REPLACING)
    assert (scene.count(), scene.names()) == (1, ["mine too"])


def test_what_forked_children_made_counts_from_the_first_checkpoint_on(scene: Scene) -> None:
    scene.make("setup", is_forked=True)
    assert scene.count() == 0
    scene.make("in a cycle", is_forked=True)
    assert (scene.count(), scene.names()) == (1, ["in a cycle"])


def test_what_was_not_recorded_is_told(scene: Scene) -> None:
    scene.ledger.lost = 3
    scene.count()
    assert scene.left.lost == 3
