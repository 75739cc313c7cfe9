"""The running pipeline: a mixer, into which source bins are linked while it runs, and an output."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from jukebox.bus import describe_error, read_bus, wait_for_end
from jukebox.errors import JukeboxError
from jukebox.faults import Fault, add_reference
from jukebox.gstreamer import CAPS, FRAME_BYTES, RATE_HZ, Gst, add_chain, make, stop
from jukebox.source_bin import LEVEL_INTERVAL_NS, SourceBin

OUTPUT_FRAMES = RATE_HZ // 10
"""The mixer gives out its sound in buffers of this many frames."""
WATCHDOG_S = 10.0
"""So long nothing may move. An exception in a handler is printed by PyGObject, and everything then waits for ever."""
_WATCHED_BINS = 4
"""So many bins that were not locked are kept after they were taken out. One that was started again crashes when it is
freed, and that may happen some songs later on a busy machine."""


class Mixer:
    """Mixes source bins. It runs from the moment at which the first one is in."""

    def __init__(self, output: Any, fault: Fault = Fault.NONE) -> None:
        """Build the pipeline into ``output``, an element or a bin."""
        self._fault = fault
        self.pipeline = Gst.Pipeline()
        self._mixer = make("audiomixer", output_buffer_duration=OUTPUT_FRAMES * Gst.SECOND // RATE_HZ)
        counter = make("identity", signal_handoffs=True)
        level = make("level", interval=LEVEL_INTERVAL_NS)
        chain = [self._mixer, make("capsfilter", caps=Gst.Caps.from_string(CAPS)), level, counter, output]
        add_chain(self.pipeline, chain)
        self.moved = threading.Condition()
        """Notified when the output has moved or a song has reached its mix point."""
        self.position = 0
        """Frames that the output has got."""
        self._error = ""
        self._removed: deque[SourceBin] = deque(maxlen=_WATCHED_BINS)
        counter.connect("handoff", self._at_output)
        self.bus = self.pipeline.get_bus()
        self.bus.enable_sync_message_emission()
        self.bus.connect("sync-message::error", self._at_error)
        self.bus.connect("sync-message::stream-status", self._at_task)
        self._newest: SourceBin | None = None
        """The song that was added last: all songs before it have their threads already."""
        self._runs = False

    def add(self, source: SourceBin) -> None:
        """Link a source bin in; it starts at once, the first one when the mixer does."""
        self._newest = source
        source.bin.set_locked_state(True)
        # Else each song makes the pipeline change its own state, by a thread of yet another pool of GStreamer.
        source.bin.set_property("async-handling", self._fault is not Fault.UNLOCKED)
        self.pipeline.add(source.bin)
        source.mixer_pad = self._mixer.request_pad_simple("sink_%u")
        source.pad.link(source.mixer_pad)
        if self._runs:
            self._start(source)

    def start(self) -> None:
        """Let the pipeline run, with the song that is in it."""
        self.pipeline.set_state(Gst.State.PLAYING)
        self._runs = True
        if self._newest is not None:
            self._start(self._newest)

    def _start(self, source: SourceBin) -> None:
        if self._fault is Fault.UNLOCKED:
            source.bin.set_locked_state(False)
            source.bin.sync_state_with_parent()
        else:
            source.bin.set_state(Gst.State.PAUSED)  # a bin without an output plays in it as well

    def remove(self, source: SourceBin) -> None:
        """Take a finished source bin out. Raises JukeboxError when it does not stay stopped."""
        fault = self._fault
        if fault is Fault.NOT_REMOVED:
            return
        if fault is not Fault.NOT_NULL:
            source.bin.set_state(Gst.State.NULL)
        source.pad.unlink(source.mixer_pad)
        self.pipeline.remove(source.bin)
        if fault is not Fault.PAD_KEPT:
            self._mixer.release_request_pad(source.mixer_pad)
        if fault is Fault.UNLOCKED:
            self._watch(source)
        elif fault is not Fault.NOT_NULL:
            source.check_stopped()
            source.threads.end()
        if fault is Fault.EXTRA_REFERENCE:
            add_reference(source.bin)
        if fault is Fault.PROBE_KEPT:
            self._mixer.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, _let_pass, source)

    def _watch(self, removed: SourceBin) -> None:
        """Keep a bin that was taken out and not locked, in the place of the oldest one, which has stayed stopped."""
        if len(self._removed) == _WATCHED_BINS:
            self._removed[0].check_stopped()
            self._removed[0].threads.end()
        self._removed.append(removed)

    def check_removed(self) -> None:
        """Check that the bins that were taken out last, and not locked, are still stopped. Raises JukeboxError.

        Call it when everything is quiet again: a change of the pipeline's state that was under way may start such a bin
        after it was taken out.
        """
        for source in self._removed:
            source.check_stopped()

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait for something that the streaming threads do.

        Raises JukeboxError with ``what`` when nothing has moved for WATCHDOG_S, or an element has posted an error.
        """
        with self.moved:
            while True:
                before = self.position
                has_happened = self.moved.wait_for(lambda: happened() or bool(self._error), WATCHDOG_S)
                if self._error:
                    raise JukeboxError(self._error)
                if has_happened:
                    return
                if self.position == before:
                    raise JukeboxError(f"{what}{self._stall()}")

    def check_position(self, fed: int) -> None:
        """Check that the output has got every whole buffer of the ``fed`` frames, and no more. Raises JukeboxError."""
        due = fed // OUTPUT_FRAMES * OUTPUT_FRAMES
        self.wait_until(lambda: self.position >= due, f"the output has not reached frame {due:,}")
        if self.position != due:
            raise JukeboxError(f"the output is at frame {self.position:,}, and {due:,} is where it should be")

    def read_bus(self) -> None:
        """Take all messages from the bus. Raises JukeboxError when one is an error."""
        if self._fault is not Fault.BUS_UNREAD:
            read_bus(self.bus)

    def finish(self, longest_s: float) -> None:
        """Wait until all that was mixed is out, at most so many seconds. Raises JukeboxError."""
        wait_for_end(self.bus, "the last song", longest_s)

    def close(self) -> None:
        """Stop the pipeline, with the songs that are in it. No gate may be closed."""
        for element in self.pipeline.children:
            element.set_locked_state(False)
        stop(self.pipeline)

    def _stall(self) -> str:
        """Return that nothing moves, with the reason where it is a request pad without a song."""
        pads, linked = self._mixer.sinkpads, [pad for pad in self._mixer.sinkpads if pad.is_linked()]
        text = f": nothing was mixed for {WATCHDOG_S:g} s, at frame {self.position:,}"
        if len(linked) < len(pads):
            waiting = len(pads) - len(linked)
            text += f"; the mixer waits for {waiting} request pads of finished songs that were not released"
        return text

    def _at_output(self, _element: Any, buffer: Any) -> None:
        with self.moved:
            self.position += buffer.get_size() // FRAME_BYTES
            self.moved.notify_all()

    def _at_task(self, _bus: Any, message: Any) -> None:
        """Give a new task a thread of its song; the mixer has a task as well, which stays."""
        if self._newest is not None and message.src.get_parent() is not self._mixer:
            self._newest.threads.take(message)

    def _at_error(self, _bus: Any, message: Any) -> None:
        with self.moved:
            self._error = self._error or describe_error(message)  # the first one tells the cause
            self.moved.notify_all()


def _let_pass(_pad: Any, _info: Any, _source: SourceBin) -> Any:
    return Gst.PadProbeReturn.OK
