"""Ten clean functions of the kinds that programs are made of; none may be called LEAK, on any machine."""

import asyncio
import atexit
import collections
import functools
import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool

numbers = itertools.count()
executor = pool = None
recent = collections.deque(maxlen=300)


def slow():
    """Wait most of the time, as a call over a network does."""
    time.sleep(0.1)
    json.loads('{"a": [1, 2, {"b": null}]}')


def threads():
    """Start a thread for each call, and join it."""
    thread = threading.Thread(target=json.dumps, args=({"a": list(range(100))},))
    thread.start()
    thread.join()


def thread_pool():
    """Map over threads that live on."""
    global executor
    executor = executor or ThreadPoolExecutor(4)
    list(executor.map(json.dumps, [[number] * 50 for number in range(8)]))


def lazy_imports():
    """Import a module for the first time in each of the first calls."""
    name = LAZY[min(next(numbers), len(LAZY) - 1)]
    if name not in sys.modules:
        __import__(name)
    time.sleep(0.02)


@functools.lru_cache(maxsize=500)
def _expand(number):
    return {"terms": [(number, other) for other in range(5)]}


def caches():
    """Fill a cache of 500 in random order."""
    _expand(random.randrange(2000))
    time.sleep(0.005)


def window():
    """Keep the latest 300 results."""
    recent.append({"text": "x" * random.randrange(1000)})
    re.compile(f"a{random.randrange(1000)}+")
    time.sleep(0.002)


def processes():
    """Map over processes that live on."""
    global pool
    pool = pool or Pool(2)
    pool.map(len, [[1, 2], [3]])


def subprocesses():
    """Run a command."""
    subprocess.run(["/bin/true"], check=True)


def event_loop():
    """Run a loop with twenty tasks."""

    async def work():
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(20)))

    asyncio.run(work())


def files():
    """Write a temporary database, and remove it."""
    folder = tempfile.mkdtemp()
    with sqlite3.connect(os.path.join(folder, "a.db")) as connection:
        connection.execute("create table t (x)")
        connection.executemany("insert into t values (?)", [(number,) for number in range(50)])
    connection.close()
    shutil.rmtree(folder)


MODULES = """
    argparse bdb bz2 calendar cmd code codeop colorsys configparser contextvars csv ctypes dis doctest
    email.mime.text filecmp fractions ftplib getpass gettext graphlib html.parser http.client
    http.cookies imaplib ipaddress lzma mailbox mimetypes modulefinder netrc numbers optparse pdb
    pickletools plistlib poplib profile pstats pyclbr quopri rlcompleter runpy sched secrets shelve
    smtplib statistics stringprep symtable tabnanny tarfile timeit trace turtle unittest.mock uuid wave
    webbrowser xml.dom.minidom xmlrpc.client zipapp
"""
LAZY = MODULES.split()


def _close():
    for one in (executor, pool):
        if one is not None:
            (one.shutdown if one is executor else one.terminate)()


atexit.register(_close)
