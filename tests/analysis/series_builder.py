"""Small builders of the series the tests judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from soak.analysis import judge
from soak.verdict import SeriesVerdict

FloatArray = npt.NDArray[np.float64]

CYCLES = 1 << 20
SPACING = 128
N_MIN = 131_072
AT = np.arange(SPACING, CYCLES + 1, SPACING, dtype=np.float64)


def judge_shape(shape: Callable[[FloatArray], FloatArray], *, cycles: int = CYCLES, grain: float = 0) -> SeriesVerdict:
    """Judge ``shape(cycle)`` read each 128 cycles, tolerance 1, n_min 131,072."""
    at = AT[: cycles // SPACING]
    return judge(at, shape(at), tolerance=1, n_min=N_MIN, grain=grain)
