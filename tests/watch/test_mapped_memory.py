"""Memory that a library of a watched program hands out itself is looked at now and then, of all processes together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ledger_builder import a_checkpoint

from soak.attribution.audit import Breakdown, Source
from soak.native.layout import MAPPING, NATIVE, ROW, SITE
from soak.probes.ledgers.tables import CountedProcess
from soak.running.scanning.mapped_memory import MappedMemory

KIB, SITE_OF_MMAP = 1024, 1


def process(domain: int) -> CountedProcess:
    """Return a process with one live block or mapping."""
    rows = np.zeros(1, ROW)
    rows["domain"], rows["site"], rows["live_blocks"] = domain, SITE_OF_MMAP, 1
    return CountedProcess(1, a_checkpoint(rows, np.zeros(2, SITE)), lambda site: site)


def looks(domain: int, kib: Sequence[int]) -> tuple[MappedMemory, list[int]]:
    """Look after each 100 cycles, when so much is resident; return the cycles at which it was read."""
    read_at: list[int] = []

    def read(cycle: int, _processes: Sequence[CountedProcess]) -> Breakdown:
        read_at.append(cycle)
        return Breakdown(cycle, 0, {Source("mapping", "", SITE_OF_MMAP): KIB * kib[cycle // 100]})

    memory = MappedMemory(read)
    for number in range(len(kib)):
        memory.look(100 * number, 1000.0 * number, [process(domain)])
    return memory, read_at


@pytest.mark.parametrize(
    ("kib", "may_grow"),
    [([40] * 100, False), (list(range(100)), True), ([min(n, 10) for n in range(100)], False)],
    ids=["stays", "grows", "grew at first"],
)
def test_what_is_mapped_may_hide_growth_where_more_and_more_is_resident(kib: list[int], *, may_grow: bool):
    memory, read_at = looks(MAPPING, kib)

    assert memory.may_hide_growth(9900, 1.0) is may_grow
    assert len(read_at) < 40


def test_a_program_that_maps_nothing_itself_is_not_read():
    memory, read_at = looks(NATIVE, list(range(100)))

    assert (memory.may_hide_growth(9900, 1.0), read_at) == (False, [])


def test_a_process_that_is_just_ending_is_left_out():
    def read(_cycle: int, _processes: Sequence[CountedProcess]) -> Breakdown:
        raise ProcessLookupError

    memory = MappedMemory(read)
    memory.look(100, 0.0, [process(MAPPING)])

    assert not memory.may_hide_growth(100, 1.0)
