"""Files as people name them."""

from __future__ import annotations

import pytest

from soak.reporting.words.paths import library_file, own_frame, short_file, short_frame, without_folders
from soak.results import Place


@pytest.mark.parametrize(
    ("path", "library", "short"),
    [
        ("/usr/lib/python3.11/json/decoder.py", "json/decoder.py", "json/decoder.py"),
        ("/v/lib/python3.12/site-packages/numpy/_core/x.so", "numpy/_core/x.so", "numpy/_core/x.so"),
        ("/usr/lib/python3/dist-packages/gi/overrides.py", "gi/overrides.py", "gi/overrides.py"),
        ("/build.1/Python-3.11.7/Modules/_json.c", "Modules/_json.c", "Modules/_json.c"),
        ("/home/me/project/my_script.py", None, "my_script.py"),
        ("/home/me/decoder/__init__.py", None, "decoder/__init__.py"),
        ("drivers/drive_get.py", None, "drivers/drive_get.py"),
        ("<frozen importlib._bootstrap>", None, "<frozen importlib._bootstrap>"),
    ],
)
def test_libraries_lose_the_folders_they_are_installed_in(path, library, short):
    assert library_file(path) == library
    assert short_file(path) == short


@pytest.mark.parametrize(
    ("frame", "short", "own"),
    [
        (Place("loads", "/usr/lib/python3.11/json/__init__.py", 346), "loads at json/__init__.py:346", False),
        (Place("cycle", "/home/me/a b/my_script.py", 8), "cycle at /home/me/a b/my_script.py:8", True),
        (
            Place("f", "/b/Python-3.9.1/Objects/o.c", 1, "/l/libpython3.9.so"),
            "f at Objects/o.c:1 in libpython3.9.so",
            False,
        ),
        (Place("decode", "decoder/jpeg.c", 12, "/l/jpeg.so"), "decode at decoder/jpeg.c:12 in jpeg.so", False),
        (Place("libffi.so.8.1.2+0x6f79", None, None, "/l/libffi.so.8.1.2"), "libffi.so.8.1.2+0x6f79", False),
        (Place("0x7f12", None, None), "0x7f12", False),
        (Place("run", "<string>", 1), "run at <string>:1", False),
        (Place(None, "/home/me/my_script.py", 8), "/home/me/my_script.py:8", True),
    ],
)
def test_a_line_of_a_stack_keeps_the_path_of_what_is_no_library(frame, short, own):
    """Those lines are where a person goes, by a click."""
    assert short_frame(frame) == short
    assert own_frame([frame]) == (frame if own else None)


def test_where_there_is_little_room_files_lose_all_their_folders():
    assert str(without_folders(Place("cycle", "/home/me/my_script.py", 8))) == "cycle at my_script.py:8"
    assert str(without_folders(Place("mmap", None, None, "/lib/libc.so.6"))) == "mmap in libc.so.6"
