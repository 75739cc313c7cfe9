"""Falls of a series: those of a sawtooth count, those of noise and of a program's end do not."""

from __future__ import annotations

import pytest

from soak.analysis.falls import FallCounter

KIB = 1024.0


@pytest.mark.parametrize(
    ("values", "falls"),
    [
        ([100 * KIB * (at % 10) for at in range(31)], (3, 900 * KIB)),
        ([200 * KIB * (at % 10) + 10 * KIB * at for at in range(31)], (3, 1790 * KIB)),
        ([100 * KIB * at for at in range(31)], None),
        ([100 * KIB * (at % 2) for at in range(31)], None),
        ([9000 * KIB * (at > 0) + 100 * KIB * (at % 10) for at in range(31)], (2, 900 * KIB)),
        ([KIB * (at % 10) for at in range(31)], None),
        ([*(100 * KIB * at for at in range(31)), 0.0], None),
        ([], None),
    ],
    ids=["sawtooth", "rising sawtooth", "growth", "up and down", "after a start", "small", "one fall", "nothing"],
)
def test_falls(values: list[float], falls: tuple[int, float] | None) -> None:
    counter = FallCounter()
    for value in values:
        counter.add(value)

    assert counter.falls == falls
