"""Say which packages of Debian the jukebox lacks: ``python -m jukebox.missing``."""

from __future__ import annotations

import sys

GSTREAMER_PACKAGES = ("python3-gi", "gir1.2-gstreamer-1.0", "gir1.2-gst-plugins-base-1.0")
PACKAGE_OF_ELEMENT = {
    **dict.fromkeys(
        ("audiotestsrc", "decodebin", "audioconvert", "audioresample", "volume", "audiomixer", "vorbisenc", "oggmux"),
        "gstreamer1.0-plugins-base",
    ),
    **dict.fromkeys(("level", "flacenc", "flacdec", "wavenc", "wavparse"), "gstreamer1.0-plugins-good"),
}
"""Each element that songs, source bins and the mixer are made of; what the core library brings is left out."""


def missing_packages() -> list[str]:
    """Return the packages to install, in the order of their names; empty when the jukebox can run."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstController", "1.0")
        from gi.repository import Gst, GstController  # noqa: F401
    except (ImportError, ValueError):
        return sorted({*GSTREAMER_PACKAGES, *PACKAGE_OF_ELEMENT.values()})
    Gst.init(None)
    return sorted({package for name, package in PACKAGE_OF_ELEMENT.items() if Gst.ElementFactory.find(name) is None})


def main() -> int:
    """Print one line when something is missing; return 1 then, else 0."""
    packages = missing_packages()
    if packages:
        print(f"The jukebox is not soaked: {sys.executable} lacks GStreamer; apt-get install {' '.join(packages)}")
    return 1 if packages else 0


if __name__ == "__main__":
    sys.exit(main())
