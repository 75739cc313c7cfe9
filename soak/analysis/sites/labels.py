"""What is kept for each label of marks: of the blocks that growing call sites keep, those born in cycles of a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soak.results import LabelGrowth

_EPOCHS = 1 << 24
_FEWEST_CYCLES = 8
"""Of fewer cycles of a label nothing is told by itself."""
_YOUNG = 16
"""What the newest cycles made may still be at work."""
OTHERS = "other labels"


def growth_by_label(
    births: NDArray[np.int64],
    sizes: NDArray[np.uint64],
    names: Sequence[str],
    of_mark: NDArray[np.uint16],
    newest: int,
    first: int,
) -> tuple[LabelGrowth, ...]:
    """Return what each label keeps a cycle, the most first.

    ``births``: the mark at which each block was born, modulo 2^24; ``sizes``: its bytes. ``names``: of labels, by
    number. ``of_mark``: the number of the label of mark n at n modulo its length. ``newest``, ``first``: marks.
    """
    ring = len(of_mark)
    if not names:
        return ()
    marks = np.arange(max(first + 1, newest - ring + 1 + _YOUNG, 1), newest - _YOUNG + 1)
    if not len(marks):
        return ()
    ages = (newest - births) % _EPOCHS
    is_known = (ages >= _YOUNG) & (newest - ages >= marks[0])
    labels_of_blocks = of_mark[(newest - ages[is_known]) % ring]
    count = len(names) if len(names) > int(of_mark.max()) else int(of_mark.max()) + 1
    cycles = np.bincount(of_mark[marks % ring], minlength=count)
    blocks = np.bincount(labels_of_blocks, minlength=count)
    kept = np.bincount(labels_of_blocks, sizes[is_known].astype(np.float64), minlength=count)
    seldom = [number for number in range(1, count) if 0 < cycles[number] < _FEWEST_CYCLES or number >= len(names)]
    found = [
        LabelGrowth(names[number], int(cycles[number]), kept[number] / cycles[number], blocks[number] / cycles[number])
        for number in range(1, len(names))
        if cycles[number] >= _FEWEST_CYCLES
    ]
    together = int(cycles[seldom].sum()) if seldom else 0
    if together:
        found.append(
            LabelGrowth(OTHERS, together, float(kept[seldom].sum()) / together, float(blocks[seldom].sum()) / together)
        )
    return tuple(sorted(found, key=lambda label: -label.bytes_per_iteration))
