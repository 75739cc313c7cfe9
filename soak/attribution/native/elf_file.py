"""What soak reads from an ELF file: the addresses of its segments, and its tables of symbols.

Files of 64 bits, the lowest byte first, as on x86-64 and aarch64. Read as arrays: a library has tens of thousands of
symbols.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x7fELF\x02\x01"
"""With the class of 64 bits and the order of bytes."""
_HEADER = np.dtype(
    [("begin", "V32"), ("segments", "<u8"), ("sections", "<u8"), ("flags", "V6"), ("segment_size", "<u2"),
     ("segment_count", "<u2"), ("section_size", "<u2"), ("section_count", "<u2"), ("names", "<u2")]
)  # fmt: skip
"""Elf64_Ehdr."""
_SEGMENT = np.dtype(
    [("type", "<u4"), ("flags", "<u4"), ("offset", "<u8"), ("address", "<u8"), ("physical", "<u8"),
     ("in_file", "<u8"), ("in_memory", "<u8"), ("align", "<u8")]
)  # fmt: skip
"""Elf64_Phdr."""
_SECTION = np.dtype(
    [("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8"), ("offset", "<u8"), ("size", "<u8"),
     ("link", "<u4"), ("info", "<u4"), ("align", "<u8"), ("entry_size", "<u8")]
)  # fmt: skip
"""Elf64_Shdr."""
SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
"""Elf64_Sym."""
_LOAD = 1
"""The type of a segment that is loaded: PT_LOAD."""
_TABLES = (2, 11)
"""The types of sections with symbols: SHT_SYMTAB, then SHT_DYNSYM."""


class ElfFile:
    """One file, open for reading. Raises ValueError if it is none, or was cut off."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("not an ELF file of 64 bits with the lowest byte first")
        self._header = self._array(0, 1, _HEADER)[0]

    def loaded(self) -> tuple[int, int]:
        """Return the lowest address of what is loaded, and the address behind the highest; zeros if nothing is."""
        header = self._header
        found = self._array(int(header["segments"]), int(header["segment_count"]), _SEGMENT, header["segment_size"])
        loads = found[found["type"] == _LOAD]
        if not len(loads):
            return 0, 0
        return int(loads["address"].min()), int((loads["address"] + loads["in_memory"]).max())

    def symbol_tables(self) -> list[tuple[NDArray[np.void], bytes]]:
        """Return each table of symbols with the names in it, that of all symbols first."""
        header = self._header
        count = int(header["section_count"])
        sections = self._array(int(header["sections"]), count, _SECTION, header["section_size"])
        found = []
        for kind in _TABLES:
            for section in sections:
                if section["type"] == kind and section["link"] < count:
                    names = sections[section["link"]]
                    symbols = self._array(int(section["offset"]), int(section["size"]) // SYMBOL.itemsize, SYMBOL)
                    found.append((symbols, self._bytes(int(names["offset"]), int(names["size"]))))
        return found

    def _array(self, offset: int, count: int, kind: np.dtype[np.void], size: int | None = None) -> NDArray[np.void]:
        if size is not None and count and size != kind.itemsize:
            raise ValueError("entries of another size than those of ELF64")
        return np.frombuffer(self._bytes(offset, count * kind.itemsize), kind)

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(0, 2)
        if offset + size > self._file.tell():
            raise ValueError("the file was cut off")
        self._file.seek(offset)
        return self._file.read(size)
