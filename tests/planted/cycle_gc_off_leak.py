"""An object that refers to itself, with garbage collection off."""

import gc

EXPECTED = {"kind": "reference-cycle"}


class Node:
    def __init__(self):
        self.me = self


def setup():
    gc.disable()


def cycle(state):
    node = Node()  # planted
    del node
