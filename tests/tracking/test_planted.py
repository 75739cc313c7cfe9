"""Planted programs through the real supervisor: what leaks is placed with exact counts, its repaired twin is CLEAN.

``make accept`` runs all of them on every interpreter; here are those that each stand for a way in which it could fail.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
from tracking_builder import (
    OWN,
    PLANTED,
    by_version,
    can_build,
    cause_at,
    interpreters,
    line_of,
    soak_file,
    soak_planted,
    soak_text,
)

from soak.native.layout import MAPPING
from soak.native.ledger import Checkpoint, LedgerFile
from soak.results import Cause, Place
from soak.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.usefixtures("library")]

LEAKS_C = PLANTED / "leaks.c"
BY_PYTHON = [*by_version("extension"), (OWN, "ctypes")]


def at_mark(result: object, function: str) -> Cause:
    return cause_at(result, LEAKS_C, line_of(LEAKS_C, f"/* planted: {function} */"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "binding"), BY_PYTHON)
def test_106_bytes_by_malloc_are_named_exactly(native_folder: Path, version: str, binding: str) -> None:
    """Function, file and line in C, the line of Python that called it, 106 B, 1.00 blocks; before 500 cycles."""
    python, folder = interpreters()[version], native_folder / version
    if not can_build(binding, python, folder):
        pytest.skip(f"no headers of Python {version}")
    file = PLANTED / "malloc_leak.py"

    result = soak_planted("malloc_leak", folder, binding, python)

    cause = at_mark(result, "leak_malloc")
    assert (result.verdict, result.tracker.covers) == (Verdict.LEAK, ("native", "python"))
    assert (result.iterations_to_verdict or 501) <= 500
    assert (cause.kind, cause.confirmed, cause.requested_size) == ("native", True, 106)
    assert (cause.blocks_per_iteration, cause.bytes_per_iteration, cause.every) == (1.0, 106.0, 1.0)
    assert (cause.where and cause.where.function, cause.python_where and cause.python_where.line) == (
        "leak_malloc",
        line_of(file, "# planted"),
    )
    assert cause.frames[0] == cause.where
    assert (cause.frames[0].function, cause.frames[0].file) == ("leak_malloc", str(LEAKS_C))
    assert cause.frames[-1] == Place("cycle", str(file), line_of(file, "# planted"))
    assert len(result.causes) == 1


@pytest.mark.parametrize("version", by_version())
def test_the_repaired_twin_of_malloc_is_clean(native_folder: Path, version: str) -> None:
    """No cause is named."""
    python, folder = interpreters()[version], native_folder / version
    if not can_build("ctypes", python, folder):
        pytest.skip("no compiler")

    result = soak_planted("malloc_repaired", folder, "ctypes", python, iterations=1024)

    assert (result.verdict, result.causes) == (Verdict.CLEAN, ())


@pytest.mark.parametrize("name", ["cpp_new", "realloc", "strdup", "in_thread", "error_path"])
def test_every_way_to_forget_a_block_of_c_is_placed(native_folder: Path, name: str) -> None:
    """Through operator new, by growing, through libc, in a worker thread, on one path in four."""
    functions = {
        "cpp_new": (PLANTED / "leaks.cpp", "leak_new"),
        "realloc": (LEAKS_C, "leak_realloc"),
        "strdup": (LEAKS_C, "leak_strdup"),
        "in_thread": (LEAKS_C, "leak_malloc"),
        "error_path": (LEAKS_C, "leak_on_error"),
    }
    source, function = functions[name]

    result = soak_planted(f"{name}_leak", native_folder / "own", iterations=1024)

    cause = cause_at(result, source, line_of(source, f"/* planted: {function} */"))
    assert (result.verdict, cause.confirmed, cause.requested_size) == (Verdict.LEAK, True, 106), result.failure
    assert cause.blocks_per_iteration == pytest.approx(0.25 if name == "error_path" else 1.0, rel=0.02)
    assert cause.python_where is not None
    assert cause.python_where.file == str(PLANTED / f"{name}_leak.py")


def test_sixteen_bytes_a_cycle_are_found(native_folder: Path) -> None:
    """The smallest block that malloc gives."""
    result = soak_planted("small_leak", native_folder / "own")

    cause = at_mark(result, "leak_small")
    assert (result.verdict, cause.requested_size, cause.blocks_per_iteration) == (Verdict.LEAK, 16, 1.0)


def test_one_block_in_a_thousand_cycles_is_found_within_ten_thousand(native_folder: Path) -> None:
    """106,000 B every 1,000 cycles, at its line; ten of them are not yet proof of a steady rate."""
    result = soak_planted("every_1000_leak", native_folder / "own", iterations=10_000)

    cause = at_mark(result, "leak_large")
    assert result.verdict is not Verdict.CLEAN
    assert cause.requested_size == 106_000
    assert cause.every == pytest.approx(1000, rel=0.01)


LOST_BESIDE_KEPT = """
    import ctypes
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    kept = []
    def cycle(state):
        block = libc.malloc(100)  # planted
        {freed}
        kept.append(bytes(20_000))
"""


@pytest.mark.parametrize(("freed", "is_lost"), [("pass", True), ("libc.free(block)", False)])
def test_a_run_waits_for_the_scans_that_tell_what_is_lost_beside_a_list_that_only_grows(
    tmp_path: Path, freed: str, *, is_lost: bool
) -> None:
    """The list is a leak after some dozen cycles. Of what is lost, words from before seem to hold a part at first."""
    result = soak_text(tmp_path, LOST_BESIDE_KEPT.format(freed=freed), iterations=20_000)

    lost = [cause for cause in result.causes if cause.state == "lost"]
    assert result.verdict is Verdict.LEAK
    assert [(cause.confirmed, cause.requested_size) for cause in lost] == ([(True, 100)] if is_lost else [])


def test_a_mapping_is_placed_where_it_was_made(native_folder: Path) -> None:
    """A page from mmap is no block: a kind of its own, decided by mapped memory."""
    result = soak_planted("mmap_leak", native_folder / "own")

    cause = at_mark(result, "leak_mmap")
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:mapped")
    assert [cause.kind for cause in result.causes] == ["mapping"]
    assert (cause.blocks_per_iteration, cause.requested_size) == (1.0, 4096)


MAPPINGS = """
    import mmap
    kept = []
    def take():
        return mmap.mmap(-1, 8192)
    def cycle(state):
        kept.append(take())
        del kept[:-{kept}]
"""


def test_a_mapping_is_placed_at_the_line_of_python_that_asked_for_it(tmp_path: Path) -> None:
    """Through the interpreter every file is mapped: the stack of the call tells who wanted it."""
    result = soak_text(tmp_path, MAPPINGS.format(kept=9999), iterations=1200, n_min=256)

    (cause,) = [cause for cause in result.causes if cause.kind == "mapping"]
    assert (result.verdict, cause.confirmed, cause.bytes_per_iteration) == (Verdict.LEAK, True, 8192.0)
    assert cause.python_where is not None
    assert (cause.python_where.function, cause.python_where.line) == ("take", 5)


def test_a_table_of_mappings_that_is_full_still_tells_who_filled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has room for 65,536, which may be fewer than it takes to call mapped memory a leak; here for 300."""
    read = LedgerFile.read

    def full(self: LedgerFile) -> Checkpoint | None:
        checkpoint = read(self)
        if checkpoint is None or checkpoint.cycle <= 300:
            return checkpoint
        rows = checkpoint.rows
        noted = (rows["domain"] != MAPPING) | (checkpoint.births_end[rows["bucket"]] <= 300)
        return dataclasses.replace(checkpoint, rows=rows[noted], lost_mappings=checkpoint.cycle - 300)

    monkeypatch.setattr(LedgerFile, "read", full)

    result = soak_text(tmp_path, MAPPINGS.format(kept=9999), iterations=1600, n_min=512)

    (cause,) = [cause for cause in result.causes if cause.kind == "mapping"]
    assert (result.verdict, cause.confirmed, cause.bytes_per_iteration) == (Verdict.LEAK, False, 8192.0)
    assert cause.python_where is not None
    assert cause.python_where.function == "take"


def test_mappings_that_are_unmapped_again_are_no_cause(tmp_path: Path) -> None:
    result = soak_text(tmp_path, MAPPINGS.format(kept=8), iterations=2400, n_min=256)

    assert (result.verdict, result.causes) == (Verdict.CLEAN, ())


@pytest.mark.parametrize("version", by_version())
def test_a_list_that_grows_is_placed_at_the_line_that_appends(version: str) -> None:
    """Each entry is 106 B; the list's own buffer adds its eight, and no block."""
    file = PLANTED / "list_append_leak.py"

    result = soak_file(file, interpreters()[version])

    cause = cause_at(result, file, line_of(file, "# planted"))
    assert (result.verdict, cause.kind) == (Verdict.LEAK, "python-object")
    assert (cause.blocks_per_iteration, cause.requested_size) == (1.0, 106)
    assert cause.python_where is not None
    assert cause.python_where.function == "cycle"


def test_a_list_that_keeps_its_last_entries_is_clean() -> None:
    """It turns over: every cycle has survivors, and none of them stays."""
    result = soak_file(PLANTED / "list_append_repaired.py", iterations=1024)

    assert (result.verdict, result.causes) == (Verdict.CLEAN, ())
    assert not any("ran out of room" in message for message in result.messages)


def test_a_numpy_array_that_is_kept_is_placed_at_its_line() -> None:
    """Its data come from numpy's allocator, which passes malloc on: 1,000 B each."""
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("no numpy")
    file = PLANTED / "array_kept_leak.py"

    leak = soak_file(file)
    repaired = soak_file(PLANTED / "array_kept_repaired.py", iterations=1024)

    (data,) = [cause for cause in leak.causes if cause.requested_size == 1000]
    assert (leak.verdict, repaired.verdict) == (Verdict.LEAK, Verdict.CLEAN)
    assert (data.python_where and data.python_where.line) == line_of(file, "# planted")
    assert ((data.where and data.where.package) or "").startswith("numpy ")
    assert data.blocks_per_iteration == 1.0


def test_garbage_that_is_not_collected_is_a_reference_cycle_at_its_line() -> None:
    """Collection is off in the component, so soak leaves it off."""
    file = PLANTED / "cycle_gc_off_leak.py"

    result = soak_file(file)

    assert cause_at(result, file, line_of(file, "# planted")).kind == "reference-cycle"


def test_a_small_leak_under_a_sawtooth_of_megabytes_is_found_at_its_site(native_folder: Path) -> None:
    """The sums go up and down by 14 MB; the site goes up by 106 B a cycle."""
    text = f"""
        import sys
        sys.path.insert(0, {str(PLANTED)!r})
        import native_code

        def setup(binding, folder):
            return {{"native": native_code.load(binding, folder), "kept": [], "cycle": 0}}

        def cycle(state):
            state["cycle"] += 1
            state["kept"].append(bytes(140_000))
            if state["cycle"] % 97 == 0:
                state["kept"].clear()
            state["native"].leak_malloc()
    """
    folder = native_folder / "own"

    result = soak_text(folder, text, settings={"binding": "extension", "folder": str(folder)}, iterations=1024)

    cause = at_mark(result, "leak_malloc")
    assert (result.verdict, cause.confirmed, cause.requested_size) == (Verdict.LEAK, True, 106)
    assert cause.blocks_per_iteration == 1.0
    assert not [other for other in result.causes if other.confirmed and other is not cause]


@pytest.mark.parametrize("variable", ["PYTHONMALLOC=debug", pytest.param("PYTHONDEVMODE=1", marks=pytest.mark.long)])
def test_another_allocator_of_python_changes_no_count(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """-X dev and the debug allocator put themselves between, and move addresses."""
    monkeypatch.setenv(*variable.split("=", 1))
    file = PLANTED / "list_append_leak.py"

    native = soak_planted("malloc_leak", native_folder / "own")
    python = soak_file(file)

    assert (at_mark(native, "leak_malloc").requested_size, native.verdict) == (106, Verdict.LEAK)
    cause = cause_at(python, file, line_of(file, "# planted"))
    assert (cause.requested_size, cause.blocks_per_iteration, python.verdict) == (106, 1.0, Verdict.LEAK)


def test_without_the_tracker_the_report_says_so_and_the_counters_decide(native_folder: Path) -> None:
    """--no-track: the heap grows by 128 B in chunks of malloc's, and no line is known."""
    result = soak_planted("malloc_leak", native_folder / "own", track=False)

    assert (result.tracker.active, result.tracker.reason, result.tracker.covers) == (False, "--no-track", ())
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:heap")
    assert [(cause.kind, cause.where) for cause in result.causes] == [("native", None)]


@pytest.mark.long
def test_two_runs_and_an_edited_file_give_the_same_fingerprint(native_folder: Path) -> None:
    """Lines that move do not make another leak of it, in C by its function, in Python by its own."""
    file = PLANTED / "list_append_leak.py"
    folder = native_folder / "own"
    text = file.read_text(encoding="utf-8").replace(
        '"""\n', '"""\n\n# Three lines\n# that were not\n# there before.\n', 1
    )
    folder.mkdir(exist_ok=True)
    (folder / file.name).write_text(text, encoding="utf-8")

    once, edited = soak_file(file), soak_file(folder / file.name)
    native = [soak_planted("malloc_leak", folder) for _ in range(2)]

    line = line_of(file, "# planted")
    in_python = cause_at(once, file, line).fingerprint
    (in_c,) = {at_mark(result, "leak_malloc").fingerprint for result in native}
    assert cause_at(edited, folder / file.name, line + 4).fingerprint == in_python
    assert in_c != in_python


def test_a_ledger_that_lost_something_decides_no_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters do, and the report says why."""
    from soak.native.ledger import LedgerFile

    read = LedgerFile.read

    def lossy(self: LedgerFile):  # type: ignore[no-untyped-def]
        checkpoint = read(self)
        return checkpoint and dataclasses.replace(checkpoint, lost_sites=1)

    monkeypatch.setattr(LedgerFile, "read", lossy)

    clean = soak_file(PLANTED / "list_append_repaired.py", iterations=1024)
    leak = soak_file(PLANTED / "list_append_leak.py")

    assert (clean.verdict, clean.decided_by) == (Verdict.CLEAN, "counter:heap")
    assert "tracked" not in clean.signals
    assert leak.verdict is Verdict.LEAK
    for result in (clean, leak):
        assert any("ran out of room" in message for message in result.messages)
