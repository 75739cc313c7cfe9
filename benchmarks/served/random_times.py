"""When work comes: at random times, with seconds without any at first and again and again."""

import random
import time
from collections.abc import Callable, Iterator

IDLE_S, BUSY_S = 4.0, 15.0


def pauses(
    rng: random.Random,
    rate_hz: float,
    is_over: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Yield when it is time for the next piece of work, ``rate_hz`` times a second on average."""
    while not is_over():
        sleep(IDLE_S)
        ends_s = time.monotonic() + BUSY_S
        while time.monotonic() < ends_s and not is_over():
            sleep(rng.expovariate(rate_hz))
            yield
