"""What soak reads of ELF files: the same as pyelftools, and nothing of a file that is none or was cut off."""

from __future__ import annotations

import _json
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from soak.attribution.native.elf_file import ElfFile
from soak.attribution.native.module_file import ModuleFile

MODULES = [Path(file).resolve() for file in (sys.executable, getattr(_json, "__file__", None) or sys.executable)]


@pytest.mark.parametrize("path", dict.fromkeys(MODULES))
def test_segments_and_symbols_are_those_that_another_reader_finds(path: Path):
    with path.open("rb") as file:
        elf = ELFFile(file)
        loads = [(load["p_vaddr"], load["p_vaddr"] + load["p_memsz"]) for load in elf.iter_segments("PT_LOAD")]
        base = min(begin for begin, _ in loads)
        functions = {
            symbol["st_value"] - base
            for name in (".symtab", ".dynsym")
            if (table := elf.get_section_by_name(name)) is not None
            for symbol in table.iter_symbols()
            if symbol["st_size"] and symbol["st_info"]["type"] == "STT_FUNC"
        }
        file.seek(0)
        found = ElfFile(file)
        assert found.loaded() == (base, max(end for _, end in loads))

    assert set(ModuleFile(path)._functions[0]) == functions
    assert ModuleFile(path).size == max(end for _, end in loads) - base


@pytest.mark.parametrize("kept", [0, 4, 40, 64, 70, 4096])
def test_a_file_that_was_cut_off_has_no_symbols(tmp_path: Path, kept: int):
    (tmp_path / "cut").write_bytes(MODULES[0].read_bytes()[:kept])

    module = ModuleFile(tmp_path / "cut")

    assert (module.size >= 0, module.variable(0), module.lookup(0)) == (True, None, [(None, None, None)])


def test_what_is_no_elf_file_of_64_bits_is_refused(tmp_path: Path):
    (tmp_path / "text").write_bytes(b"#!/bin/sh\n" * 20)
    (tmp_path / "of 32 bits").write_bytes(b"\x7fELF\x01\x01\x01" + bytes(200))

    assert [ModuleFile(tmp_path / name).size for name in ("text", "of 32 bits", "missing")] == [0, 0, 0]
