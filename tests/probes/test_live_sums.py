"""Sums that follow changes are those of all pieces counted anew."""

from __future__ import annotations

import numpy as np
import pytest

from soak.native.layout import ROW
from soak.probes.ledgers.live_sums import LiveSums, Part

PIECES, CHANGES = 12, 200


def some_rows(rng: np.random.Generator) -> np.ndarray:
    """Rows of a piece: no two of them have the same site, domain and bucket."""
    keys = np.unique(rng.integers(0, 400, rng.integers(0, 60)))
    rows = np.zeros(len(keys), ROW)
    rows["site"], rows["domain"], rows["bucket"] = 1 + keys % 40, keys // 40 % 3, keys // 120
    rows["live_blocks"] = rng.integers(1, 9, len(keys))
    rows["live_bytes"] = rows["live_blocks"] * 48
    return rows


def as_dict(rows: np.ndarray) -> dict[tuple[int, int, int], tuple[int, int]]:
    return {
        (int(row["site"]), int(row["domain"]), int(row["bucket"])): (int(row["live_blocks"]), int(row["live_bytes"]))
        for row in rows
    }


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_all_pieces_after_any_change(seed: int):
    rng = np.random.default_rng(seed)
    sums = LiveSums()
    parts: dict[int, Part] = {}
    for _ in range(CHANGES):
        piece = int(rng.integers(PIECES))
        if piece in parts:
            sums.take_away(parts.pop(piece))
        if rng.random() < 0.7:
            parts[piece] = sums.add(some_rows(rng))

        expected: dict[tuple[int, int, int], tuple[int, int]] = {}
        for part in parts.values():
            for key, (blocks, size) in as_dict(part.rows).items():
                before = expected.get(key, (0, 0))
                expected[key] = before[0] + blocks, before[1] + size
        assert as_dict(sums.rows()) == expected


def test_without_blocks_there_are_no_rows():
    sums = LiveSums()
    sums.take_away(sums.add(some_rows(np.random.default_rng(1))))

    assert len(sums.rows()) == 0
    assert len(LiveSums().rows()) == 0
