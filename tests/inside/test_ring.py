"""The ring: rows are read whole or not at all, lost ones are counted, and no row can be mistaken."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inside_builder import a_ring, fields, rows_of

from soak.inside import ring

WORDS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def test_a_row_comes_back_as_it_was_written(tmp_path: Path):
    area = a_ring(tmp_path)
    written = tuple(range(1, len(ring.ROW_FIELDS) - 1))

    area.write_row(written)

    row = area.read_row(0)
    assert row is not None
    assert row[:-2] == written
    assert row[-1] == 1
    assert area.words[ring.WORD_ROWS_WRITTEN] == 1


@given(values=st.lists(WORDS, min_size=14, max_size=14))
@settings(max_examples=200)
def test_the_checksum_fits_a_word_whatever_the_values(values: list[int]):
    """Any 64-bit values, negative ones too; and it depends on the row's number."""
    summed = ring.checksum(tuple(values), 1)

    assert 0 <= summed < 2**62
    assert struct.unpack("=q", struct.pack("=q", summed)) == (summed,)
    assert summed != ring.checksum(tuple(values), 2)


@given(values=st.lists(WORDS, min_size=14, max_size=14), position=st.integers(0, 13), other=WORDS)
@settings(max_examples=200)
def test_the_checksum_sees_one_changed_value(values: list[int], position: int, other: int):
    """One field changed by anything that is no multiple of 2^62, which counters never are."""
    changed = values.copy()
    changed[position] = other

    same = (values[position] - other) % 2**62 == 0

    assert (ring.checksum(tuple(values), 5) == ring.checksum(tuple(changed), 5)) == same


@pytest.mark.parametrize("word", range(len(ring.ROW_FIELDS)))
def test_a_torn_row_is_not_read(tmp_path: Path, word: int):
    """Any word may be wrong: a value, the checksum, the sequence number."""
    area = a_ring(tmp_path)
    area.write_row(fields(cycle=7, heap=123456))

    place = ring.ROWS_OFFSET + 8 * word
    area.map[place] ^= 1

    assert area.read_row(0) is None


def test_a_row_not_yet_written_is_not_read(tmp_path: Path):
    assert a_ring(tmp_path).read_row(0) is None


def test_the_ring_wraps_around(tmp_path: Path):
    """With a reader that keeps up nothing is lost, however many rows there are."""
    area = a_ring(tmp_path)
    total = 2 * ring.ROW_CAPACITY + 5

    read = []
    for number in range(total):
        area.write_row(fields(cycle=number))
        row = area.read_row(number)
        assert row is not None
        read.append(row[0])
        area.words[ring.WORD_ROWS_READ] = number + 1

    assert read == list(range(total))
    assert area.words[ring.WORD_ROWS_LOST] == 0


def test_rows_nobody_read_in_time_are_overwritten_and_counted(tmp_path: Path):
    """The child never waits for room; the newest rows are there, the oldest are counted as lost."""
    area = a_ring(tmp_path)
    too_many = 37

    for number in range(ring.ROW_CAPACITY + too_many):
        area.write_row(fields(cycle=number))

    assert area.words[ring.WORD_ROWS_LOST] == too_many
    assert area.read_row(too_many - 1) is None
    assert [row["cycle"] for row in rows_of(area)] == list(range(too_many, ring.ROW_CAPACITY + too_many))


def test_both_ends_see_one_ring(tmp_path: Path):
    area = a_ring(tmp_path)
    other_end = ring.Ring(str(tmp_path / "ring"))

    area.write_row(fields(cycle=3))
    other_end.words[ring.WORD_STOP] = 1

    assert rows_of(other_end)[0]["cycle"] == 3
    assert area.words[ring.WORD_STOP] == 1


def test_the_ring_outlives_its_file(tmp_path: Path):
    """Its name is removed as soon as both ends have it."""
    area = a_ring(tmp_path)
    other_end = ring.Ring(str(tmp_path / "ring"))

    os.unlink(tmp_path / "ring")  # noqa: PTH108 - as the child does it
    area.write_row(fields(cycle=3))

    assert rows_of(other_end)[0]["cycle"] == 3


def test_the_ring_is_small_and_touching_it_changes_nothing(tmp_path: Path):
    """At most 256 KiB, by contract; a touched page reads as before."""
    area = a_ring(tmp_path, b"settings")
    before = bytes(area.map)

    area.touch()

    assert len(before) == ring.RING_BYTES <= 256 * 1024
    assert bytes(area.map) == before


def test_settings_pass_through_the_text_area(tmp_path: Path):
    content = bytes(range(256)) * 10

    assert a_ring(tmp_path, content).read_text() == content


def test_settings_without_room_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"the settings take 20481 bytes; there is room for 20480"):
        ring.create(str(tmp_path / "ring"), b"x" * (ring.TEXT_BYTES + 1))

    assert not (tmp_path / "ring").exists()


def test_an_existing_file_is_never_taken_for_a_new_ring(tmp_path: Path):
    a_ring(tmp_path)

    with pytest.raises(FileExistsError):
        ring.create(str(tmp_path / "ring"), b"")


@pytest.mark.parametrize("size", [ring.FAILURE_BYTES + 1, 3 * ring.FAILURE_BYTES])
def test_a_long_report_of_a_failure_is_cut_in_its_middle(tmp_path: Path, size: int):
    """Its first line and its innermost frames are at the ends."""
    area = a_ring(tmp_path)

    area.write_failure(b"first" + b"x" * (size - 9) + b"last")

    kept = area.read_failure()
    assert kept.startswith(b"firstx")
    assert kept.endswith(b"xlast")
    assert b"\n [...] \n" in kept
    assert ring.FAILURE_BYTES - 16 <= len(kept) <= ring.FAILURE_BYTES


def test_a_question_that_comes_late_leaves_the_report_of_a_failure_alone(tmp_path: Path):
    """The parent may ask while the child fails: it had read the phase before."""
    area = a_ring(tmp_path)
    area.write_names({})

    area.write_failure(b"MemoryError: ")
    area.write_text(b"?" * ring.TEXT_BYTES)

    assert (area.read_failure(), area.read_names()) == (b"MemoryError: ", {})


def test_a_text_that_just_fits_is_kept_whole_and_leaves_the_rows_alone(tmp_path: Path):
    area = a_ring(tmp_path)
    area.write_row(fields(cycle=9))

    area.write_text(b"y" * ring.TEXT_BYTES)

    assert area.read_text() == b"y" * ring.TEXT_BYTES
    assert rows_of(area)[0]["cycle"] == 9


def test_a_shorter_text_replaces_a_longer_one(tmp_path: Path):
    area = a_ring(tmp_path, b"long settings")

    area.write_text(b"no")

    assert area.read_text() == b"no"


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * ring.RING_BYTES])
def test_a_file_that_is_no_ring_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(ValueError, match=r"."):
        ring.Ring(str(tmp_path / "other"))


def test_names_of_threads_come_back_and_of_too_many_the_newest(tmp_path: Path):
    area = a_ring(tmp_path)
    assert area.read_names() == {}

    area.write_names({7: "MainThread", 8: "Größe\n"})
    few = area.read_names()
    names = {number: f"a name of some length {number}" for number in range(10_000)}
    area.write_names(names, {("/app/main.py", line, "handle"): list(range(line, 10_000, 7)) for line in range(7)})
    many, lines = area.read_names(), area.read_lines()

    assert few == {7: "MainThread", 8: "Größe\n"}
    assert 500 < len(many) < 10_000
    assert max(many) == 9_999
    assert len(lines) == 7 * 512
    assert all(line == ("/app/main.py", number % 7, "handle") for number, line in lines.items())


def test_a_process_that_writes_no_names_and_does_not_fail_does_not_touch_their_pages(tmp_path: Path):
    """Their pages are written after the measurement, so they are not resident before."""
    area = a_ring(tmp_path)

    area.touch()

    assert not any(area.map[ring.NAMES_OFFSET :])
    assert ring.NAMES_OFFSET % ring.PAGE_BYTES == 0
