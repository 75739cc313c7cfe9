"""The jukebox on real GStreamer: it plays every frame of every song, and says what is wrong where something is."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunCode = Callable[..., str]
MAKE_SONGS = """
import sys
from pathlib import Path
from jukebox.songs import make_songs
from jukebox.play import Jukebox, play, silent_output
songs = make_songs(Path(sys.argv[1]), seconds=0.3)
"""


def test_songs_are_made_once_in_three_formats_and_several_lengths(run_code: RunCode, tmp_path: Path):
    printed = run_code(MAKE_SONGS + "print([(song.path.suffix, song.frames) for song in songs])", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    run_code(MAKE_SONGS, str(tmp_path))

    songs = eval(printed)
    assert [suffix for suffix, _ in songs] == [".ogg", ".flac", ".wav"] * 2
    assert [round(frames / 441) for _, frames in songs] == [21, 24, 27, 30, 33, 36]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_a_round_of_songs_is_mixed_at_its_schedule(run_code: RunCode, tmp_path: Path):
    """Every cycle checks the length of its song and the position of the output; both are known beforehand."""
    code = MAKE_SONGS + (
        "jukebox = Jukebox(songs, silent_output(), overlap_s=0.25)\n"
        "for _ in range(13): jukebox.play_next()\n"
        "print(jukebox.mixer.position)\n"
        "jukebox.close()"
    )

    position = int(run_code(code, str(tmp_path)))

    overlap = (441 * 21 - 4410) // 2 - 441
    frames = [441 * n for n in (21, 24, 27, 30, 33, 36)]
    begins = sum(frames[number % 6] - overlap for number in range(13))
    held_at = begins + frames[13 % 6] - overlap
    assert position == pytest.approx(held_at, abs=4410 + 13 * 441)


def test_a_playlist_of_one_plays_over_and_over(run_code: RunCode, tmp_path: Path):
    code = MAKE_SONGS + (
        "jukebox = Jukebox(songs[:1], silent_output())\n"
        "for _ in range(3): jukebox.play_next()\n"
        "jukebox.close(); print('played')"
    )

    assert run_code(code, str(tmp_path)) == "played\n"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_file_gets_all_that_is_played(run_code: RunCode, tmp_path: Path, suffix: str):
    """Two short songs, so with a smaller overlap; the mixer fills its last buffer up."""
    code = MAKE_SONGS + (
        "from jukebox.songs import measure\n"
        "play([song.path for song in songs[:2]], sys.argv[2])\n"
        "print(songs[0].frames, songs[1].frames, measure(Path(sys.argv[2])).frames)"
    )

    first, second, both = map(int, run_code(code, str(tmp_path), str(tmp_path / f"out{suffix}")).split())

    overlap = (first - 4410) // 2 - 441
    assert both == pytest.approx(first - overlap + second, abs=4410 + 441)


CUT_SHORT = """
import jukebox.songs
jukebox.songs._WATCHDOG_S = 1
cut = Path(sys.argv[1], "cut.ogg")
cut.write_bytes(songs[0].path.read_bytes()[:3400])
play([cut])
"""

WITHOUT_DECODER = """
from jukebox.gstreamer import Gst
Gst.Registry.get().lookup_feature("vorbisdec").set_rank(Gst.Rank.NONE)
play([songs[0].path])
"""
WITHOUT_SOUND_CARD = """
from jukebox.gstreamer import Gst
for each in Gst.Registry.get().get_feature_list(Gst.ElementFactory):
    if "Sink/Audio" in each.get_metadata("klass"):
        each.set_rank(Gst.Rank.NONE)
play([songs[0].path])
"""


WRONG_INPUT = [
    ("play([])", "JukeboxError: the playlist is empty"),
    ("play(['/nowhere.ogg'])", "SongError: there is no file /nowhere.ogg"),
    ("play(['README.md'])", "SongError: README.md is not a song: "),
    ("play([songs[0].path], 'song.mp3')", "JukeboxError: song.mp3 is not a sound file format that can be written"),
    ("play([songs[0].path], '/nowhere/song.wav')", "JukeboxError: /nowhere/song.wav: Could not open file"),
    ("play([songs[0].path], songs[0].path)", "JukeboxError: {tmp}/song0-21.ogg is one of the songs; it would be"),
    (
        "cut = Path(sys.argv[1], 'cut.flac'); cut.write_bytes(songs[1].path.read_bytes()[:3000]); play([cut])",
        "SongError: {tmp}/cut.flac is not a song: flacdec",
    ),
    (
        CUT_SHORT,
        "SongError: {tmp}/cut.ogg is not a song: ",
    ),
    (
        "make_songs(Path(sys.argv[1]), seconds=0.1); play([Path(sys.argv[1], 'song2-9.wav')])",
        "SongError: {tmp}/song2-9.wav is too short to be mixed",
    ),
    ("make_songs(Path(sys.argv[1]), formats=('mp3',))", "SongError: there is no format 'mp3'"),
    ("play([sys.argv[1]])", "SongError: {tmp} is a folder, not a song"),
    (WITHOUT_DECODER, "SongError: {tmp}/song0-21.ogg cannot be decoded: decodebin"),
    (WITHOUT_SOUND_CARD, "JukeboxError: there is no sound card that GStreamer can use; --out FILE writes a file"),
    ("make_songs(Path(sys.argv[1]), seconds=float('nan'))", "SongError: songs of nan s cannot be made; give a "),
    ("make_songs(Path(sys.argv[1]), seconds=0)", "SongError: songs of 0 s cannot be made; give a length above 0"),
    (
        "from jukebox.faults import Fault; Fault('typo')",
        "JukeboxError: there is no fault 'typo'; use none, not_removed, not_null, ",
    ),
    ("from jukebox.gstreamer import make; make('juke')", "JukeboxError: GStreamer has no element 'juke'"),
]
FEW = 6


@pytest.mark.parametrize(
    ("statement", "message"),
    [pytest.param(*case, marks=[pytest.mark.long] * (at >= FEW)) for at, case in enumerate(WRONG_INPUT)],
)
def test_bad_input_is_one_clear_error(run_code: RunCode, tmp_path: Path, statement: str, message: str):
    printed = run_code(MAKE_SONGS + statement, str(tmp_path), fails_with=1)

    assert "jukebox.errors." + message.format(tmp=tmp_path) in printed.splitlines()[-1]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_disk_that_fills_up_is_one_line_and_what_is_written_can_be_played(
    gstreamer_python: str, run_code: RunCode, tmp_path: Path, suffix: str
):
    """The limit on the size of a file is the full disk that needs no privilege."""
    songs = list(map(str, eval(run_code(MAKE_SONGS + "print([str(song.path) for song in songs])", str(tmp_path)))))
    out = tmp_path / f"out{suffix}"

    done = subprocess.run(
        [gstreamer_python, "-m", "jukebox", *songs, "--out", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{out}: Could not write to resource. Error while writing to file")
    assert line.endswith(": File too large")
    measured = "from jukebox.songs import measure; print(measure(Path(sys.argv[2])).frames)"
    assert int(run_code(MAKE_SONGS + measured, str(tmp_path), str(out))) > 1000


def test_a_disk_that_fills_up_while_songs_are_made_is_one_error_and_no_file_is_left(run_code: RunCode, tmp_path: Path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from pathlib import Path; from jukebox.songs import make_songs\n"
        "make_songs(Path(sys.argv[1]), formats=('wav',))"
    )

    printed = run_code(code, str(tmp_path), fails_with=1)

    assert f"jukebox.errors.SongError: {tmp_path}/song0-70.wav cannot be made: " in printed.splitlines()[-1]
    assert not list(tmp_path.glob("song*"))


def test_no_thread_of_a_song_outlives_it(run_code: RunCode, tmp_path: Path):
    """The main thread, the mixer's and those of the song that plays. A common pool keeps three or more others."""
    code = MAKE_SONGS + (
        "import os, time; from jukebox.gstreamer import end_idle_threads\n"
        "end_idle_threads()\n"
        "jukebox = Jukebox(songs, silent_output())\n"
        "time.sleep(1)  # the threads that made the songs end\n"
        "counts = []\n"
        "for _ in range(120):\n"
        "    jukebox.play_next(); counts.append(len(os.listdir('/proc/self/task')))\n"
        "print(min(counts[60:]))\n"
        "jukebox.close()"
    )

    assert int(run_code(code, str(tmp_path))) <= 5


def test_a_song_that_lost_frames_is_noticed(run_code: RunCode, tmp_path: Path):
    """The control of the check: a song that is said to be longer than it is."""
    code = MAKE_SONGS + (
        "from dataclasses import replace\n"
        "wrong = replace(songs[2], frames=songs[2].frames - 441)\n"
        "jukebox = Jukebox([wrong], silent_output())\n"
        "try: jukebox.play_next()\n"
        "finally: jukebox.close()"
    )

    printed = run_code(code, str(tmp_path), fails_with=1)

    assert re.search(r"song2-27\.wav has 11,466 frames, and 11,907 of them were mixed", printed)


def test_a_bin_that_runs_again_is_noticed(run_code: RunCode, tmp_path: Path):
    """What an unlocked state leads to in some songs of a hundred; a bin that stays stopped passes."""
    code = MAKE_SONGS + (
        "from threading import Condition\n"
        "from jukebox.faults import Fault\n"
        "from jukebox.gstreamer import Gst\n"
        "from jukebox.source_bin import SourceBin\n"
        "source = SourceBin(songs[0], 0, 0, Condition(), Fault.NONE)\n"
        "source.check_stopped(); print('it stays stopped')\n"
        "source.bin.set_state(Gst.State.READY)\n"
        "source.check_stopped()"
    )

    printed = run_code(code, str(tmp_path), fails_with=1)

    assert "song0-21.ogg was set to NULL and runs again: its state was not locked" in printed
    assert printed.startswith("it stays stopped")


def test_the_names_of_glibs_types_are_told(run_code: RunCode):
    """Those of the numbers that are types; another number is not looked at."""
    code = (
        "import jukebox.gstreamer\n"
        "from gi.repository import Gst\n"
        "from soak.inside.objects.gtypes import names_of\n"
        "bin, message = hash(Gst.Bin.__gtype__), hash(Gst.Message.__gtype__)\n"
        "names = names_of([bin, message, 8, 4096])\n"
        "print(names == {bin: 'GstBin', message: 'GstMessage'})"
    )

    assert run_code(code) == "True\n"
