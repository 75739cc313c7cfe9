"""The layout stands in C and in Python: every size, offset and constant is the same."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import numpy as np
import pytest

from soak.inside import tracker
from soak.native import build, layout

pytestmark = pytest.mark.native

STRUCTS = {
    "ledger_header": layout.HEADER,
    "ledger_checkpoint": layout.CHECKPOINT,
    "ledger_row": layout.ROW,
    "site": layout.SITE,
    "range": layout.RANGE,
    "opening": layout.OPENING,
    "creation": layout.CREATION,
    "leaf": layout.LEAF,
    "counted": layout.COUNTED,
    "counted_row": layout.COUNTED_ROW,
    "mapping": layout.MAPPING_ROW,
    "tables": layout.TABLES,
    "copying": layout.COPYING,
    "known_frame": np.dtype(tracker._KnownFrame),
}
NAMES_IN_C = {
    "REQUESTS": "LEDGER_REQUESTS",
    "RANGES": "LEDGER_RANGES",
    "NATIVE": "DOMAIN_NATIVE",
    "PYTHON_MEM": "DOMAIN_PYTHON_MEM",
    "PYTHON_OBJ": "DOMAIN_PYTHON_OBJ",
    "MAPPING": "DOMAIN_MAPPING",
    "PYMALLOC_ARENA": "DOMAIN_PYMALLOC_ARENA",
    "UNKNOWN_SITE": "SITE_UNKNOWN",
    "NATIVE_SITE": "SITE_NATIVE",
    "PYTHON_SITE": "SITE_PYTHON",
    "STACK_SITE": "SITE_STACK",
    "OPENING_SITE": "SITE_OPENING",
    "LAYOUT_VERSION": "LEDGER_VERSION",
}
"""Where a constant has another name in C than in Python."""
CONSTANTS = {
    name: value
    for module in (layout, tracker)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, int) and not isinstance(value, bool) and not name.startswith("_")
}


@pytest.fixture(scope="module")
def run_c(compiler: str, tmp_path_factory: pytest.TempPathFactory):
    """Give a function that runs statements of C after the headers and returns the words of each line printed."""
    folder = tmp_path_factory.mktemp("layout")

    def run(statements: Iterable[str]) -> list[list[str]]:
        program = folder / "program.c"
        body = "\n".join(statements)
        headers = '#include "callers/frames.h"\n#include <stdio.h>\n'
        program.write_text(f"{headers}int main(void)\n{{\n{body}\nreturn 0;\n}}\n", encoding="utf-8")
        command = [compiler, f"-I{build.SOURCE_FOLDER}", "-o", folder / "program", program]
        subprocess.run(command, check=True)
        output = subprocess.run([folder / "program"], capture_output=True, text=True, check=True).stdout
        return [line.split() for line in output.splitlines()]

    return run


@pytest.mark.parametrize("struct", STRUCTS)
def test_the_fields_of_a_struct_are_the_same_in_c(run_c, struct: str):
    """Same offsets, same sizes, and none that only C has."""
    dtype = STRUCTS[struct]
    assert dtype.fields is not None

    size, *found = run_c(
        [
            f'printf("%zu\\n", sizeof(struct {struct}));',
            *(
                f'printf("{name} %zu %zu\\n", offsetof(struct {struct}, {name}), sizeof((struct {struct} *)0)->{name});'
                for name in dtype.fields
            ),
        ]
    )

    expected = [[name, str(offset), str(kind.itemsize)] for name, (kind, offset, *_) in dtype.fields.items()]
    assert found == expected
    assert size == [str(dtype.itemsize)]


def test_the_constants_are_the_same_in_c(run_c):
    """Those of the readers, and those of the hook inside the measured process."""
    found = run_c(f'printf("{name} %llu\\n", (unsigned long long){NAMES_IN_C.get(name, name)});' for name in CONSTANTS)

    assert len(CONSTANTS) > 30
    assert found == [[name, str(value)] for name, value in CONSTANTS.items()]


def test_the_magic_words_are_the_same_in_c(run_c):
    assert run_c(['puts(LEDGER_MAGIC " " TABLES_MAGIC);']) == [
        [layout.LEDGER_MAGIC.decode(), layout.TABLES_MAGIC.decode()]
    ]
