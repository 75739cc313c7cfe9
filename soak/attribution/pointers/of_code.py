"""Which words in the code objects of Python hold nothing: those between the instructions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.reachability import Pointers
from soak.probes.memory import ProcessMemory, read_each
from soak.probes.python_types import PythonTypes

_CODE, _TYPE_AT, _NO_END = "code", np.uint64(8), 1 << 63


def in_bytecode(
    pointers: Pointers,
    starts: NDArray[np.uint64],
    memory: ProcessMemory,
    types: PythonTypes,
    is_static: Callable[[NDArray[np.uint64]], NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    """Tell which pointers stand behind the fields of a code object; ``(pointers,)``.

    Since CPython 3.11 its bytecode stands there. Between the instructions it keeps what they found the last time:
    borrowed pointers, which stay when that is gone (Include/internal/pycore_code.h). ``starts``: of the block of
    Python's allocator in which each pointer stands. ``is_static``: tells which addresses are in a module's data, as the
    type of code objects is; the words of other objects need no look.
    """
    blocks, numbers = np.unique(starts, return_inverse=True)
    kinds = read_each(memory, blocks + _TYPE_AT, 1)[:, 0]
    may_be = distinct(kinds[is_static(kinds)]).tolist()
    sizes = {kind: types.basic_size(kind) for kind in may_be if types.is_type(kind) and types.name(kind) == _CODE}
    ends = np.array([sizes.get(kind, _NO_END) for kind in kinds.tolist()], np.uint64)
    found: NDArray[np.bool_] = pointers.sources - starts >= ends[numbers.reshape(-1)]
    return found
