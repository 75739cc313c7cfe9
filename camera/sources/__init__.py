"""The sources of frames: one module per kind of camera, each implements ``protocol.Source``."""

from __future__ import annotations

from camera.errors import SourceError
from camera.sources.protocol import Source

NAMES = ("simulated", "pylon", "aravis", "pco")


def open_source(name: str, *, width: int = 640, height: int = 540, fps: float = 100.0, buffers: int = 4) -> Source:
    """Open the source of this name: frames of width x height pixels, a ring of so many buffers. Raises SourceError."""
    if name == "simulated":
        from camera.sources.simulated import SimulatedSource

        return SimulatedSource(width, height, fps=fps, buffers=buffers)
    if name == "pylon":
        from camera.sources.pylon import PylonSource

        return PylonSource(width, height, fps=fps, buffers=buffers)
    if name == "aravis":
        from camera.sources.aravis import AravisSource

        return AravisSource(width, height, fps=fps, buffers=buffers)
    if name == "pco":
        from camera.sources.pco import PcoSource

        return PcoSource(width, height, fps=fps, buffers=buffers)
    raise SourceError(f"there is no source {name!r}; use {', '.join(NAMES)}")
