"""What the cycles of each label keep: the blocks of growing call sites that were allocated in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.results import LabelGrowth

_EPOCHS = 1 << 24
_FEWEST_CYCLES = 8
"""Of fewer cycles of a label nothing is told by itself."""
_YOUNG = 16
"""What the newest cycles made may still be at work."""
OTHERS = "other labels"


@dataclass(frozen=True)
class LabelledBlocks:
    """The live blocks of some call sites in one process, and the labels of its marks."""

    names: Sequence[str]
    """Of labels, by number."""
    of_mark: NDArray[np.uint16]
    """The number of the label of mark n at n modulo its length."""
    births: NDArray[np.int64]
    """The mark at which each block was born, modulo 2^24."""
    sizes: NDArray[np.uint64]
    """Bytes of each block."""
    newest: int
    """The number of the latest mark."""
    first: int
    """Marks up to this one are not looked at."""


@dataclass
class _Kept:
    """What the cycles of one label keep together."""

    cycles: int = 0
    bytes: float = 0.0
    blocks: int = 0

    def add(self, other: _Kept) -> None:
        self.cycles += other.cycles
        self.bytes += other.bytes
        self.blocks += other.blocks

    def growth(self, label: str) -> LabelGrowth:
        return LabelGrowth(label, self.cycles, self.bytes / self.cycles, self.blocks / self.cycles)


def growth_by_label(processes: Sequence[LabelledBlocks]) -> tuple[LabelGrowth, ...]:
    """Return what each label keeps a cycle, the most first: that of all processes together."""
    kept: dict[str, _Kept] = {}
    for process in processes:
        for label, own in _kept_in(process):
            kept.setdefault(label, _Kept()).add(own)
    others = kept.pop(OTHERS, _Kept())
    for label in [label for label, own in kept.items() if own.cycles < _FEWEST_CYCLES]:
        others.add(kept.pop(label))
    if others.cycles:
        kept[OTHERS] = others
    found = (own.growth(label) for label, own in kept.items())
    return tuple(sorted(found, key=lambda label: -label.bytes_per_iteration))


def _kept_in(process: LabelledBlocks) -> Iterator[tuple[str, _Kept]]:
    """Yield what the marks of each label keep that the process remembers, but for the newest."""
    names, of_mark, newest = process.names, process.of_mark, process.newest
    ring = len(of_mark)
    if not names or not ring:
        return
    marks = np.arange(max(process.first + 1, newest - ring + 1 + _YOUNG, 1), newest - _YOUNG + 1)
    if not len(marks):
        return
    ages = (newest - process.births) % _EPOCHS
    is_known = (ages >= _YOUNG) & (newest - ages >= marks[0])
    labels_of_blocks = of_mark[(newest - ages[is_known]) % ring]
    count = max(len(names), int(of_mark.max()) + 1)
    cycles = np.bincount(of_mark[marks % ring], minlength=count)
    blocks = np.bincount(labels_of_blocks, minlength=count)
    sizes = np.bincount(labels_of_blocks, process.sizes[is_known].astype(np.float64), minlength=count)
    for number in range(1, count):
        if cycles[number]:
            name = names[number] if number < len(names) else OTHERS
            yield name, _Kept(int(cycles[number]), float(sizes[number]), int(blocks[number]))
