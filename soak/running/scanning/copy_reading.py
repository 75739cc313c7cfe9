"""Read a copy of a watched process: what became of the blocks of its sites that grow, and who holds them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soak.attribution.holders import Memory, SiteScan
from soak.attribution.object_answers import SiteAnswer
from soak.native.layout import PYTHON_OBJ
from soak.probes.ledgers.packed import ShadowError
from soak.probes.ledgers.shadow import Blocks, read_blocks
from soak.probes.ledgers.tables import LiveTables
from soak.probes.memory import ProcessMemory
from soak.probes.python_types import PythonTypes
from soak.running.scanning.naming.ways import name_holders
from soak.running.scanning.scan.memory_scan import MemoryScan
from soak.running.scanning.scan.seen_memory import TooLongError

_LONGEST_S = 20.0
_MOST_HEADS = 64
_TYPE = "type"

Date = Callable[[Blocks, NDArray[np.uint32], int], Blocks]
"""Takes all live blocks, the site that each belongs to and the process's latest mark; returns them with the cycles in
which they were born."""


@dataclass(frozen=True)
class CopyRead:
    """What stood in a copy."""

    sites: dict[int, SiteScan]
    """By its own number of the site."""
    answers: dict[int, SiteAnswer]
    """Of sites whose objects are held: the way from a module, where it was found."""
    memory: Memory


class UnreadableError(Exception):
    """The copy could not be read to its end; the message says why, as a phrase."""


def read_copy(
    tables: LiveTables, sites: Collection[int], cycle: int, date: Date, named: Collection[int] = ()
) -> CopyRead:
    """Look for pointers to the blocks of these sites in a copy that waits. Raises UnreadableError.

    ``cycle``: at which it was made. ``named``: sites whose holders are known by name.
    """
    try:
        memory = ProcessMemory(tables.pid)
    except OSError as error:
        raise UnreadableError(error.strerror or "it is gone") from error
    try:
        read = _read(tables, memory, sites, cycle, date, named)
    except (OSError, ShadowError, TooLongError) as error:
        raise UnreadableError(str(error)) from error
    finally:
        memory.close()
    if not tables.is_there():
        # Of memory that is gone nothing is read: what it pointed to would seem lost.
        raise UnreadableError("it ended before it was read")
    return read


def _read(
    tables: LiveTables,
    memory: ProcessMemory,
    sites: Collection[int],
    cycle: int,
    date: Date,
    named: Collection[int],
) -> CopyRead:
    checkpoint = tables.read()
    if checkpoint is None:
        raise UnreadableError("it ended before it was read")
    blocks = read_blocks(memory, checkpoint)
    owners = checkpoint.site_table.owners.astype(np.uint32)
    blocks = date(blocks, owners[np.minimum(blocks.sites, len(owners) - 1)], checkpoint.cycle)
    own = np.array(sorted(sites), np.uint32)
    checkpoint = replace(checkpoint, cycle=cycle)
    scan = MemoryScan(memory, checkpoint, own, type_address(memory, blocks), _LONGEST_S, blocks)
    scan.run()
    found = dict(scan.sites())
    unnamed = {site: seen for site, seen in found.items() if site not in named}
    return CopyRead(found, name_holders(scan, unnamed), scan.memory_map())


def type_address(memory: ProcessMemory, blocks: Blocks) -> int:
    """Return where ``type`` is, the one object whose type it is itself; 0 in what is no Python."""
    types = PythonTypes(memory, 0)
    objects = np.flatnonzero(blocks.domains == PYTHON_OBJ)
    for block in objects[:: max(1, len(objects) // _MOST_HEADS)].tolist():
        head = memory.read(int(blocks.addresses[block]), int(min(6, blocks.sizes[block] // 8))).tolist()
        for kind in head[1::2]:
            for candidate in (kind, _type_of(memory, kind), _type_of(memory, _type_of(memory, kind))):
                if candidate and _type_of(memory, candidate) == candidate and types.name(candidate) == _TYPE:
                    return int(candidate)
    return 0


def _type_of(memory: ProcessMemory, address: int) -> int:
    if not address or address % 8:
        return 0
    words = memory.read(address + 8, 1)
    return int(words[0]) if len(words) else 0
