"""A leak that soak found in pypylon 26.9: each camera that is opened and closed keeps some 42 kB.

soak run docs/examples/pypylon_open_close.py:open_close --duration 150s
"""

import os

os.environ.setdefault("PYLON_CAMEMU", "1")  # pylon's emulated camera

from pypylon import pylon


def open_close():
    """Create the first camera that there is, open it and close it."""
    camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateFirstDevice())
    camera.Open()
    camera.Close()
