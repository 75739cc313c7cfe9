"""The recorder: a source, a producer, and the consumers, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from camera.analysis import Analysis
from camera.consumers import Consumer
from camera.errors import CameraError
from camera.faults import Fault
from camera.frames import Pool
from camera.inboxes import LatestFrame, Queue
from camera.preview import Preview
from camera.producer import Producer
from camera.recording import Recording
from camera.sources.protocol import Source, check_buffer_bytes
from camera.writer import Writer

DEPTH = 4
"""Frames that may wait for a consumer."""
LOOK_S = 1.0
"""How often the threads are looked at while somebody waits."""


class Worker(Protocol):
    """What runs in a thread."""

    name: str
    frames: int

    def run(self) -> None:
        """Do the thread's work."""


@dataclass(frozen=True)
class Statistics:
    """Counts of frames since the start."""

    frames: int
    written: int
    analysed: int
    previewed: int
    missed: int
    """Frames that the camera took while no buffer was empty."""
    gaps: int
    """Numbers left out between the frames that came."""
    longest_lag: int
    """The most frames that the slowest of writer and analysis was behind."""

    def __str__(self) -> str:
        return (
            f"{self.frames:,} frames, {self.written:,} written, {self.analysed:,} analysed, {self.previewed:,} "
            f"previewed; {self.missed:,} missed, {self.gaps:,} gaps, at most {self.longest_lag} frames behind"
        )


class Recorder:
    """Runs from `start` to `stop`. With a recording it is an experiment, without one a dry run."""

    def __init__(
        self,
        source: Source,
        recording: Recording | None = None,
        *,
        depth: int = DEPTH,
        on_demand: bool = False,
        limit: int = 0,
        slowness_s: float = 0.0,
        fault: Fault = Fault.NONE,
    ) -> None:
        """Build everything. Raises SourceError for a ring that is wrong, CameraError for a queue that is.

        ``depth``: frames that may wait for a consumer; ``on_demand``: take a frame for each `ask` only; ``limit``: take
        so many (0: until `stop`); ``slowness_s``: what a slow disk adds to the writing of each frame.
        """
        check_buffer_bytes(source)
        if depth < 1:
            raise CameraError(f"the queue needs room for at least 1 frame, not {depth}")
        self.source, self._depth, self._on_demand, self._fault = source, depth, on_demand, fault
        self._moved = threading.Condition()
        self._error: CameraError | None = None
        self._longest_lag = 0
        picture = source.picture
        self._analysis = Analysis(Queue(depth), picture, self._tell, fault)
        self._preview = Preview(LatestFrame(), picture, self._tell, fault)
        self._writer: Writer | None = None
        if recording is not None:
            inbox = Queue(None if fault is Fault.UNBOUNDED_QUEUE else depth)
            self._writer = Writer(recording, inbox, picture, self._tell, fault, slowness_s=slowness_s)
        self._consumers: list[Consumer] = [c for c in (self._writer, self._analysis, self._preview) if c is not None]
        # A full queue, one frame at each consumer and one at the producer.
        self._pool = Pool(depth + len(self._consumers) + 1, source.shape)
        inboxes = [consumer.inbox for consumer in self._consumers]
        self._producer = Producer(
            source, inboxes, self._pool, self._count_lag, on_demand=on_demand, limit=limit, fault=fault
        )
        self._workers: list[Worker] = [self._producer, *self._consumers]
        self._threads = {worker.name: self._thread(worker) for worker in self._workers}

    def _thread(self, worker: Worker) -> threading.Thread:
        return threading.Thread(target=self._run, args=(worker,), name=worker.name, daemon=True)

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except Exception as error:
            if self._fault is Fault.CONSUMER_DIES and worker is self._analysis:
                return
            self._fail(worker.name, error)

    def _fail(self, name: str, error: Exception) -> None:
        with self._moved:
            if self._error is None:
                own = isinstance(error, CameraError)
                text = str(error) if own else f"{type(error).__name__}: {error}"
                failure = type(error) if isinstance(error, CameraError) else CameraError
                self._error = failure(text if text.startswith(f"{name}:") else f"{name}: {text}")
                self._error.__cause__ = error
            self._moved.notify_all()
        self._end_inboxes()

    def start(self) -> None:
        """Let frames come. Raises SourceError."""
        self.source.start()
        for thread in self._threads.values():
            thread.start()

    def ask(self) -> None:
        """Ask for one frame, where the recorder works on demand."""
        self._producer.ask()

    def wait_for_frames(self, frames: int, timeout_s: float) -> None:
        """Wait until writer and analysis have had so many frames; on demand, also the preview the newest.

        Raises CameraError: what went wrong in a thread, that a thread has ended, or that nothing came in time.
        """
        self._wait(lambda: self._is_done(frames), f"frame {frames} was not done", timeout_s)

    def _wait(self, happened: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        with self._moved:
            while not self._moved.wait_for(lambda: self._error is not None or happened(), LOOK_S):
                self.check()
                if time.monotonic() > deadline:
                    raise CameraError(f"{what} within {timeout_s:g} s: {self.statistics()}")
        self.check()

    def _is_done(self, frames: int) -> bool:
        waits_for: list[Consumer] = [self._analysis]
        if self._writer is not None and self._fault is not Fault.UNBOUNDED_QUEUE:  # there, nobody waits for the writer
            waits_for.append(self._writer)
        is_previewed = not self._on_demand or self._preview.newest == self._producer.newest
        return is_previewed and all(consumer.frames >= frames for consumer in waits_for)

    def check(self) -> None:
        """Check that nothing went wrong, each thread is alive, and the lag is within the depth of the queues.

        Raises CameraError.
        """
        if self._error is not None:
            raise self._error
        for worker in self._workers:
            is_complete = worker is self._producer and self._producer.is_complete
            if not self._threads[worker.name].is_alive() and not is_complete:
                raise CameraError(
                    f"the thread of the {worker.name} has ended after {worker.frames:,} frames, and no one was told"
                )
        most = self._depth + 2  # the queue, the frame that is worked on, and the one that the producer holds
        if self._fault is not Fault.UNBOUNDED_QUEUE and self._longest_lag > most:
            raise CameraError(f"a consumer was {self._longest_lag} frames behind; its queue holds {self._depth}")

    def statistics(self) -> Statistics:
        """Return what was counted so far."""
        return Statistics(
            frames=self._producer.frames,
            written=self._writer.frames if self._writer is not None else 0,
            analysed=self._analysis.frames,
            previewed=self._preview.frames,
            missed=self._producer.missed,
            gaps=self._producer.gaps,
            longest_lag=self._longest_lag,
        )

    def stop(self) -> None:
        """End in order: producer, consumers after the frames that wait, source. Raises what went wrong before."""
        self._producer.stop()
        self._pool.close()
        self._join(self._producer.name)
        self._end_inboxes()
        for consumer in self._consumers:
            self._join(consumer.name)
        self.source.stop()
        if self._error is not None:
            raise self._error

    def _join(self, name: str) -> None:
        if self._threads[name].ident is not None:
            self._threads[name].join()

    def _end_inboxes(self) -> None:
        for consumer in self._consumers:
            consumer.inbox.close()

    def _count_lag(self) -> None:
        slowest = min(consumer.frames for consumer in self._consumers if consumer is not self._preview)
        self._longest_lag = max(self._longest_lag, self._producer.frames - slowest)
        self._tell()

    def _tell(self) -> None:
        with self._moved:
            self._moved.notify_all()
