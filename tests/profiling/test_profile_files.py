"""Profiles on disk: valid ones are read, others are refused, and hostile ones do no harm.

A hostile file is never unmarshalled here; only the guarded reader sees it.
"""

from __future__ import annotations

import cProfile
import marshal
import os
import pstats
import resource
import struct
from pathlib import Path

import pytest

from soak.errors import SoakError
from soak.inside.profiler.profiled import run_cycles
from soak.profiles import summarise
from soak.store import profile_reader
from soak.store.profile_files import add_profiles, load_profile, write_profile

KEY = ("file.py", 1, "function")
ENTRY = (1, 1, 0.5, 0.5, {})


def written(folder: Path, content: object) -> Path:
    path = folder / "some.prof"
    path.write_bytes(content if isinstance(content, bytes) else marshal.dumps(content))
    return path


def test_what_cprofile_wrote_is_read_as_pstats_reads_it(tmp_path: Path):
    """Every function, every caller, every number."""
    profiler = cProfile.Profile()
    profiler.runcall(sorted, [3, 1, 2], key=lambda number: -number)
    path = tmp_path / "real.prof"
    profiler.dump_stats(path)

    assert load_profile(path) == pstats.Stats(str(path)).stats  # type: ignore[attr-defined]


def test_a_profile_survives_writing_and_reading(tmp_path: Path):
    """The sum of no profiles is empty."""
    profile = {KEY: (1, 2, 0.25, 0.5, {("~", 0, "<built-in>"): (2, 1, 0.25, 0.5)}), ("~", 0, "<built-in>"): ENTRY}
    path = tmp_path / "own.prof"

    write_profile(profile, path)

    assert load_profile(path) == profile
    assert add_profiles([]) == {}


def test_callers_that_are_only_counted_are_read(tmp_path: Path):
    """The pure Python profiler keeps a number where cProfile keeps times."""
    path = written(tmp_path, {KEY: (1, 1, 0.5, 0.5, {KEY: 3})})

    assert load_profile(path)[KEY][4] == {KEY: (3, 3, 0.0, 0.0)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not marshal",
        [1, 2],
        {},
        {"name": ENTRY},
        {KEY: (1, 1)},
        {KEY: ("1", 1, 0.5, 0.5, {})},
        {KEY: (1, 10**400, 0.5, 0.5, {})},
        {KEY: (1, 1, float("inf"), 0.5, {})},
        {KEY: (1, 1, float("nan"), 0.5, {})},
        {KEY: (1, 1, 0.5, 0.5, [])},
        {(b"file", 1, "f"): ENTRY},
    ],
    ids=repr,
)
def test_what_is_no_profile_is_refused_with_a_reason(content: object, tmp_path: Path):
    """An empty profile is accepted."""
    path = written(tmp_path, content)

    if content == {}:
        assert load_profile(path) == {}
    else:
        with pytest.raises(SoakError, match="cannot be read: it is not a profile"):
            load_profile(path)


def test_the_reason_is_one_line_of_printable_text_though_it_quotes_the_file(tmp_path: Path):
    """In marshal data a number may be text, which the error of Python quotes as it is."""
    file = tmp_path / "quoted.prof"
    file.write_bytes(b"f\x0cone\ntwo\x1b[31m")

    with pytest.raises(SoakError) as refused:
        load_profile(file)

    assert str(refused.value).isprintable()
    assert "one two" in str(refused.value)


def test_a_file_that_claims_all_memory_gets_none(tmp_path: Path):
    """Five bytes claim a tuple of two thousand million items; the reader is limited to half a GiB."""
    hostile = written(tmp_path, b"(" + struct.pack("<i", 2**31 - 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most_of_others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    with pytest.raises(SoakError, match="needs more than 512 MiB"):
        load_profile(hostile)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most <= max(most_of_others, 2 * profile_reader.MEMORY_BYTES // 1024)


@pytest.mark.long
def test_a_file_that_would_take_for_ever_is_given_up(tmp_path: Path):
    """A dict whose keys have equal hashes takes quadratic time."""
    keys = (number * (2**61 - 1) for number in range(1, 400_000))
    hostile = written(tmp_path, b"{" + b"".join(b"(\x01\0\0\0" + _long(key) + b"N" for key in keys) + b"0")

    with pytest.raises(SoakError, match="its reader was ended by a limit"):
        load_profile(hostile)


def _long(number: int) -> bytes:
    return marshal.dumps(number)


def test_a_file_that_swells_when_it_is_told_is_given_up(tmp_path: Path):
    """A short file can refer to one long name many times."""
    name = "x" * 1_000_000
    hostile = written(tmp_path, {(name, number, name): ENTRY for number in range(20)})
    assert hostile.stat().st_size < 2**21

    with pytest.raises(SoakError, match="takes more than 16 MiB"):
        load_profile(hostile)


def test_a_large_file_is_not_even_opened(tmp_path: Path):
    """Its size alone refuses it."""
    path = tmp_path / "large.prof"
    with path.open("wb") as file:
        file.truncate(profile_reader.FILE_BYTES + 1)

    with pytest.raises(SoakError, match="larger than 16 MiB"):
        load_profile(path)


def test_links_pipes_and_folders_are_not_opened(tmp_path: Path):
    """A link leads elsewhere, a pipe never ends."""
    target = written(tmp_path, {KEY: ENTRY})
    link, pipe, folder = tmp_path / "link.prof", tmp_path / "pipe.prof", tmp_path / "folder.prof"
    link.symlink_to(target)
    os.mkfifo(pipe)
    folder.mkdir()

    for path in (link, pipe, folder, tmp_path / "missing.prof"):
        with pytest.raises(SoakError, match=str(path)):
            load_profile(path)


def test_the_loop_that_runs_the_cycles_is_no_function_of_the_program():
    """It counts in the totals, for the shares are those of the whole profile."""
    code = run_cycles.__code__
    loop = (code.co_filename, code.co_firstlineno, code.co_name)
    profile = {loop: (1, 1, 2.0, 3.0, {}), ("a.py", 1, "run_cycles"): (1, 1, 1.0, 1.0, {loop: (1, 1, 1.0, 1.0)})}

    totals = summarise(profile)

    assert totals.own_s == 3.0
    assert [function.file for function in totals.top] == ["a.py"]


def test_the_functions_that_take_most_time_of_their_own_come_first():
    """Totals count all functions, the list is cut."""
    profile = {("a.py", number, "f"): (1, 2, number / 4, 9.0, {}) for number in range(5)}

    totals = summarise(profile, most=2)

    assert (totals.calls, totals.primitive_calls, totals.own_s) == (10, 5, 2.5)
    assert [function.line for function in totals.top] == [4, 3]
