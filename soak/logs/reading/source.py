"""The text of a file, a pipe or stdin, line by line in bounded memory."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soak.errors import SeriesError, UsageError

LONGEST_LINE = 2**20
"""Characters. What has no end of line before is no log."""
SILENCE_S = 60.0
"""A pipe that is silent for this long is judged as if it had ended."""
NO_WRITER_S = 5.0
"""A named pipe into which nobody writes is refused after this long."""
_HEAD = 2**18
"""Characters in which a format is recognised: a program's log may tell its memory once in a thousand lines."""
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""Colours, movements of the cursor, character sets and titles: what a terminal is told beside the text."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd", b"PK\x03\x04": "zip"}
_UNPACKERS = {"gzip": "zcat", "bzip2": "bzcat", "xz": "xzcat", "zstd": "zstdcat", "zip": "unzip -p"}
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Source:
    """A log's text. Raises UsageError when it cannot be read, SeriesError when it is no text."""

    def __init__(self, file: str) -> None:
        """Open ``file``; ``-`` is stdin. ``head`` is how the log begins: enough to recognise its format."""
        self.name = "stdin" if file == "-" else file
        try:
            descriptor = os.dup(sys.stdin.fileno()) if file == "-" else _open(file)
            self._raw = _Patient(descriptor, is_named=file != "-")
            self._text = _as_text(io.BufferedReader(self._raw), self._refuse_what_is_compressed)
            self._begin = self._text.read(_HEAD)
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from error
        if "\0" in self._begin:
            raise SeriesError(f"{self.name} is not a text file")
        self.head = without_terminal(self._begin)
        if not self.head.strip():
            raise SeriesError(f"{self.name} is empty")

    def _refuse_what_is_compressed(self, first: bytes) -> None:
        kind = next((kind for begin, kind in _COMPRESSED.items() if first.startswith(begin)), None)
        if kind:
            raise SeriesError(f"{self.name} is compressed: {_UNPACKERS[kind]} {self.name} | soak judge -")

    @property
    def has_fallen_silent(self) -> bool:
        """Whether reading ended because a pipe was silent for too long."""
        return self._raw.has_fallen_silent

    def lines(self) -> Iterator[str]:
        """Yield every line with its end, from the first, without what is meant for a terminal."""
        for number, line in enumerate(self._unchecked_lines(), start=1):
            if len(line) > LONGEST_LINE:
                raise SeriesError(f"{self.name}, line {number}: longer than {LONGEST_LINE:,} characters; is it a log?")
            yield without_terminal(line)

    def whole(self, most: int) -> str:
        """Return all of it. Raises SeriesError if it is longer than ``most`` characters."""
        text = self._begin + self._text.read(max(most - len(self._begin), 0) + 1)
        if len(text) > most:
            raise SeriesError(f"{self.name} is longer than {most:,} characters; query fewer series or a shorter time")
        return text

    def _unchecked_lines(self) -> Iterator[str]:
        # Not str.splitlines: it would cut at characters that end no line in the rest of the file.
        *whole, begun = self._begin.split("\n")
        yield from (f"{line}\n" for line in whole)
        try:
            if line := begun + self._text.readline(LONGEST_LINE + 1):
                yield line
            while line := self._text.readline(LONGEST_LINE + 1):
                yield line
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from error


def without_terminal(text: str) -> str:
    """Return a text without what a terminal is told by it, such as colours."""
    return _TERMINAL.sub("", text) if "\x1b" in text else text


def _as_text(raw: io.BufferedReader, look_at: Callable[[bytes], None]) -> io.TextIOWrapper:
    begin = raw.peek(6)[:6]
    look_at(begin)
    begin = begin[:4]
    mark = begin[:2]
    # A heading may be in another encoding. A value that is not a number is an error that names its line.
    encoding = _MARKS.get(mark) or _wide_encoding(begin) or "utf-8-sig"
    return io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape" if encoding == "utf-8-sig" else "replace")


def _wide_encoding(begin: bytes) -> str:
    """Return the encoding of a text that begins with two ASCII characters of two bytes each and has no mark."""
    if len(begin) == 4 and begin[1] == begin[3] == 0 and 0 not in begin[::2]:
        return "utf-16-le"
    return "utf-16-be" if len(begin) == 4 and begin[0] == begin[2] == 0 and 0 not in begin[1::2] else ""


def _open(file: str) -> int:
    if Path(file).is_dir():
        raise UsageError(f"{file} cannot be read: Is a directory")
    return os.open(file, os.O_RDONLY | os.O_NONBLOCK)


class _Patient(io.RawIOBase):
    """Reads a descriptor; a pipe that stays silent is at its end."""

    def __init__(self, descriptor: int, *, is_named: bool) -> None:
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self._is_file = stat.S_ISREG(mode)
        # A named pipe that nobody has opened for writing yet reads as if it had ended.
        self._no_writer_until = time.monotonic() + NO_WRITER_S if is_named and stat.S_ISFIFO(mode) else 0.0
        self.has_fallen_silent = False

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, up to the length of ``buffer``; 0 at the end."""
        if self._is_file:
            return os.readv(self._descriptor, [buffer])
        while True:
            with contextlib.suppress(BlockingIOError):
                if not os.get_blocking(self._descriptor) or self._has_something():
                    count = os.readv(self._descriptor, [buffer])
                    if not count and time.monotonic() < self._no_writer_until:
                        time.sleep(0.02)
                        continue
                    self._no_writer_until = 0.0
                    return count
            if not self._has_something():
                self.has_fallen_silent = True
                return 0

    def _has_something(self) -> bool:
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        return bool(waiting.poll(SILENCE_S * 1000))

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
