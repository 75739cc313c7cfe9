"""Find the tables of CPython's dicts that are half empty, in a process that may run on meanwhile."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from soak.analysis.sites.survivors import HalfEmptyTable
from soak.native.layout import PYTHON_OBJ
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import ShadowError
from soak.probes.ledgers.shadow import read_blocks
from soak.probes.memory import ProcessMemory
from soak.running.scanning.naming.objects import ObjectReader

_MOST_BLOCKS = 4_000_000
"""To list more takes seconds."""


def find_half_empty_tables(pid: int, checkpoint: Checkpoint, sites: Collection[int]) -> list[HalfEmptyTable]:
    """Return the half-empty tables among the blocks of some call sites that were allocated in cycles; else nothing."""
    if int(checkpoint.rows["live_blocks"].sum()) > _MOST_BLOCKS:
        return []
    try:
        memory = ProcessMemory(pid)
    except OSError:
        return []
    try:
        blocks = read_blocks(memory, checkpoint).born_in_cycles()
        owners = checkpoint.site_table.owners
        of_site = owners[np.minimum(blocks.sites, len(owners) - 1)]
        chosen = np.flatnonzero(np.isin(of_site, list(sites)) & (blocks.domains == PYTHON_OBJ))
        reader, found = ObjectReader(memory), []
        for number in chosen.tolist():
            size = int(blocks.sizes[number])
            half = reader.half_of_table(int(blocks.addresses[number]), size)
            if half:
                found.append(HalfEmptyTable(int(of_site[number]), int(blocks.cycles[number]), size, half))
        return found
    except ShadowError:
        return []
    finally:
        memory.close()
