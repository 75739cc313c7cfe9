"""A leak that soak found in simplejpeg 1.9: each refused buffer loses 4,400 B of malloc.

soak run docs/examples/simplejpeg_refused_buffer.py:refused docs/examples/simplejpeg_refused_buffer.py:accepted
"""

import numpy as np
import simplejpeg

JPEG = simplejpeg.encode_jpeg(np.zeros((48, 64, 3), np.uint8))
TOO_SMALL = np.zeros(10, np.uint8)


def refused():
    """Pass a buffer that is too small; simplejpeg refuses it and does not destroy its decompressor."""
    try:
        simplejpeg.decode_jpeg(JPEG, buffer=TOO_SMALL)
    except ValueError:
        pass


def accepted():
    """Pass a buffer that is large enough: the repaired twin."""
    simplejpeg.decode_jpeg(JPEG, buffer=np.zeros((48, 64, 3), np.uint8))
