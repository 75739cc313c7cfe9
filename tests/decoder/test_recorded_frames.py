"""Recorded-frames files: what is written is played, and what is broken is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoder.acquisition import open_source
from decoder.encoder import VideoFormat
from decoder.errors import DecodeError, SourceError
from decoder.message import message_of
from decoder.sample_frames import sample_block
from decoder.sources.recording import MAGIC, RecordingSource, RecordingWriter

ADDRESS = "/A/B/C"


def record(path: Path, blocks: list[bytes], address: str = ADDRESS) -> None:
    with RecordingWriter(path) as writer:
        for block in blocks:
            writer.append(address, "Frame", block)


def test_frames_are_played_as_they_were_recorded_and_again(tmp_path: Path):
    """Every format; after the last comes the first."""
    blocks = [sample_block(video_format, width=16, height=8) for video_format in VideoFormat]
    record(tmp_path / "film", blocks)

    with RecordingSource(tmp_path / "film") as source:
        for block in blocks + blocks:
            assert message_of(block) == source.get(ADDRESS, "Frame")


def test_each_address_has_its_own_film(tmp_path: Path):
    """Interleaved in the file, apart when played."""
    first, second = (sample_block("GRAY8", number=number, width=16, height=8) for number in (1, 2))
    with RecordingWriter(tmp_path / "film") as writer:
        for address, block in (("/1", first), ("/2", second), ("/1", first)):
            writer.append(address, "Frame", block)

    source = open_source(f"recording:{tmp_path / 'film'}")
    assert message_of(second) == source.get("/2", "Frame")
    assert message_of(first) == source.get("/1", "Frame")
    assert message_of(second) == source.get("/2", "Frame")
    with pytest.raises(SourceError, match="it has /1 Frame, /2 Frame"):
        source.get("/3", "Frame")
    source.close()


def test_only_frames_are_recorded(tmp_path: Path):
    """What is in the file can be decoded."""
    with RecordingWriter(tmp_path / "film") as writer, pytest.raises(DecodeError):
        writer.append(ADDRESS, "Frame", b"no frame")


@pytest.mark.parametrize("cut", [1, 200, 212])
def test_a_truncated_recording_is_refused_with_the_place(tmp_path: Path, cut: int):
    """Cut in the last image, in its header, in the lengths before it."""
    block = sample_block("GRAY8", width=4, height=4)
    record(tmp_path / "film", [block, block])
    content = (tmp_path / "film").read_bytes()
    (tmp_path / "film").write_bytes(content[:-cut])

    frame_bytes = (len(content) - len(MAGIC)) // 2
    with pytest.raises(SourceError, match=f"frame at byte {len(MAGIC) + frame_bytes}$"):
        RecordingSource(tmp_path / "film")


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path):
    """Missing, empty, something else."""
    with pytest.raises(SourceError, match="cannot be opened"):
        RecordingSource(tmp_path / "missing")
    for content in (b"", b"#!/bin/sh\necho"):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(SourceError, match="is not a recording"):
            RecordingSource(tmp_path / "other")
