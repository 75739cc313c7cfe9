"""Garbage in cycles of references: it stays until the collector comes by."""

EXPECT = {"verdict": "clean"}


class Node:
    def __init__(self) -> None:
        self.myself = self
        self.pixels = bytes(bytearray(500))


def iteration() -> None:
    Node()
