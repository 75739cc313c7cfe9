"""A worker thread that forgets 106 B for each job it is given."""

import queue
import threading

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_malloc", "blocks": 1.0, "size": 106}


class Worker:
    def __init__(self, native):
        self.native = native
        self.jobs = queue.Queue()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while self.jobs.get() is not None:
            self.native.leak_malloc()  # planted
            self.jobs.task_done()


def setup(binding="extension", folder=""):
    return Worker(native_code.load(binding, folder))


def cycle(worker):
    worker.jobs.put("a job")
    worker.jobs.join()


def teardown(worker):
    worker.jobs.put(None)
    worker.thread.join()
