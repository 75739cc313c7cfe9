"""The measured process: ``python .../soak/inside/__main__.py RING``.

Started by path, so the interpreter needs nothing of soak installed. The ring's text area holds the settings.
"""

from __future__ import annotations

import os
import sys


def main(ring_path: str) -> int:
    """Run the component that the ring's settings describe; return the exit status."""
    from soak.inside import child

    return child.run(ring_path)


def _make_soak_importable() -> None:
    """Import the package by its place for a moment, without leaving its neighbours on the component's path."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[0] = home
    import soak.inside.child  # noqa: F401

    del sys.path[0]


if __name__ == "__main__":
    _make_soak_importable()
    sys.exit(main(sys.argv[1]))
