"""The preview: a small picture of the latest frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camera.consumers import Consumer
from camera.pixels import Pixels

STEP = 8


class Preview(Consumer):
    """Takes the latest frame whenever it has time; frames in between are never seen."""

    name = "preview"
    image: NDArray[np.uint8] | None = None
    """Shape (height / 8, width / 8), the high byte of each eighth pixel."""

    def consume(self, pixels: Pixels, number: int) -> None:  # noqa: ARG002
        """See Consumer."""
        self.image = (pixels[::STEP, ::STEP] >> 8).astype(np.uint8)
