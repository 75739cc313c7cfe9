"""Names for native addresses, of shared objects that are compiled here: with debug information, stripped, in C++."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from soak.attribution.native.symbols import Symbols, owning_package
from soak.results import Place

pytestmark = pytest.mark.native

LOADED_AT = 0x7F0000000000
SOURCE = """\
static int hidden(int x)
{
    return x * 3;
}

int twice(int x)
{
    int y = hidden(x);
    return y + x;
}
"""
CPP_SOURCE = """\
namespace frames {
struct Header {
    int size(int more) const;
};

int Header::size(int more) const
{
    return more + 1;
}
}
"""
SPLIT_SOURCE = """\
__attribute__((cold)) void fail(int x);

int careful(int x)
{
    if (x < 0)
        fail(x);
    return x * 3;
}

__asm__(".section .text.unlikely\\n.type another.cold, @function\\nanother.cold:\\n.text");
"""


def compiled(folder: Path, source: str, suffix: str, *options: str) -> Path:
    compiler = shutil.which("c++" if suffix == ".cpp" else "cc")
    if compiler is None:
        pytest.skip("no compiler")
    file, target = folder / f"frames{suffix}", folder / "frames.so"
    file.write_text(source, encoding="utf-8")
    command = [compiler, "-O0", "-shared", "-fPIC", "-fno-inline", *options, str(file), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def offset_of(library: Path, name: str) -> tuple[int, int]:
    """Return where a function lies from where the library is loaded, and its size."""
    with library.open("rb") as file:
        elf = ELFFile(file)
        base = min(segment["p_vaddr"] for segment in elf.iter_segments("PT_LOAD"))
        table = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
        assert isinstance(table, SymbolTableSection)
        symbol = next(symbol for symbol in table.iter_symbols() if symbol.name == name)
        return symbol["st_value"] - base, symbol["st_size"]


def symbols(library: Path) -> Symbols:
    """Map the library as the loader does, its parts one after the other."""
    lines = []
    with library.open("rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            start = LOADED_AT + segment["p_vaddr"] // 4096 * 4096
            end = LOADED_AT + -(-(segment["p_vaddr"] + segment["p_memsz"]) // 4096) * 4096
            lines.append(f"{start:x}-{end:x} r-xp {segment['p_offset']:08x} 08:01 1234    {library}")
    return Symbols("\n".join(lines) + "\n")


def test_a_function_compiled_with_debug_information_has_file_and_line(tmp_path: Path) -> None:
    """The line is that of the call, though the address is the one it returns to."""
    library = compiled(tmp_path, SOURCE, ".c", "-g")
    start, size = offset_of(library, "twice")

    places = [symbols(library).locate(LOADED_AT + start + at) for at in range(1, size)]

    assert {place.function for place in places} == {"twice"}
    assert {place.file for place in places} == {str(tmp_path / "frames.c")}
    assert [place.line for place in places] == sorted(place.line or 0 for place in places)
    assert {7, 8, 9} <= {place.line for place in places} <= {7, 8, 9, 10}
    assert {place.module for place in places} == {str(library)}


def test_a_static_function_without_debug_information_is_named_by_the_symbol_that_covers_it(tmp_path: Path) -> None:
    """There is no line, and none is guessed."""
    library = compiled(tmp_path, SOURCE, ".c")
    start, _ = offset_of(library, "hidden")

    place = symbols(library).locate(LOADED_AT + start + 4)

    assert place == Place("hidden", None, None, str(library))


def test_in_a_stripped_library_what_no_symbol_covers_is_module_and_offset(tmp_path: Path) -> None:
    """The nearest exported function is not taken for it, while that one itself still has its name."""
    library = compiled(tmp_path, SOURCE, ".c")
    hidden, _ = offset_of(library, "hidden")
    twice, _ = offset_of(library, "twice")
    subprocess.run(["strip", library], check=True)

    found = symbols(library)

    assert found.locate(LOADED_AT + hidden + 4) == Place(f"frames.so+0x{hidden + 3:x}", None, None, str(library))
    assert found.locate(LOADED_AT + twice + 4).function == "twice"


@pytest.mark.parametrize("options", [("-g",), ()])
def test_a_function_of_cpp_is_written_as_in_its_source(tmp_path: Path, options: tuple[str, ...]) -> None:
    """With debug information and without."""
    library = compiled(tmp_path, CPP_SOURCE, ".cpp", *options)
    start, _ = offset_of(library, "_ZNK6frames6Header4sizeEi")

    place = symbols(library).locate(LOADED_AT + start + 8)

    assert (place.function or "").startswith("frames::Header::size")
    assert place.line == (7 if options else None)


def test_addresses_outside_of_files_are_said_to_be_so(tmp_path: Path) -> None:
    """Memory without a file, and no memory at all."""
    found = Symbols(
        "7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n7f0000002000-7f0000003000 r-xp 0 00:00 0  [vdso]\n"
    )

    assert found.locate(0x7F0000000010) == Place("anonymous memory+0xf", None, None)
    assert found.locate(0x7F0000002010) == Place("[vdso]+0xf", None, None, "[vdso]")
    assert found.locate(0x10) == Place("0xf", None, None)


def test_a_file_that_is_gone_or_no_library_gives_module_and_offset(tmp_path: Path) -> None:
    """A library may be replaced while it runs."""
    text = tmp_path / "text.so"
    text.write_text("no ELF", encoding="utf-8")
    maps = (
        f"7f0000000000-7f0000001000 r-xp 00000000 08:01 5 {tmp_path}/gone.so (deleted)\n"
        f"7f0000002000-7f0000003000 r-xp 00000000 08:01 6 {text}\n"
    )

    assert (Symbols(maps).locate(0x7F0000000010).function or "").startswith("gone.so")
    assert Symbols(maps).locate(0x7F0000002010).function == "text.so+0xf"


def test_a_library_is_of_the_package_whose_record_lists_it(tmp_path: Path) -> None:
    """Name and version of the distribution; nothing for a file that none lists."""
    site = tmp_path / "lib" / "site-packages"
    for folder in ("numpy/_core", "numpy.libs", "numpy-2.3.1.dist-info", "other_thing-0.5.dist-info"):
        (site / folder).mkdir(parents=True)
    record = "numpy/__init__.py,sha256=x,10\nnumpy/_core/multiarray.so,sha256=y,20\nnumpy.libs/blas.so,,\n"
    (site / "numpy-2.3.1.dist-info" / "RECORD").write_text(record, encoding="utf-8")
    (site / "other_thing-0.5.dist-info" / "RECORD").write_text("other.so,,\n", encoding="utf-8")

    assert owning_package(str(site / "numpy/_core/multiarray.so")) == "numpy 2.3.1"
    assert owning_package(str(site / "numpy.libs/blas.so")) == "numpy 2.3.1"
    assert owning_package(str(site / "other.so")) == "other_thing 0.5"
    assert owning_package(str(site / "core/multiarray.so")) is None
    assert owning_package("/usr/lib/libz.so.1") is None


def test_a_function_that_the_compiler_split_has_its_own_name(tmp_path: Path) -> None:
    """Its unlikely part lies elsewhere, and DWARF's reader takes the name of the function from there."""
    library = compiled(tmp_path, SPLIT_SOURCE, ".c", "-g", "-O2")
    hot, cold = offset_of(library, "careful"), offset_of(library, "careful.cold")

    names = {symbols(library).locate(LOADED_AT + start + 1).function for start, _ in (hot, cold)}

    assert names == {"careful"}
