"""A call of a quarter of a second starts a thread that never ends."""

import threading
import time

EXPECT = {"verdicts": ["LEAK"], "says": ["thread", "threads.py:12"]}
REPAIRED = {"verdicts": ["CLEAN", "INCONCLUSIVE"]}
stop = threading.Event()


def cycle():
    threading.Thread(target=stop.wait, daemon=True).start()
    time.sleep(0.25)


def repaired():
    thread = threading.Thread(target=time.sleep, args=(0.01,), daemon=True)
    thread.start()
    thread.join()
    time.sleep(0.25)
