"""A call of a quarter of a second starts a thread that never ends."""

import threading
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["thread", "threads.py:11"]}
stop = threading.Event()


def cycle():
    threading.Thread(target=stop.wait, daemon=True).start()
    time.sleep(0.25)
