"""Add a probe to a pad and remove it: PyGObject 3.42 loses memory each time (docs/jukebox.md), 3.50 does not."""

from __future__ import annotations

from typing import Any

from jukebox.gstreamer import Gst, fail_on_criticals


def setup() -> Any:
    """Make a pad."""
    fail_on_criticals()
    return Gst.Pad.new("src", Gst.PadDirection.SRC)


def cycle(pad: Any) -> None:
    """Add one probe and remove it."""
    pad.remove_probe(pad.add_probe(Gst.PadProbeType.BUFFER, _let_pass))


def _let_pass(_pad: Any, _info: Any) -> Any:
    return Gst.PadProbeReturn.OK


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
