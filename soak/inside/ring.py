"""The memory that the measured process and its parent share: a page of words, a text area, a ring of rows.

It is one mapped file. The child touches its pages first, so its resident size does not change while rows are written.
The child writes a row and then its sequence number; every row has a checksum. The parent reads without a lock, so it
can read the ring after the child was killed by any signal. All words are signed, of 64 bits, in native byte order.

======== ============================================================
offset   content
======== ============================================================
0        512 words, see the ``WORD_*`` constants
4096     text: first the settings (marshal), later the parent's question and the answer to it
24576    ``ROW_CAPACITY`` rows of ``len(ROW_FIELDS)`` words
155648   names of the threads (marshal), written after measuring, so these pages are not touched first
221184   a failure's report: the parent's question may come at any moment, so it has a place of its own
======== ============================================================
"""

from __future__ import annotations

import ctypes
import marshal
import mmap
import struct
import sys

MAGIC = 0x736F616B_00000005
HEADER_BYTES = 4096
TEXT_OFFSET = HEADER_BYTES
TEXT_BYTES = 20480
ROWS_OFFSET = TEXT_OFFSET + TEXT_BYTES

# Words written by the child.
WORD_MAGIC = 0
WORD_PHASE = 1
WORD_CYCLE = 2  # the cycle that runs, from 1; equals WORD_COMPLETED between cycles
WORD_COMPLETED = 3
WORD_ROWS_WRITTEN = 4  # futex: the parent waits on its low half
WORD_ROWS_LOST = 5
WORD_TEXT_BYTES = 6
WORD_LOOP_STARTED_NS = 7
WORD_FIRST_START_NS = 8
WORD_LAST_START_NS = 9
WORD_MISSED_DEADLINES = 10
WORD_WORST_LAG_NS = 11
WORD_CHECKPOINT_NS = 12  # time spent in checkpoints so far
WORD_GC_COLLECTED = 13  # 0 when the component has disabled gc or frozen objects; then soak does not collect either
WORD_FAILED_PHASE = 14
WORD_LOOP_ENDED_NS = 15
WORD_COUNTED = 16  # cycles completed at the last checkpoint
WORD_PAUSED_NS = 17  # for how long the loop has paused because the parent asked for it
WORD_USUAL_CHECKPOINT_NS = 18  # moving average of the time that a checkpoint takes
WORD_TYPE = 19  # the address of the type ``type``, by which a memory scan recognises objects
WORD_ANSWERED = 20  # 1 when the text area has the answer to the parent's question about objects
WORD_GC_FOUND = 21  # objects that the collection at the last checkpoint found to be garbage
WORD_COUNTING = 22  # 1 during a checkpoint, which collects garbage and so may run finalizers of the component
WORD_NAMES_BYTES = 23  # not 0: the loop has ended, the names of threads are written, the child waits for WORD_LISTED
WORD_WORST_PAUSE_NS = 24  # for how long a cycle waited for soak, at worst
WORD_SNAPSHOT = 25  # the number of a copy of the process, which the parent takes and clears; -1: not possible
WORD_SNAPSHOT_CYCLE = 26  # the cycle after which it was made
WORD_FAILURE_BYTES = 27
WORD_ALL_COLLECTED = 28  # 1 when the last checkpoint's collections left out no object, and no other interpreter has any
WORD_SNAPSHOT_CPU_NS = 29  # the processor time that the loop's thread took to make the latest copy
WORD_PAUSES = 64  # the first of the words that soak.inside.pauses describes
WORD_PAUSE_HISTOGRAM = 256  # the first of its buckets
# Words written by the parent.
WORD_STOP = 32  # what to do before the next cycle: GO_ON, STOP or PAUSE
WORD_ROWS_READ = 33  # futex: the child waits on its low half
WORD_SPACING = 34  # the most cycles between two checkpoints while these are cheap; 0: not known yet
WORD_EARLY_NS = 35  # no look of the rule reaches back to this first part of the loop: expensive checkpoints may be rare
WORD_HELD_NS = 36  # for how long the parent has stopped the process at checkpoints, to scan its memory
WORD_ASKED = 37  # which questions the child answers after the last cycle, see ASKED_*
WORD_HOLD = 38  # 1 while the parent examines the process at a checkpoint; the child then waits longer for it
WORD_MORE_CYCLES = 39  # how many unmeasured cycles may be run after the last one, to answer questions
WORD_WANTS_SNAPSHOT = 41  # 1: make a copy at the next checkpoint
WORD_LISTED = 40  # 1 when the parent has listed what is open after the last cycle

GO_ON, STOP, PAUSE = range(3)

ASKED_OBJECTS = 1  # the parent asks about objects, in the text area: see soak.inside.objects.answers
ASKED_GARBAGE = 2  # the parent asks what garbage collections find

PHASE_STARTING, PHASE_SETUP, PHASE_CYCLES, PHASE_TEARDOWN, PHASE_DONE, PHASE_FAILED = range(6)
PHASE_NAMES = ("start", "setup", "cycle", "teardown", "done", "failed")

ROW_FIELDS = (
    "cycle",
    "at_ns",
    "heap",
    "heap_free",
    "python_blocks_before_gc",
    "python_blocks",
    "gc_objects",
    "traced",
    "missed_deadlines",
    "worst_lag_ns",
    "checkpoint_ns",
    "gc_found",
    "spare_2",
    "spare_3",
    "checksum",
    "sequence",
)
NOT_READ = -1
"""The value of a field that was not read."""
ROW = struct.Struct("=%dq" % len(ROW_FIELDS))
ROW_CAPACITY = 1024
_SEQUENCE = struct.Struct("=q")
NAMES_OFFSET = ROWS_OFFSET + ROW_CAPACITY * ROW.size
NAMES_BYTES = 65536
_MOST_LINES, _MOST_NUMBERS = 8, 512
"""Of the lines in which most threads are, and of the newest threads; that is at most a third of the room."""
NO_NAMES = -1
"""The length, when the names could not be written."""
FAILURE_OFFSET, FAILURE_BYTES = NAMES_OFFSET + NAMES_BYTES, 16384
RING_BYTES = FAILURE_OFFSET + FAILURE_BYTES
PAGE_BYTES = 4096
_READ_WRITE, _PRIVATE_FIXED_ANONYMOUS = 0x3, 0x2 | 0x10 | 0x20  # Linux


def checksum(fields: tuple[int, ...], sequence: int) -> int:
    """Return a checksum of 62 bits of a row: its measured fields (all but the last two) and its sequence number."""
    total = sequence
    for value in fields:
        total = (total * 31 + value) & 0x3FFFFFFFFFFFFFFF
    return total


class Ring:
    """A mapped ring. The child writes rows by it, and the parent reads them."""

    def __init__(self, path: str) -> None:
        """Map the file at ``path``, which :func:`create` made. Raises OSError or ValueError when it is not a ring."""
        with open(path, "r+b", buffering=0) as file:
            self.map = mmap.mmap(file.fileno(), RING_BYTES)
        self.words: memoryview[int] = memoryview(self.map)[:HEADER_BYTES].cast("q")
        if self.words[WORD_MAGIC] != MAGIC:
            raise ValueError("%s is not a ring of this version of soak" % path)

    def touch(self) -> None:
        """Write a byte to each page up to the end of the rows, so that later writes do not change the resident size."""
        for offset in range(0, NAMES_OFFSET, PAGE_BYTES):
            self.map[offset] = self.map[offset]

    def write_text(self, content: bytes) -> None:
        """Write ``content`` to the text area, of which there are at most TEXT_BYTES."""
        self.map[TEXT_OFFSET : TEXT_OFFSET + len(content)] = content
        self.words[WORD_TEXT_BYTES] = len(content)

    def read_text(self) -> bytes:
        """Return the bytes in the text area."""
        return self.map[TEXT_OFFSET : TEXT_OFFSET + self.words[WORD_TEXT_BYTES]]

    def write_failure(self, content: bytes) -> None:
        """Write the report of a failure. When it is too long, leave out its middle."""
        if len(content) > FAILURE_BYTES:
            half = FAILURE_BYTES // 2 - 8
            content = content[:half] + b"\n [...] \n" + content[-half:]
        self.map[FAILURE_OFFSET : FAILURE_OFFSET + len(content)] = content
        self.words[WORD_FAILURE_BYTES] = len(content)

    def read_failure(self) -> bytes:
        """Return the report of a failure; empty if none was written."""
        return self.map[FAILURE_OFFSET : FAILURE_OFFSET + self.words[WORD_FAILURE_BYTES]]

    def write_names(self, names: dict[int, str], lines: dict[tuple[str, int, str], list[int]] | None = None) -> None:
        """Write the names of threads, by the kernel's number, without those for which there is no room.

        ``lines``: file, line and function in which threads are now, with their numbers.
        """
        most = sorted((lines or {}).items(), key=lambda item: -len(item[1]))[:_MOST_LINES]
        lines = {line: numbers[-_MOST_NUMBERS:] for line, numbers in most}
        content = marshal.dumps((names, lines), 2)
        while len(content) > NAMES_BYTES:
            names, lines = dict(list(names.items())[len(names) // 2 :]), lines if names else {}
            content = marshal.dumps((names, lines), 2)
        self.map[NAMES_OFFSET : NAMES_OFFSET + len(content)] = content
        self.words[WORD_NAMES_BYTES] = len(content)

    def read_names(self) -> dict[int, str]:
        """Return the names of threads by the kernel's number; empty before they are written."""
        return self._read_names()[0]

    def read_lines(self) -> dict[int, tuple[str, int, str]]:
        """Return file, line and function in which threads are, by the kernel's number, of those that are known."""
        return {number: line for line, numbers in self._read_names()[1].items() for number in numbers}

    def _read_names(self) -> tuple[dict[int, str], dict[tuple[str, int, str], list[int]]]:
        length = self.words[WORD_NAMES_BYTES]
        return marshal.loads(self.map[NAMES_OFFSET : NAMES_OFFSET + length]) if length > 0 else ({}, {})

    def write_row(self, fields: tuple[int, ...]) -> None:
        """Append a row (child). ``fields``: the values of ROW_FIELDS without the last two. Overwrites unread rows."""
        written = self.words[WORD_ROWS_WRITTEN]
        if written - self.words[WORD_ROWS_READ] >= ROW_CAPACITY:
            self.words[WORD_ROWS_LOST] += 1
        sequence = written + 1
        offset = ROWS_OFFSET + (written % ROW_CAPACITY) * ROW.size
        ROW.pack_into(self.map, offset, *fields, checksum(fields, sequence), 0)
        _SEQUENCE.pack_into(self.map, offset + ROW.size - _SEQUENCE.size, sequence)
        self.words[WORD_ROWS_WRITTEN] = sequence

    def read_row(self, number: int) -> tuple[int, ...] | None:
        """Return row ``number`` (from 0) as a tuple of ROW_FIELDS; None when it is incomplete or was overwritten."""
        row = ROW.unpack_from(self.map, ROWS_OFFSET + (number % ROW_CAPACITY) * ROW.size)
        if row[-1] != number + 1 or row[-2] != checksum(row[:-2], number + 1):
            return None
        return row

    def leave(self) -> None:
        """Replace the ring by private memory in which WORD_STOP says STOP (Linux only).

        For a process that the component forked and that returns into the loop. Nothing reads what it writes.
        """
        if sys.platform == "linux":
            map_memory = ctypes.CDLL(None).mmap
            map_memory.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
            map_memory(self.word_address(0), RING_BYTES, _READ_WRITE, _PRIVATE_FIXED_ANONYMOUS, -1, 0)
            self.words[WORD_STOP] = STOP
            self.words[WORD_ROWS_READ] = 1 << 62  # so that it does not wait for the parent

    def word_address(self, word: int) -> int:
        """Return the address of a word in this process, for a futex."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self.map, word * 8))


def create(path: str, settings: bytes) -> None:
    """Create the ring in a file that is empty or does not exist. ``settings``: marshal bytes for the text area.

    Raises FileExistsError when the file is not empty.
    """
    if len(settings) > TEXT_BYTES:
        raise ValueError("the settings take %d bytes; there is room for %d" % (len(settings), TEXT_BYTES))
    with open(path, "ab", buffering=0) as file:
        if file.tell():
            raise FileExistsError("%s exists already" % path)
        file.truncate(RING_BYTES)
    with open(path, "r+b", buffering=0) as file, mmap.mmap(file.fileno(), RING_BYTES) as area:
        words = memoryview(area)[:HEADER_BYTES].cast("q")
        words[WORD_MAGIC] = MAGIC
        words[WORD_TEXT_BYTES] = len(settings)
        words.release()
        area[TEXT_OFFSET : TEXT_OFFSET + len(settings)] = settings
