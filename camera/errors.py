"""The errors that this package raises on purpose.

CameraError           anything the recorder reports
  SourceError         no frame can be had: no such camera, it is gone, its package is missing, a setting is wrong
  FrameError          a frame is not as it must be: another size, pixels of another frame, a copy
  RecordingError      frames cannot be written
"""

from __future__ import annotations


class CameraError(Exception):
    """Root of all errors of this package; the message is for a person."""


class SourceError(CameraError):
    """A source cannot deliver frames."""


class FrameError(CameraError):
    """A frame is not as it must be."""


class RecordingError(CameraError):
    """Frames cannot be written."""
