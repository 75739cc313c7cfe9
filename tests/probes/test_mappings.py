"""What the kernel writes of a process's mappings, and what is read of it."""

from __future__ import annotations

from soak.probes.mappings import Mapping, parse_maps, parse_smaps

SMAPS = """\
55a0c0de0000-55a0c0de2000 r-xp 00001000 fe:00 1234                       /opt/my program (deleted)
Size:                  8 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   4 kB
Pss:                   1 kB
VmFlags: rd ex mr mw me
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                  16 kB
Referenced:           16 kB
VmFlags: rd wr mr mw me gd ac
7ffd00100000-7ffd00101000 ---p 00000000 00:00 0\x20
Size:                  4 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
VmFlags: mr mw me
"""
MAPPINGS = [
    Mapping(0x55A0C0DE0000, 0x55A0C0DE2000, "r-xp", "/opt/my program (deleted)"),
    Mapping(0x7FFD00000000, 0x7FFD00021000, "rw-p", "[stack]"),
    Mapping(0x7FFD00100000, 0x7FFD00101000, "---p", ""),
]


def test_smaps_is_read_as_the_kernel_writes_it():
    """A path with spaces, a name in brackets, no name at all."""
    assert parse_smaps(SMAPS) == list(zip(MAPPINGS, [4096, 16384, 0], strict=True))


def test_maps_has_the_same_lines_without_the_sizes():
    maps = "".join(line for line in SMAPS.splitlines(keepends=True) if "-" in line.split()[0])

    assert len(maps.splitlines()) == 3
    assert parse_maps(maps) == MAPPINGS


def test_a_process_of_nothing_has_no_mappings():
    """The files of a zombie in /proc are empty."""
    assert parse_maps("") == []
    assert parse_smaps("") == []
