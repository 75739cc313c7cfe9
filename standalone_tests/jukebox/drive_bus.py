"""Post messages on a bus and read them: what each level element does ten times in a second of sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jukebox.bus import read_bus
from jukebox.errors import JukeboxError
from jukebox.gstreamer import Gst, fail_on_criticals, make

MESSAGES = 16


@dataclass(frozen=True)
class State:
    """The bus, and the element that posts on it."""

    bus: Any
    element: Any
    is_read: bool


def setup(*, read: bool = True) -> State:
    """Make a bus; ``read=false`` leaves every message on it, as the jukebox once did."""
    fail_on_criticals()
    return State(Gst.Bus.new(), make("level"), read)


def cycle(state: State) -> None:
    """Post sixteen messages and read them. Raises JukeboxError when one is missing."""
    for number in range(MESSAGES):
        structure = Gst.Structure.new_empty("level")
        structure.set_value("number", number)
        state.bus.post(Gst.Message.new_element(state.element, structure))
    if state.is_read and (messages := read_bus(state.bus)) != MESSAGES:
        raise JukeboxError(f"{MESSAGES} messages were posted, and {messages} were read")


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
