"""A cycle with numpy: add up a small array."""

from __future__ import annotations

import numpy as np
from own_cost import OwnCost

_VALUES = np.arange(1000.0)


def setup(file: str = "") -> OwnCost | None:
    """``file``: where the process writes its own figures at the end; empty for none."""
    return OwnCost(file) if file else None


def cycle(_: object) -> None:
    """Add up a thousand numbers."""
    _VALUES.sum()


def teardown(state: OwnCost | None) -> None:
    """Write the process's own figures."""
    if state is not None:
        state.write()
