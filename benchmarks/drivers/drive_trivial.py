"""A cycle of nothing: what remains is what soak itself costs."""

from __future__ import annotations

from own_cost import OwnCost


def setup(file: str = "") -> OwnCost | None:
    """Take the file that is to get the process's own figures at the end; empty for none."""
    return OwnCost(file) if file else None


def cycle(_: object) -> None:
    """Do nothing."""


def teardown(state: OwnCost | None) -> None:
    """Write what the process took."""
    if state is not None:
        state.write()
