"""The measured process: ``python .../soak/inside/__main__.py RING``.

With ``--template`` and two descriptors it is one that forks measured processes (see soak.inside.forking.template).
It is started by its path, so soak need not be installed in the interpreter. The text area of the ring has the settings.
"""

from __future__ import annotations

import os
import sys


def main(ring_path: str, *descriptors: str) -> int:
    """Run the component that the settings in the ring describe; return the exit status."""
    from soak.inside import child

    if ring_path != "--template":
        return child.run(ring_path)
    from soak.inside.forking import template

    return child.run(template.main(*descriptors))


def _make_soak_importable() -> None:
    """Import the package from its folder, and take that folder off the path again: it has other packages as well."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[0] = home
    import soak.inside.child  # noqa: F401

    del sys.path[0]


if __name__ == "__main__":
    _make_soak_importable()
    sys.exit(main(*sys.argv[1:]))
