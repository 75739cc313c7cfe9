"""Garbage in reference cycles: it stays until the next collection."""

EXPECT = {"verdict": "clean"}


class Node:
    def __init__(self) -> None:
        self.myself = self
        self.pixels = bytes(bytearray(500))


def iteration() -> None:
    Node()
