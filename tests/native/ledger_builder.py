"""What was alive at one moment, made by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import RANGE
from soak.native.ledger import Checkpoint, SiteTable


def a_checkpoint(rows: NDArray[np.void], sites: NDArray[np.void], cycle: int = 0) -> Checkpoint:
    """Return a complete checkpoint. ``rows``: ROW; ``sites``: SITE."""
    return Checkpoint(
        sequence=1,
        cycle=cycle,
        shift=0,
        rows=rows,
        births=np.zeros(0, np.uint64),
        site_table=SiteTable(sites),
        ranges=np.zeros(0, RANGE),
        live_blocks=int(rows["live_blocks"].sum()),
        live_bytes=int(rows["live_bytes"].sum()),
        unlisted_blocks=0,
        unlisted_bytes=0,
        lost_blocks=0,
        lost_sites=0,
        lost_mappings=0,
        scan_ns=0,
        reinstalled=0,
    )
