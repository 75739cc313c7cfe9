"""Real processes that grow in one known way each: the audit gives their growth to that part, and to no other.

The explained part of RSS is exact to a few pages, so the bounds have a wide margin.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from audited import audit_of, soak_text

from soak.probes.memory import ProcessMemory
from soak.probes.resident import read_resident
from soak.reporting.words import why_words
from soak.request import Injection
from soak.results import RssAudit
from soak.store.runs import create_run
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

KIB = 1024
NOTHING = "def cycle(state):\n    pass\n"
LIBC = """\
import ctypes
C = ctypes.CDLL(None)
C.malloc.restype = C.calloc.restype = C.realloc.restype = ctypes.c_void_p
C.malloc.argtypes = (ctypes.c_size_t,)
C.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
C.realloc.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
C.free.argtypes = (ctypes.c_void_p,)
"""
FRAGMENTS = """
BALLAST = [C.malloc(88) for _ in range(4000)]
last = None
def cycle(state):
    global last
    block = C.malloc(4096)
    ctypes.memset(block, 1, 4096)
    if last:
        {release}
    last = block
    C.free(BALLAST.pop())
"""


def change(audit: RssAudit, *kinds: str) -> int:
    """Return the bytes by which parts of these kinds changed together."""
    return sum(part.bytes for part in audit.parts if part.kind in kinds)


def cycles(audit: RssAudit) -> int:
    return audit.last_cycle - audit.first_cycle


def assert_explained(audit: RssAudit) -> None:
    """Assert that the parts add up to within 5 % of the growth of RSS, or to some pages where it hardly grew."""
    assert audit.rss_bytes == sum(part.bytes for part in audit.parts) + audit.unexplained_bytes
    assert abs(audit.unexplained_bytes) <= max(0.05 * abs(audit.rss_bytes), 64 * KIB)


def test_a_native_leak_is_native_blocks(tmp_path: Path):
    """4 KiB per cycle are requested, 16 B per cycle are rounding."""
    audit = audit_of(tmp_path, NOTHING, injection=Injection("native", 4 * KIB, 1))

    assert_explained(audit)
    assert change(audit, "native-blocks") == pytest.approx(4 * KIB * cycles(audit), rel=0.01)
    assert change(audit, "rounding") == pytest.approx(16 * cycles(audit), rel=0.2)
    assert change(audit, "tracker") == pytest.approx(audit.rss_bytes / 5, rel=0.1)  # a quarter of the heap
    assert not audit.fragmentation


@pytest.mark.long
def test_a_leak_of_large_blocks_is_native_blocks_too(tmp_path: Path):
    """Each has a mapping of its own, which malloc makes past any hook."""
    driver = LIBC + "def cycle(state):\n    ctypes.memset(C.malloc(300_000), 1, 300_000)\n"

    audit = audit_of(tmp_path, driver, iterations=200)

    assert_explained(audit)
    assert change(audit, "native-blocks") == pytest.approx(300_000 * cycles(audit), rel=0.01)


@pytest.mark.long
def test_what_was_asked_for_and_never_touched_is_not_resident(tmp_path: Path):
    """One MiB per cycle from calloc, of which only the page with the chunk's header is touched."""
    audit = audit_of(tmp_path, LIBC + "def cycle(state):\n    C.calloc(1, 1 << 20)\n", iterations=200)

    assert_explained(audit)
    assert change(audit, "native-blocks", "rounding") == pytest.approx(4 * KIB * cycles(audit), rel=0.1)


def test_kept_objects_are_python_blocks(tmp_path: Path):
    """106 B each, rounded up to 112 by pymalloc."""
    audit = audit_of(tmp_path, NOTHING, injection=Injection("object", 106, 1), iterations=8000)

    assert_explained(audit)
    assert change(audit, "python-blocks") == pytest.approx(106 * cycles(audit), rel=0.02)
    assert change(audit, "rounding") == pytest.approx(6 * cycles(audit), rel=0.1)
    assert abs(change(audit, "native-blocks")) < 64 * KIB


def test_a_leak_of_mappings_is_named_by_the_call_that_makes_them(tmp_path: Path):
    audit = audit_of(tmp_path, NOTHING, injection=Injection("mmap", 8 * KIB, 1))

    worst = max(audit.parts, key=lambda part: part.bytes)
    assert_explained(audit)
    assert worst.kind == "mapping"
    assert "libffi" in worst.name  # ctypes calls mmap through it
    assert worst.bytes == 8 * KIB * cycles(audit)


def test_a_mapped_file_is_named_by_its_path(tmp_path: Path):
    """Each cycle reads another page of it."""
    (tmp_path / "data.bin").write_bytes(bytes(1200 * 4 * KIB))
    driver = f"""
        import mmap
        file = open({str(tmp_path / "data.bin")!r}, "rb")
        area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        area.madvise(mmap.MADV_RANDOM)
        at = 0
        def cycle(state):
            global at
            area[at]
            at += 4096
        """

    audit = audit_of(tmp_path, driver, iterations=1200)

    worst = max(audit.parts, key=lambda part: part.bytes)
    assert_explained(audit)
    assert (worst.kind, worst.name) == ("mapping", str(tmp_path / "data.bin"))
    assert worst.bytes > 512 * KIB  # the kernel maps some pages around each that is read


def test_threads_that_do_not_end_are_stacks(tmp_path: Path):
    """Two pages and more each; their arenas of malloc are told apart."""
    audit = audit_of(tmp_path, NOTHING, injection=Injection("thread", 1, 1), iterations=300)

    assert_explained(audit)
    assert change(audit, "stacks") >= 4 * KIB * cycles(audit)
    assert change(audit, "stacks") > 0.5 * (audit.rss_bytes - change(audit, "tracker"))


def test_a_leak_in_a_thread_leaves_its_free_memory_in_a_thread_arena(tmp_path: Path):
    """One thread for all cycles has an arena of its own; every second block in it is freed."""
    driver = LIBC + textwrap.dedent("""
        import queue, threading
        asked, done = queue.SimpleQueue(), queue.SimpleQueue()
        def work():
            while True:
                asked.get()
                blocks = [C.malloc(3000) for _ in range(2)]
                for block in blocks:
                    ctypes.memset(block, 1, 3000)
                C.realloc(blocks[0], 40)
                done.put(None)
        def setup():
            threading.Thread(target=work, daemon=True).start()
        def cycle(state):
            asked.put(None)
            done.get()
        """)

    audit = audit_of(tmp_path, driver, iterations=1500)

    assert_explained(audit)
    assert change(audit, "arena-free") > 0.3 * 3000 * cycles(audit)
    assert change(audit, "native-blocks") == pytest.approx(3040 * cycles(audit), rel=0.05)
    assert not audit.fragmentation  # memory in use grows as well


@pytest.mark.parametrize("track", [True, pytest.param(False, marks=pytest.mark.long)])
def test_fragmentation_is_called_so(tmp_path: Path, track: bool):
    """60 B of each block are kept, and the free part behind them is too small for the next block."""
    driver = LIBC + FRAGMENTS.format(release="C.realloc(last, 60)")

    result = soak_text(tmp_path, driver, track=track, n_min=512)

    assert result.audit is not None
    assert_explained(result.audit)
    assert result.audit.fragmentation
    assert change(result.audit, "malloc-free") > 2500 * cycles(result.audit)
    assert change(result.audit, "native-blocks", "python-blocks", "malloc") < 0
    # Mapped memory grows in steps of 132 KiB: whether it decides too depends on the spacing of checkpoints.
    assert result.verdict is Verdict.LEAK
    assert result.decided_by in ("counter:rss", "counter:mapped")
    assert [cause.kind for cause in result.causes if cause.confirmed] == ["fragmentation"]
    assert "fragmentation" in why_words(result)


@pytest.mark.parametrize("track", [True, pytest.param(False, marks=pytest.mark.long)])
def test_fragmentation_of_memory_that_was_reserved_before_is_called_so(tmp_path: Path, track: bool):
    """Nothing new is mapped, so only RSS grows; the audit explains it, which decides the verdict."""
    top_pad = -2
    driver = LIBC + f"C.mallopt({top_pad}, 64 << 20)\n" + FRAGMENTS.format(release="C.realloc(last, 60)")

    result = soak_text(tmp_path, driver, track=track, n_min=512)

    assert result.audit is not None
    assert_explained(result.audit)
    assert result.audit.fragmentation
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")
    assert [cause.kind for cause in result.causes if cause.confirmed] == ["fragmentation"]
    assert why_words(result).startswith("Resident memory (RSS) grows by")


def test_the_repaired_twin_does_not_grow(tmp_path: Path):
    """The same blocks, given back whole."""
    result = soak_text(tmp_path, LIBC + FRAGMENTS.format(release="C.free(last)"), n_min=512)

    assert result.audit is not None
    assert_explained(result.audit)
    assert not result.audit.fragmentation
    assert abs(result.audit.rss_bytes) < 256 * KIB
    assert result.causes == ()


@pytest.mark.parametrize("track", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_cycle_of_nothing_leaves_nothing_to_explain(tmp_path: Path, track: bool):
    audit = audit_of(tmp_path, NOTHING, track=track)

    assert_explained(audit)
    assert abs(audit.rss_bytes) < 128 * KIB
    assert (audit.fragmentation, abs(audit.unexplained_bytes) <= 4 * KIB) == (False, True)


def test_without_the_tracker_what_cannot_be_told_is_printed_as_unexplained(tmp_path: Path):
    """Objects are in arenas that only the tracker knows; malloc's heap is still explained."""
    driver = LIBC + "kept = []\ndef cycle(state):\n    kept.append(bytes(1500))\n    kept.append(bytes(300))\n"

    audit = audit_of(tmp_path, driver, track=False, iterations=4000)

    assert audit.rss_bytes == sum(part.bytes for part in audit.parts) + audit.unexplained_bytes
    assert change(audit, "malloc") == pytest.approx(1552 * cycles(audit), rel=0.05)
    assert audit.unexplained_bytes == pytest.approx(336 * cycles(audit), rel=0.1)


@pytest.mark.parametrize(
    ("injection", "verdict"), [(Injection("native", 1000, 1), Verdict.LEAK), (None, Verdict.CLEAN)]
)
def test_the_last_cycle_is_audited_where_the_verdict_ends_the_run(
    tmp_path: Path, injection: Injection | None, verdict: Verdict
):
    """So the growth is that of the whole run."""
    result = soak_text(tmp_path, NOTHING, injection=injection, early_stop=True, full_budget=False, iterations=100_000)

    assert (result.verdict, result.stopped_by) == (verdict, "verdict")
    assert result.audit is not None
    assert result.audit.last_cycle == result.iterations < 100_000


def test_a_process_that_has_ended_is_not_audited():
    """A zombie has no memory; that is no reading."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ending:
        memory = ProcessMemory(ending.pid)
        ending.kill()
        while Path(f"/proc/{ending.pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z":
            time.sleep(0.01)

        with pytest.raises(ProcessLookupError):
            read_resident(memory, ending.pid)
        memory.close()


def test_an_audit_can_be_made_again_from_the_database(tmp_path: Path):
    """With every figure in it, as the report has it."""
    result = soak_text(tmp_path, NOTHING, iterations=500)
    folder = tmp_path / "run"
    folder.mkdir()
    with create_run(folder, run="run", started="2026-01-01T00:00:00+00:00", soak="0") as store:
        store.write_result(store.begin_component("it", "2026-01-01T00:00:00+00:00"), result)

        kept = store.read_run().components[0].audit

    assert kept is not None
    assert kept == result.audit
