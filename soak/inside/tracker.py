"""The hook into the allocation tracker, for code in the measured process.

``connect`` returns a `Tracker` when the library was preloaded. Otherwise it returns a `NoTracker`, whose methods do
nothing; its ``reason`` says why there is no tracker. Stdlib only, CPython 3.8 and later.

    tracker = connect()
    tracker.start("/path/of/the/ledger")    # before the component is imported
    cell = tracker.cycle                    # a memoryview; to store a number in it marks a cycle
    for number in range(1, cycles + 1):
        cell[0] = number                    # 0 means before the first cycle
        component()
        if at_a_checkpoint:
            tracker.checkpoint()            # the parent reads the ledger with soak.native.ledger

After ``start`` has returned, nothing here allocates memory that stays: a checkpoint is one call into C.
"""

# ruff: noqa: ARG002  (NoTracker has the same parameters as Tracker, but does not use them)

from __future__ import annotations

import ctypes
import gc
import os
import sys

LIBRARY_PREFIX = "libsoak_tracker"
LAYOUT_VERSION = 13
LABELS, LABEL_SIZE, LABELED_MARKS = 1002, 64, 1 << 16
LOADER_VARIABLE = "LD_PRELOAD"
WATCH_VARIABLE = "SOAK_WATCH"

STATE_NATIVE = 1
STATE_PYTHON_DOMAINS = 2

_WHY_NO_OBJECTS = (
    None,
    "soak does not support this for CPython %s on this processor",
    "the program itself traces its objects",
    "the code of this CPython %s is not as expected",
    "the system does not allow changes to the code of the interpreter",
)
"""By the result of ``soak_start_objects``."""

_OBJECT_OFFSETS = (0, 16, 32)
"""Where an object may begin in its block: at the start, after the header of gc, or after a pre-header and that one."""


class _KnownFrame(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_size_t),
        ("caller_code", ctypes.c_size_t),
        ("file", ctypes.c_size_t),
        ("function", ctypes.c_size_t),
        ("bytecode_bytes", ctypes.c_uint64),
        ("first_line", ctypes.c_uint32),
    )


class _Labels(ctypes.Structure):
    _fields_ = (
        ("counts", ctypes.c_uint32 * 4),
        ("names", ctypes.c_uint8 * (LABELS * LABEL_SIZE)),
        ("of_mark", ctypes.c_uint16 * LABELED_MARKS),
    )


class NoTracker:
    """Replaces the tracker where none was preloaded, so that a program can mark its cycles all the same."""

    active = False
    covers: tuple[str, ...] = ()

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.cycle = memoryview(bytearray(8)).cast("Q")

    def start(self, ledger: str, follow: str = "") -> tuple[str, ...]:
        """Record nothing, and return that nothing is recorded."""
        return ()

    def checkpoint(self) -> int:
        """Return 0: no checkpoint was written."""
        return 0

    def snapshot(self) -> int:
        """Return -1: there is no copy of the process."""
        return -1

    def site_of(self, address: int) -> int:
        """Return 0: no site is known."""
        return 0

    def pack_within(self, most_ns: int) -> None:
        """Do nothing: there are no tables."""

    def go_on_in_children(self, wanted: bool) -> None:
        """Do nothing: there is no tracker in forked processes either."""


class Tracker:
    """The preloaded library; a process has one."""

    active = True

    def __init__(self, library: ctypes.PyDLL) -> None:
        self._library = library
        self._declare()
        address = library.soak_cycle()
        self._cell = ctypes.c_uint64.from_address(address)  # kept here, because the memoryview does not keep it
        # Both casts are needed: the format of ctypes is "<Q", and a memoryview of that format is read-only.
        self.cycle = memoryview(self._cell).cast("B").cast("Q")
        self.reason: str | None = None
        self.covers: tuple[str, ...] = ()
        self.python_lines_reason: str | None = "the tracker was not started"
        self.objects_reason: str | None = self.python_lines_reason
        self._write_checkpoint = library.soak_checkpoint

    def start(self, ledger: str, follow: str = "") -> tuple[str, ...]:
        """Open the ledger at this path, and record Python's domains as well.

        ``follow``: the file to which the processes that this one starts tell where their tables are; without it they
        are not tracked. Returns what is recorded, ``("native", "python")`` at best. Call it once, before the component
        is imported. Raises ``OSError`` when the ledger cannot be created.
        """
        if not follow:
            _take_out_of_environment()
        failed = self._library.soak_open_ledger(os.fsencode(ledger))
        if failed:
            raise OSError(failed, os.strerror(failed), ledger)
        self._library.soak_start()
        self.python_lines_reason = _why_no_python() or self._start_python()
        self.objects_reason = self.python_lines_reason or self._start_objects()
        if follow:  # now that all tables exist
            os.environ[WATCH_VARIABLE] = "0:" + follow
            self._library.soak_follow(os.fsencode(follow))
        state = self._library.soak_state()
        names = (("native", STATE_NATIVE), ("python", STATE_PYTHON_DOMAINS))
        self.covers = tuple(name for name, bit in names if state & bit)
        return self.covers

    def checkpoint(self) -> int:
        """Write what is alive into the ledger, and return the number of the checkpoint; -1 in a forked child.

        This also flags the sites that the parent asked for.
        """
        return int(self._write_checkpoint())

    def pack_within(self, most_ns: int) -> None:
        """Say for how long a checkpoint may pack tables that do not change."""
        self._library.soak_pack_within(most_ns)

    def go_on_in_children(self, wanted: bool) -> None:
        """Say whether processes forked from now on keep what is recorded, to start ledgers of their own."""
        self._library.soak_go_on_in_children(int(wanted))

    def labels(self) -> tuple[memoryview[int], memoryview[int], memoryview[int]]:
        """Return the table of labels: counts (used, rows, whether it is full), names, and the labels of marks."""
        self._library.soak_labels.restype = ctypes.POINTER(_Labels)
        self._label_table = self._library.soak_labels().contents
        parts = (self._label_table.counts, self._label_table.names, self._label_table.of_mark)
        counts, names, of_mark = (memoryview(part).cast("B") for part in parts)
        return counts.cast("I"), names, of_mark.cast("H")

    def snapshot(self) -> int:
        """Make a copy of the process that stands still, a child of its parent; return its number, or -1.

        The parent has to end it.
        """
        return int(self._library.soak_snapshot())

    def site_of(self, address: int) -> int:
        """Return the site that allocated the object at ``address``; 0 when the tracker does not know it."""
        starts = (address - before for before in _OBJECT_OFFSETS)
        return next((site for site in map(self._library.soak_site_of, starts) if site), 0)

    def _declare(self) -> None:
        library = self._library
        library.soak_cycle.restype = ctypes.c_void_p
        library.soak_open_ledger.argtypes = (ctypes.c_char_p,)
        library.soak_follow.argtypes = (ctypes.c_char_p,)
        library.soak_checkpoint.restype = ctypes.c_long
        library.soak_snapshot.restype = ctypes.c_long
        library.soak_start.restype = ctypes.c_uint32
        library.soak_state.restype = ctypes.c_uint32
        library.soak_pack_within.argtypes = (ctypes.c_uint64,)
        library.soak_start_lines.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(_KnownFrame))
        library.soak_site_of.argtypes = (ctypes.c_void_p,)
        library.soak_site_of.restype = ctypes.c_uint32

    def _start_python(self) -> str | None:
        """Compare the table of offsets with the running frame, and hook Python's allocators.

        Returns the reason why blocks have no line, or None when they have one.
        """
        known = _KnownFrame()

        def ask() -> int:
            major, minor = sys.version_info[:2]
            return int(self._library.soak_start_lines(major, minor, ctypes.byref(known)))

        code = ask.__code__
        known.code = id(code)
        known.caller_code = id(sys._getframe().f_code)
        known.file = id(code.co_filename)
        known.function = id(code.co_qualname if sys.version_info >= (3, 11) else code.co_name)
        known.bytecode_bytes = len(code.co_code)
        known.first_line = code.co_firstlineno
        failed = ask()
        if self._library.soak_start_python() != 0:
            return "this interpreter has no allocator hooks"
        version = "%d.%d" % sys.version_info[:2]
        if failed == -1:
            return "the frames of CPython %s are not known" % version
        if failed:
            return "the frames of this CPython %s are laid out differently (check %d)" % (version, failed)
        return None

    def _start_objects(self) -> str | None:
        """Follow objects that take over the blocks of others; return the reason why they are not followed, or None."""
        result = int(self._library.soak_start_objects(*sys.version_info[:2]))
        reason = _WHY_NO_OBJECTS[result]
        if reason is None:
            gc.collect()  # empties the free lists: their blocks are older than the hook, so they are not tracked
            return None
        return reason % ("%d.%d" % sys.version_info[:2]) if "%s" in reason else reason


_connected: Tracker | NoTracker | None = None


def connect() -> Tracker | NoTracker:
    """Return the process's `Tracker`, or a `NoTracker` that says why there is none."""
    global _connected
    if _connected is None:
        _connected = _find()
    return _connected


def _find() -> Tracker | NoTracker:
    try:
        # PyDLL keeps the interpreter's lock, which the hooks of Python's domains need.
        library = ctypes.PyDLL(None)
        version = library.soak_layout_version()
    except (AttributeError, OSError):
        return NoTracker(_why_not_preloaded())
    if version != LAYOUT_VERSION:
        return NoTracker("the preloaded tracker has layout %d, this hook needs %d" % (version, LAYOUT_VERSION))
    return Tracker(library)


def _why_not_preloaded() -> str:
    if LIBRARY_PREFIX in os.environ.get(LOADER_VARIABLE, ""):
        return "the loader did not load the tracker (a static or setuid program, another libc, or an unreadable file)"
    return "the tracker was not preloaded"


def _why_no_python() -> str | None:
    if sys.implementation.name != "cpython":
        return "%s is not CPython" % sys.implementation.name
    if "free-threading" in sys.version:
        return "free-threaded CPython: native blocks only"
    return None


def _take_out_of_environment() -> None:
    """Remove the tracker from the environment, so that child processes are not tracked. Other preloads stay."""
    listed = os.environ.get(LOADER_VARIABLE)
    if listed is None:
        return
    kept = [path for path in listed.replace(" ", ":").split(":") if path and LIBRARY_PREFIX not in path]
    if kept:
        os.environ[LOADER_VARIABLE] = ":".join(kept)
    else:
        del os.environ[LOADER_VARIABLE]
