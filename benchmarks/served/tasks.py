"""Tasks of Celery with a broker of files. A report keeps 1 kB, or nothing. Run as a program it asks for tasks."""

import os
import random
import sys
from pathlib import Path

from celery import Celery
from random_times import pauses

LEAKS = os.environ.get("SERVED_KIND") == "leak"
FOLDER = Path(os.environ["SERVED_FOLDER"])
QUEUE, DONE, MADE = (FOLDER / name for name in ("queue", "done", "made"))
for folder in (QUEUE, DONE, MADE):
    folder.mkdir(exist_ok=True)

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(QUEUE),
    "data_folder_out": str(MADE if __name__ == "__main__" else QUEUE),
    "processed_folder": str(DONE),
    "control_folder": str(FOLDER / "control"),
    "polling_interval": 0.01,
}
app.conf.task_ignore_result = True

kept = []


@app.task
def report():
    """Keep 1 kB, or nothing."""
    data = bytearray(1000)  # kept
    if LEAKS:
        kept.append(data)


@app.task
def resize():
    """Keep nothing."""
    bytearray(1000)


def main():
    """Ask for tasks until somebody ends this."""
    rng = random.Random(1)
    for _ in pauses(rng, rate_hz=float(sys.argv[1])):
        # The worker also takes messages that are not written to their end, so they come to it by a move.
        app.send_task(rng.choice(("tasks.report", "tasks.resize")))
        for message in MADE.iterdir():
            message.rename(QUEUE / message.name)


if __name__ == "__main__":
    main()
