"""The measured process: ``python .../soak/inside/__main__.py RING``.

It is started by its path, so soak need not be installed in the interpreter. The text area of the ring has the settings.
"""

from __future__ import annotations

import os
import sys


def main(ring_path: str) -> int:
    """Run the component that the settings in the ring describe; return the exit status."""
    from soak.inside import child

    return child.run(ring_path)


def _make_soak_importable() -> None:
    """Import the package from its folder, and take that folder off the path again: it has other packages as well."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[0] = home
    import soak.inside.child  # noqa: F401

    del sys.path[0]


if __name__ == "__main__":
    _make_soak_importable()
    sys.exit(main(sys.argv[1]))
