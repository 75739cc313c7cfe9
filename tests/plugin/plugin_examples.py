"""Functions to be checked; a fresh process imports them from here."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator

kept: list[object] = []


def hold() -> None:
    kept.append(bytearray(106))


def drop() -> None:
    bytearray(106)


def churn() -> None:
    kept.append(bytearray(106))
    kept.clear()


async def hold_async() -> None:
    await asyncio.sleep(0)
    kept.append(bytearray(106))


class Counter:
    def count(self) -> None:
        """Stands for any method: the bound method is a new object at each access."""

    @classmethod
    def reset(cls) -> None:
        """Use only the class, which a fresh process has too."""

    @staticmethod
    def look() -> None:
        """Use nothing."""


def frames() -> Iterator[int]:
    yield 1


@functools.wraps(hold)
def wrapped() -> None:
    hold()
