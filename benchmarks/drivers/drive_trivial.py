"""An empty cycle, so that all cost is soak's own."""

from __future__ import annotations

from own_cost import OwnCost


def setup(file: str = "") -> OwnCost | None:
    """``file``: where the process writes its own figures at the end; empty for none."""
    return OwnCost(file) if file else None


def cycle(_: object) -> None:
    """Do nothing."""


def teardown(state: OwnCost | None) -> None:
    """Write the process's own figures."""
    if state is not None:
        state.write()
