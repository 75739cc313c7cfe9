"""Clean: each of the first 400 calls imports a module for the first time, and no other does. 20 ms a call."""

import atexit
import importlib
import itertools
import os
import shutil
import sys
import tempfile
import time

EXPECT = {"verdicts": ["SETTLING", "CLEAN", "INCONCLUSIVE"]}
folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, ignore_errors=True)
for number in range(400):
    with open(os.path.join(folder, f"lazy_{number}.py"), "w", encoding="utf-8") as file:
        file.write(f"import re\nTABLE = {{key: re.compile('a{number}(' + str(key) + ')+') for key in range(8)}}\n")
sys.path.insert(0, folder)
numbers = itertools.count()


def cycle():
    importlib.import_module(f"lazy_{next(numbers) % 400}")
    time.sleep(0.02)
