"""What is done about cells whose host was lost while it measured them. Pure: no clock, no processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

ATTEMPTS = 2
"""A cell that was lost this often is not measured again."""
LOSSES_OF_A_HOST = 2
"""A host that was lost this often gets no more cells."""
UNKNOWN_HOST = "a host that is not known"


@dataclass(frozen=True)
class Loss:
    """A cell that ended without a run."""

    host: str
    cause: str

    def __str__(self) -> str:
        return f"{self.cause} on {self.host}"


class Losses:
    """Counts losses by cell and by host."""

    def __init__(self) -> None:
        self._of_cells: dict[str, list[Loss]] = {}
        self._of_hosts: Counter[str] = Counter()

    def add(self, cell_id: str, loss: Loss) -> bool:
        """Take note of a loss; tell whether the cell is to be measured once more."""
        self._of_cells.setdefault(cell_id, []).append(loss)
        if loss.host != UNKNOWN_HOST:
            self._of_hosts[loss.host] += 1
        return len(self._of_cells[cell_id]) < ATTEMPTS

    def hosts_of(self, cell_id: str) -> frozenset[str]:
        """Return the hosts on which a cell was lost."""
        return frozenset(loss.host for loss in self._of_cells.get(cell_id, ()))

    def reason(self, cell_id: str) -> str:
        """Say why a cell is given up."""
        losses = self._of_cells[cell_id]
        return f"it was lost {len(losses)} times and left no run: {'; '.join(map(str, losses))}"

    def is_left_out(self, host: str) -> bool:
        """Tell whether a host was lost too often to be given more cells."""
        return self._of_hosts[host] >= LOSSES_OF_A_HOST
