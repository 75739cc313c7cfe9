"""When work comes: at random times, with seconds without any at first and again and again."""

import time

IDLE_S, BUSY_S = 4.0, 15.0


def pauses(rng, rate_hz, is_over=lambda: False, sleep=time.sleep):
    """Yield when it is time for the next piece of work, ``rate_hz`` times a second on average."""
    while not is_over():
        sleep(IDLE_S)
        ends_s = time.monotonic() + BUSY_S
        while time.monotonic() < ends_s and not is_over():
            sleep(rng.expovariate(rate_hz))
            yield
