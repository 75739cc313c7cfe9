"""The layout of the tracker's memory and of its ledger file: ``layout.h``, for numpy.

All readers use this module. A test compiles ``layout.h`` and compares every size, offset and constant.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

LEDGER_MAGIC, TABLES_MAGIC = b"soakledg", b"soaktabl"
LEDGER_VERSION = 13
REQUESTS = 64
RANGES = 256
DESCRIPTORS_LIMIT, TASKS_LIMIT = 1 << 16, 1 << 12
CREATIONS_LIMIT, CREATION_NAME, CREATION_UNWRITTEN = 1024, 320, 1

STATE_NATIVE, STATE_PYTHON_DOMAINS, STATE_PYTHON_LINES, STATE_NATIVE_STACKS, STATE_OBJECTS = 1, 2, 4, 8, 16
STATE_NO_PYTHON, STATE_FILTERED = 32, 64

NATIVE, PYTHON_MEM, PYTHON_OBJ, MAPPING, PYMALLOC_ARENA = DOMAINS = range(5)
"""Domains. No total includes MAPPING and PYMALLOC_ARENA."""

UNKNOWN_SITE, NATIVE_SITE, PYTHON_SITE, STACK_SITE, OPENING_SITE = range(1, 6)
"""Kinds of sites."""
SITE_FLAGGED = 1

(
    CREATED_PATH,
    CREATED_MOVED,
    CREATED_REPLACING,
    CREATED_QUEUE,
    CREATED_SEGMENT,
    CREATED_SEMAPHORES,
    CREATED_MESSAGES,
) = range(1, 8)
"""Kinds of creations."""

FRAME_PYTHON, FRAME_PYTHON_ENTRY = 1 << 63, 1 << 62

BUCKETS_EXACT, BUCKETS_PER_OCTAVE = 8, 4

# A slot: one word for each 2**grain_bits bytes of heap, as its leaf says.
SITE_BITS = 17
SITE_LIMIT = 1 << SITE_BITS
SITE_MASK = SITE_LIMIT - 1
DOMAIN_SHIFT, DOMAIN_MASK = 17, 3
BIG_BIT = 1 << 20
HALF_SHIFT = 21
SIZE_SHIFT, SIZE_LIMIT = 22, 1 << 18
EPOCH_SHIFT, EPOCH_BITS = 40, 24

LEAF_SLOTS = LEAF_LIMIT = MAPPINGS_LIMIT = 1 << 16

HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("row_capacity", "<u4"),
        ("site_capacity", "<u4"),
        ("string_capacity", "<u4"),
        ("stack_capacity", "<u4"),
        ("reserved", "<u4"),
        ("file_size", "<u8"),
        ("sites_at", "<u8"),
        ("strings_at", "<u8"),
        ("stacks_at", "<u8"),
        ("checkpoint_at", "<u8", 2),
        ("descriptors_at", "<u8"),
        ("tasks_at", "<u8"),
        ("creations_at", "<u8"),
        ("request_sequence", "<u4"),
        ("request_count", "<u4"),
        ("request_sites", "<u4", REQUESTS),
        ("request_done", "<u4"),
        ("latest", "<u4"),
        ("pid", "<u4"),
        ("state", "<u4"),
        ("saved_bytes", "<i8"),
        ("packing_turn", "<u4"),
        ("reserved2", "<u4"),
    ]
)
CHECKPOINT = np.dtype(
    [
        ("sequence", "<u8"),
        ("cycle", "<u8"),
        ("shift", "<u4"),
        ("rows", "<u4"),
        ("sites", "<u4"),
        ("strings", "<u4"),
        ("stacks", "<u4"),
        ("ranges", "<u4"),
        ("live_blocks", "<u8"),
        ("live_bytes", "<u8"),
        ("unlisted_blocks", "<u8"),
        ("unlisted_bytes", "<u8"),
        ("lost_blocks", "<u8"),
        ("lost_sites", "<u8"),
        ("lost_mappings", "<u8"),
        ("scan_ns", "<u8"),
        ("reinstalled", "<u8"),
        ("reserved", "<u8", 3),
    ]
)
ROW = np.dtype(
    [
        ("site", "<u4"),
        ("domain", "u1"),
        ("reserved", "u1"),
        ("bucket", "<u2"),
        ("live_blocks", "<u8"),
        ("live_bytes", "<u8"),
        ("next", "<u4"),
        ("reserved2", "<u4"),
    ]
)
SITE = np.dtype(
    [
        ("key", "<u8"),
        ("address", "<u8"),
        ("kind", "<u4"),
        ("parent", "<u4"),
        ("file", "<u4"),
        ("function", "<u4"),
        ("line", "<u4"),
        ("instruction", "<u4"),
        ("flags", "<u4"),
        ("stacks", "<u4"),
    ]
)
RANGE = np.dtype([("start", "<u8"), ("end", "<u8")])
OPENING = np.dtype([("number_and_site", "<u8"), ("cycle", "<u8")])
CREATIONS = np.dtype([("last_serial", "<u8"), ("used", "<u4"), ("lost", "<u4")])
"""What stands before the places of the table."""
CREATION = np.dtype(
    [
        ("serial", "<u8"),
        ("taken", "<u8"),
        ("key", "<u8"),
        ("cycle", "<u8"),
        ("device", "<u8"),
        ("number", "<u8"),
        ("kind", "<u4"),
        ("site", "<u4"),
        ("process", "<u4"),
        ("reserved", "<u4"),
        ("name", f"S{CREATION_NAME}"),
    ]
)
LEAF = np.dtype([("slots", "<u8"), ("base", "<u8"), ("grain_bits", "<u8"), ("counted", "<u8")])
PACKED_GROUP = 64
PACKED_GROUPS = LEAF_SLOTS // PACKED_GROUP
PACKED_FORM = np.dtype([("count", "<u4"), ("kinds", "<u2"), ("code_bytes", "<u2")])
PACKED = np.dtype([("used", "<u8", PACKED_GROUPS), ("before", "<u2", PACKED_GROUPS), ("form", PACKED_FORM)])
"""What stands before the words of a packed leaf."""
LEAF_PAGE_BYTES = 4096
LEAF_PAGES = LEAF_SLOTS * 8 // LEAF_PAGE_BYTES
COUNTED_ROW = np.dtype(
    [
        ("site_and_domain", "<u4"),
        ("bucket", "<u2"),
        ("reserved", "<u2"),
        ("blocks", "<u4"),
        ("reserved2", "<u4"),
        ("bytes", "<u8"),
    ]
)
COUNTED_ROWS = 40
COUNTED = np.dtype(
    [
        ("is_known", "<u4"),
        ("count", "<u4"),
        ("touched_ns", "<u8"),
        ("packed", "<u8"),
        ("tried_ns", "<u8"),
        ("tried", "<u4"),
        ("still_empty", "<u4"),
        ("emptied", "<u8", LEAF_PAGES // 64),
        ("copy_bytes", "<u8"),
        ("rows", COUNTED_ROW, COUNTED_ROWS),
    ]
)
MAPPING_ROW = np.dtype([("start", "<u8"), ("end", "<u8"), ("cycle", "<u8"), ("site", "<u4"), ("domain", "<u4")])


@dataclass(frozen=True)
class TablePlaces:
    """Where the tables of a process are. After an exec the process is another one, with another ``started_ns``."""

    pid: int
    started_ns: int
    own_at: int
    forked_at: int
    wanted_collections_at: int
    state_at: int
    cycle_at: int
    leaves: int
    leaf_count_at: int
    sites: int
    site_count_at: int
    site_cache: int
    site_cache_words: int
    frame_cache: int
    frame_cache_words: int
    strings: int
    strings_used_at: int
    stacks: int
    stacks_used_at: int
    mappings: int
    mapping_count_at: int
    ranges: int
    range_count_at: int
    lost_blocks_at: int
    lost_sites_at: int
    lost_mappings_at: int
    labels: int
    copying: int


LABELS, LABEL_SIZE, LABELED_MARKS = 1002, 64, 1 << 16
LABEL_TABLE = np.dtype(
    [
        ("count", "<u4"),
        ("rows", "<u4"),
        ("is_full", "<u4"),
        ("unused", "<u4"),
        ("names", f"S{LABEL_SIZE}", LABELS),
        ("of_mark", "<u2", LABELED_MARKS),
    ]
)
COPYING = np.dtype(
    [
        ("wanted", "<u8"),
        ("reader", "<u8"),
        ("taken", "<u8"),
        ("done", "<u8"),
        ("copy", "<i8"),
        ("took_ns", "<u8"),
        ("busy_ns", "<u8"),
    ]
)
TABLES = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("pid", "<u4"),
        *((place.name, "<u8") for place in fields(TablePlaces) if place.name != "pid"),
    ]
)
