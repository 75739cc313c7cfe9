"""An object that refers to itself, with garbage collection off, and lets go of itself."""

import gc


class Node:
    def __init__(self):
        self.me = self


def setup():
    gc.disable()


def cycle(state):
    node = Node()
    node.me = None
