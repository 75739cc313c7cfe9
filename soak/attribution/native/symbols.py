"""Turn a native address of a measured process into function, file, line, module and installed package.

Works on the text of /proc/PID/maps and the files it names, after or while the process runs, and never inside it.
Where no symbol covers an address, the place is ``module+0x1234``: the nearest exported name is not the function.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from soak.probes.mappings import parse_maps
from soak.results import Place

if TYPE_CHECKING:
    from soak.attribution.native.module_file import ModuleFile

_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


class Symbols:
    """Names places in one process's address space."""

    def __init__(self, maps: str) -> None:
        """Take the text of /proc/PID/maps."""
        self._mappings = parse_maps(maps)
        self._starts = [mapping.start for mapping in self._mappings]
        self._bases: dict[str, int] = {}
        for mapping in self._mappings:
            self._bases.setdefault(mapping.path, mapping.start)
        self._places: dict[int, tuple[Place, ...]] = {}

    def locate(self, return_address: int) -> Place:
        """Return the place of the call that returns to an address; unknown fields are None."""
        return self.frames(return_address)[0]

    def frames(self, return_address: int) -> tuple[Place, ...]:
        """Return the place of the call that returns to an address, and the calls of the functions it was inlined from.

        Innermost first, without what was inlined from the language's own library: ``Vec::push`` is in everything.
        """
        places = self._places.get(return_address)
        if places is None:
            places = self._places[return_address] = self._find(return_address - 1)
        return places

    def variable(self, address: int, path: str) -> str | None:
        """Return the static variable of the module at ``path`` that covers an address, or None."""
        base = self._bases.get(path)
        return None if base is None else _open_module(path).variable(address - base)

    def is_within(self, address: int, path: str) -> bool:
        """Tell whether an address lies in the module at ``path``, its zeroed data included."""
        base = self._bases.get(path)
        return base is not None and 0 <= address - base < _open_module(path).size

    def _find(self, address: int) -> tuple[Place, ...]:
        position = bisect_right(self._starts, address) - 1
        if position < 0 or address >= self._mappings[position].end:
            return (Place(f"0x{address:x}", None, None),)
        path = self._mappings[position].path
        offset = address - self._bases[path]
        if not path.startswith("/"):
            return (Place(f"{path or 'anonymous memory'}+0x{offset:x}", None, None, path or None),)
        unnamed = f"{Path(path).name}+0x{offset:x}"
        package = owning_package(path)
        return tuple(
            Place(function or unnamed, file, line, path, package)
            for function, file, line in _open_module(path).lookup(offset)
        )


@cache
def _open_module(path: str) -> ModuleFile:
    # Imported here, because the libraries that read such files take long to import, and what is clean needs no names.
    from soak.attribution.native.module_file import ModuleFile

    return ModuleFile(Path(path.removesuffix(" (deleted)")))


@cache
def owning_package(path: str) -> str | None:
    """Return ``name version`` of the installed package that a file belongs to, or None."""
    file = Path(path)
    for folder in file.parents:
        if folder.name in _PACKAGE_FOLDERS:
            inside = str(file.relative_to(folder))
            for record in folder.glob("*.dist-info/RECORD"):
                try:
                    listed = f"\n{inside}," in "\n" + record.read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue
                if listed:
                    name, _, version = record.parent.name.removesuffix(".dist-info").rpartition("-")
                    return f"{name} {version}"
    return None
