"""What stays open becomes causes: by the line that opened it, with those alike told together."""

from __future__ import annotations

import pytest

from soak.attribution.causes import Call
from soak.attribution.opened_causes import StillOpen, causes_of_opened, name_groups
from soak.probes.inventory import OpenItem
from soak.reporting.words import cause_sentence
from soak.reporting.words.causes.advice import origin
from soak.results import Opened, Place

PLACES = {
    0x10: Place("leak_open", "leak.c", 7, "/usr/lib/python3/dist-packages/leak.so"),
    0x20: Place("_Py_open", None, None, "/usr/lib/libpython3.11.so.1.0"),
    0x30: Place("_PyEval_EvalFrameDefault", None, None, "/usr/lib/libpython3.11.so.1.0"),
    0x40: Place("outer", "outer.c", 3, "/opt/outer.so"),
    0x50: Place("sock_initobj", None, None, "/usr/lib/python3.11/lib-dynload/_socket.so"),
}
READER = Call(file="/app/reader.py", function="open_log", line=41)
MAIN = Call(file="/app/main.py", function="cycle", line=9)
LIBRARY = Call(file="/usr/lib/python3.11/socket.py", function="create_connection", line=831)
INSTALLED = Call(file="/usr/lib/python3.11/site-packages/net/pool.py", function="Pool.get", line=5)
LOOP = Call(file="/opt/soak/inside/loop.py", function="Loop.run", line=100)


def files(*names: str, kind: str = "file") -> list[OpenItem]:
    return [OpenItem("file-descriptor", number, kind, name) for number, name in enumerate(names)]


def opened(count: int, *stack: Call, kind: str = "file") -> list[StillOpen]:
    return [StillOpen(item, stack) for item in files(*["/tmp/x.log"] * count, kind=kind)]


def causes(items: list[StillOpen], rate: float = 1.0) -> list[tuple[str | None, str | None, float | None]]:
    """Return the function in C, the one in Python, and the rate of each cause."""
    found = causes_of_opened(items, lambda address: (PLACES[address],), "file-descriptor", rate, 8)
    return [
        (c.where and c.where.function, c.python_where and c.python_where.function, c.count_per_iteration) for c in found
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["/var/log/a"] * 3, "/var/log/a"),
        (["/tmp/log-1.txt", "/tmp/log-2.txt", "/tmp/log-30.txt"], "/tmp/log-*.txt"),
        (["/tmp/log-100.txt", "/tmp/log-101.txt"], "/tmp/log-*.txt"),
        (["/tmp/tmpa7x", "/tmp/tmpq_1", "/tmp/tmpzzz", "/tmp/tmpb9k"], "/tmp/tmp*"),
        (["127.0.0.1:40001 → 10.0.0.1:80", "127.0.0.1:40002 → 10.0.0.1:80"], "127.0.0.1:* → 10.0.0.1:80"),
        (["Thread-1 (work)", "Thread-12 (work)"], "Thread-* (work)"),
        (["12", "1"], "*"),
        (["", ""], ""),
    ],
)
def test_names_that_are_alike_are_told_as_one(names: list[str], told: str) -> None:
    """A star stands for the part that differs; numbers are not split."""
    assert name_groups(files(*names)) == (Opened("file", told, len(names)),)


def test_different_names_and_types_stay_apart_the_most_frequent_first() -> None:
    """A few names with nothing in common are listed one by one; a pipe is no file."""
    items = [*files("/etc/hosts"), *files("", "", "", kind="pipe"), *files("/var/a.1", "/var/a.2")]

    assert name_groups(items) == (
        Opened("pipe", "", 3),
        Opened("file", "/var/a.*", 2),
        Opened("file", "/etc/hosts", 1),
    )


def test_names_that_many_have_stay_apart_from_those_at_random() -> None:
    """As threads of GStreamer have the names of pads: four kinds of them, and some that nobody else has."""
    usual = [f"{kind}{number}:src" for kind in ("queue", "parse", "demux", "typefind") for number in range(20)]
    names = [*usual, "rtpbin-7f", "rtpbin-e0", "rtpbin-b"]

    assert name_groups(files(*names)) == (
        Opened("file", "queue*:src", 20),
        Opened("file", "parse*:src", 20),
        Opened("file", "demux*:src", 20),
        Opened("file", "typefind*:src", 20),
        Opened("file", "rtpbin-*", 3),
    )


def test_each_place_is_a_cause_with_its_part_of_the_rate() -> None:
    """Three of four were opened by the reader."""
    assert causes([*opened(10, MAIN), *opened(30, READER, MAIN)], rate=2.0) == [
        (None, "open_log", 1.5),
        (None, "cycle", 0.5),
    ]


def test_what_was_opened_once_is_no_cause() -> None:
    """One of forty came late and stays; it is not part of the growth."""
    assert causes([*opened(1, MAIN), *opened(40, READER)]) == [(None, "open_log", 1.0)]


@pytest.mark.parametrize(
    ("stack", "where", "python_where"),
    [
        ([LIBRARY, READER, MAIN], None, "open_log"),
        ([INSTALLED, MAIN], None, "Pool.get"),
        ([LIBRARY], None, "create_connection"),
        ([LOOP], None, None),
        ([Call(0x20), Call(0x30), READER], None, "open_log"),
        ([Call(0x10), Call(0x20), Call(0x30), READER], "leak_open", "open_log"),
        ([Call(0x20), Call(0x30), Call(0x40), READER], None, "open_log"),
        ([Call(0x50), Call(0x20), Call(0x30), LIBRARY, READER], None, "open_log"),
        ([Call(0x10)], "leak_open", None),
        ([], None, None),
    ],
)
def test_the_place_is_the_programs_own_line_and_the_extensions_function(
    stack: list[Call], where: str | None, python_where: str | None
) -> None:
    """It is neither the standard library nor C code that called the Python code that opened it."""
    assert causes(opened(3, *stack)) == [(where, python_where, 1.0)]


def test_without_a_list_there_is_still_the_count() -> None:
    """This happens where /proc cannot be read."""
    (cause,) = causes_of_opened([], lambda address: (PLACES[address],), "thread", 0.25, 8)

    assert (cause.kind, cause.count_per_iteration, cause.every, cause.type) == ("thread", 0.25, 4.0, None)
    assert cause_sentence(cause) == "Threads that do not end, 1 every 4 calls."


def test_the_fingerprint_knows_the_function_and_the_type_and_no_name() -> None:
    """Other names, numbers and lines give the same leak; a pipe in the same function is another leak."""
    moved = Call(file="/app/reader.py", function="open_log", line=77)
    prints = [
        causes_of_opened(items, lambda address: (PLACES[address],), "file-descriptor", 1.0, None)[0].fingerprint
        for items in (opened(3, READER), opened(900, moved), opened(3, READER, kind="pipe"))
    ]

    assert prints[0] == prints[1] != prints[2]


def test_the_sentence_tells_how_many_what_and_where() -> None:
    """One sentence for terminal, HTML and Markdown."""
    (cause,) = causes_of_opened(
        opened(1020, Call(0x10), Call(0x30), READER),
        lambda address: (PLACES[address],),
        "file-descriptor",
        3.0,
        8,
    )

    assert cause_sentence(cause) == (
        "File descriptors that are not closed, 3 per call, opened in leak_open (leak.c:7), called from "
        "open_log (reader.py:41): 1,020 × file /tmp/x.log."
    )


STARTED = Call(file="/usr/lib/python3.11/threading.py", function="Thread.start", line=964)
SERVER = Call(file="/usr/lib/python3.11/socketserver.py", function="ThreadingMixIn.process_request", line=705)
HANDLER = Call(file="/app/main.py", function="handle", line=7)


def threads(*stack: Call, is_at: Call | None) -> list[StillOpen]:
    return [StillOpen(OpenItem("thread", n, "thread", f"Thread-{n}"), stack, is_at) for n in range(9)]


def test_a_thread_that_only_a_library_started_is_told_by_the_line_in_which_it_is():
    """The thread of `socketserver` that accepts starts one for each request: no line of the component's starts it."""
    (cause,) = causes_of_opened(threads(STARTED, SERVER, is_at=HANDLER), PLACES.__getitem__, "thread", 1.0, 8)

    assert cause.python_where == cause.waits_at == Place("handle", "/app/main.py", 7)
    assert cause_sentence(cause).startswith("Threads that do not end, 1 per call, each in handle (main.py:7)")
    assert origin([cause]) == "each is at main.py:7"


@pytest.mark.parametrize("is_at", [HANDLER, None])
def test_a_thread_that_a_line_of_a_person_started_is_told_by_that_line(is_at: Call | None):
    (cause,) = causes_of_opened(threads(STARTED, MAIN, is_at=is_at), PLACES.__getitem__, "thread", 1.0, 8)

    assert (cause.python_where, cause.waits_at) == (Place("cycle", "/app/main.py", 9), None)
    assert origin([cause]) == "started at main.py:9"
