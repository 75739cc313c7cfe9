"""The guards: stop a component before it runs into a limit and takes its evidence, or the machine, with it.

One only holds it up: while the machine is too hot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from soak.running.time_share import TimeShare

GUARDED_SHARE = 0.8
SHARE_OF_FREE_MEMORY = 0.8
"""A component that is given no ``--max-rss`` may take this part of the memory that is free when the run starts."""
COOL_AGAIN_C = 5.0
"""A component goes on when the machine is this much cooler than ``--max-temperature``."""
_LOOK_EVERY_S = 2.0
_SAYS_THAT_IT_RAN_OUT = {
    "MemoryError": "mapped",
    "OSError: [Errno 12]": "mapped",
    "OSError: [Errno 24]": "fds",
    "RuntimeError: can't start new thread": "threads",
    "BlockingIOError: [Errno 11]": "threads",
}
_GROWN_SHARE = 0.5


def tripped_guard(values: Mapping[str, float], limits: Mapping[str, float], max_rss_bytes: float | None) -> str | None:
    """Return the signal whose value has come to 80 % of its limit (for RSS: to ``--max-rss``, if given), or None."""
    if max_rss_bytes is not None and values.get("rss", 0.0) >= max_rss_bytes:
        return "rss"
    for signal, limit in limits.items():
        if values.get(signal, 0.0) >= GUARDED_SHARE * limit:
            return signal
    return None


def what_ran_out(
    detail: str,
    first: Mapping[str, float],
    last: Mapping[str, float],
    limits: Mapping[str, float],
    hidden_limits: Mapping[str, float],
) -> str | None:
    """Return the signal whose limit a driver ran into between two checkpoints, before the guard could see it, or None.

    ``detail``: type and message of what it raised. It must have grown through half of its room until then: a cycle
    that asks for more than there is at once has failed, and not leaked. ``hidden_limits``: see read_hidden_limits; only
    the system's own error, and no MemoryError, says that one of those is used up.
    """
    for beginning, signal in _SAYS_THAT_IT_RAN_OUT.items():
        if detail.startswith(beginning) and signal in first and signal in last:
            rooms = [limits[signal] - first[signal]] if signal in limits else []
            if beginning.startswith("OSError") and signal in hidden_limits:
                rooms.append(hidden_limits[signal])
            grown = last[signal] - first[signal]
            return signal if any(grown >= _GROWN_SHARE * room > 0 for room in rooms) else None
    return None


def hottest_c() -> float | None:
    """Return the highest temperature that any sensor of this machine reads, in °C; None if there is none."""
    import psutil  # only who sets a limit waits for it

    read = getattr(psutil, "sensors_temperatures", dict)
    return max((sensor.current for sensors in read().values() for sensor in sensors), default=None)


class HeatGuard:
    """Tells when to stand still and when to go on; asks the sensors every two seconds."""

    def __init__(self, limit_c: float | None, read: Callable[[], float | None] = hottest_c) -> None:
        """``limit_c``: None for no limit. ``read``: returns the present temperature in °C, or None."""
        self._limit_c = limit_c
        self._read = read
        self._looking = TimeShare(every_s=_LOOK_EVERY_S)
        self._is_hot = False
        self.hottest_c: float | None = None
        """The highest so far; None when nothing was read."""

    def is_too_hot(self, now_s: float) -> bool:
        """Say whether to stand still at the monotonic time ``now_s``."""
        if self._limit_c is None or not self._looking.is_due(now_s):
            return self._is_hot
        self._looking.spend(now_s, 0.0)
        present_c = self._read()
        if present_c is not None:
            self.hottest_c = max(present_c, self.hottest_c or present_c)
            self._is_hot = present_c >= self._limit_c - (COOL_AGAIN_C if self._is_hot else 0.0)
        return self._is_hot
