"""Containers that only grow are found in the code; what may be bounded, or is filled on a condition, is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from soak.attribution.causes import Call
from soak.attribution.keepers.finder import KeeperFinder
from soak.grounds import Keeper

OURS = Call(file="/x/soak/inside/loop.py", function="run", line=10)


def find(folder: Path, code: str, others: dict[str, str] | None = None) -> Keeper | None:
    """Look for a keeper on the stack of the lines that end with ``# 1``, the innermost, and ``# 2``."""
    file = folder / "driver.py"
    file.write_text(code, encoding="utf-8")
    for name, text in (others or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [str(file), *(str(folder / name) for name in others or {})]
    return KeeperFinder().find([*stack_of(str(file), code), OURS], files)


def stack_of(file: str, code: str) -> list[Call]:
    """Return the frames of the marked lines, innermost first."""
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    frames = {}
    for number, line in enumerate(code.splitlines(), 1):
        if (marked := re.search(r"# (\d)$", line)) is not None:
            around = [each for each in functions if each.lineno <= number <= (each.end_lineno or 0)]
            name = max(around, key=lambda each: each.lineno).name if around else "<module>"
            frames[int(marked[1])] = Call(file=file, function=name, line=number)
    return [frames[number] for number in sorted(frames)]


KEPT = "KEPT = []\n"
MAKES = "SIZE = 3\ndef make():\n    return [bytes(n) for n in range(SIZE)]  # 1\n"
IDS = "import itertools, uuid\nIDS = itertools.count()\n"
SESSION = (
    IDS + "KEPT = {}\ndef session(key):\n{lines}        KEPT[key] = bytes(9)  # 1\n"
    "def cycle():\n    session(f'user-{uuid.uuid4()}')  # 2\n"
)
THING = "class Thing:\n    pass\n"


def session(lines: str) -> str:
    """Return code that looks for a new key in some way, and adds something under it on the last condition."""
    return SESSION.replace("{lines}", lines)


KEEPS = {
    "a set of new objects": THING + "KEPT = set()\ndef cycle():\n    KEPT.add(Thing())  # 1\n",
    "under a new key that is not there yet": session("    if key not in KEPT:\n"),
    "under a new key, unless there is something": session("    if KEPT.get(key) is None:\n"),
    "after a look under the new key": session("    found = KEPT.get(key)\n    if not found:\n"),
    "unless what is under the new key is returned": session(
        "    if key in KEPT:\n        return KEPT[key]\n    if True is not None:\n"
    ).replace("    if True is not None:\n    ", ""),
    "as the session too": session("    s = KEPT.get(key)\n    if s is None:\n").replace(
        "KEPT[key] =", "s = KEPT[key] ="
    ),
    "in a list that a dict in a dict has": (
        "KEPT = {'log': {'lines': []}}\ndef cycle():\n    KEPT['log']['lines'].append(bytes(9))  # 1\n"
    ),
    "by a number whose name the standard library has as a text": (
        "N = 0\nKEPT = {}\ndef cycle():\n    global N\n    N += 1\n    KEPT[N] = bytes(9)  # 1\n"
    ),
    "as often as a number of the module says": (
        KEPT + "SIZE = 3\ndef cycle():\n    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"
    ),
    "extended by what is written out": KEPT + "def cycle():\n    KEPT.extend([bytes(n) for n in range(9)])  # 1\n",
    "extended by a generator": KEPT + "def cycle():\n    KEPT.extend(bytes(n) for n in range(9))  # 1\n",
    "by += of a comprehension": (
        KEPT + "def cycle():\n    global KEPT\n    KEPT += [bytes(n) for n in range(9)]  # 1\n"
    ),
    "extended by a variable that has items": (
        MAKES + KEPT + "def cycle():\n    made = make()  # 2\n    KEPT.extend(made)\n"
    ),
    "each item of a variable, by what is called": (
        MAKES + KEPT + "def add(one):\n    KEPT.append([one])\n"
        "def cycle():\n    made = list(make())  # 2\n    for one in made:\n        add(one)\n"
    ),
    "extended by what a function makes": (MAKES + KEPT + "def cycle():\n    KEPT.extend(make())  # 2\n"),
    "each item of what a function makes": (
        MAKES + KEPT + "def cycle():\n    for one in sorted(make()):  # 2\n        KEPT.append(one)\n"
    ),
    "of an object of the module, in a file with other classes that are derived": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self, one):\n        self.lines.append(one)\nLOG = Log()\nclass Other(Exception):\n    pass\n"
        "def cycle():\n    LOG.add(bytes(9))  # 1\n"
    ),
    "a list of the module": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "one with an annotation": "KEPT: list[bytes] = []\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "by +=": KEPT + "def cycle():\n    global KEPT\n    KEPT += [bytes(9)]  # 1\n",
    "allocated before it is added": KEPT + "def cycle():\n    one = bytes(9)  # 1\n    KEPT.append(one)\n",
    "added by a caller": (
        KEPT + "def make():\n    return [bytes(9)]  # 1\ndef cycle():\n    one = make()  # 2\n    KEPT.append(one)\n"
    ),
    "added by what is called": (
        KEPT + "def add(one):\n    KEPT.append([one])  # 1\ndef cycle():\n    with open('x'):\n        add(1)  # 2\n"
    ),
    "in a loop that always runs": (
        KEPT + "def cycle():\n    for n in range(3):\n        KEPT.append(bytes(n))  # 1\n    return 5\n"
    ),
    "a deque without a bound": (
        "from collections import deque\nKEPT = deque()\ndef cycle():\n    KEPT.appendleft(bytes(9))  # 1\n"
    ),
    "a list of a class": (
        "class Log:\n    lines = []\n    def add(self):\n        self.lines.append(bytes(9))  # 1\n"
        "def cycle():\n    Log().add()  # 2\n"
    ),
    "of an object of the module": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self):\n        self.lines.append(bytes(9))  # 1\nLOG = Log()\ndef cycle():\n    LOG.add()  # 2\n"
    ),
    "of an object of setup": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self):\n        self.lines.append(bytes(9))  # 1\n"
        "def setup():\n    return Log()\ndef cycle(log):\n    log.add()  # 2\n"
    ),
    "keys that are always new": ("import uuid\nKEPT = {}\ndef cycle():\n    KEPT[uuid.uuid4()] = bytes(9)  # 1\n"),
    "keys that count": "KEPT = {}\ndef cycle():\n    KEPT[len(KEPT)] = bytes(9)  # 1\n",
    "keys that a number of the module gives": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[f'user-{N}'] = bytes(9)  # 1\n"
    ),
    "made beside the number that counts": (
        "KEPT, N = {}, 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[N] = bytes(9)  # 1\n"
    ),
    "keys that a template writes": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT['%s-%05d%%' % (8, N)] = bytes(9)  # 1\n"
    ),
    "keys that a caller counts": (
        "KEPT = {}\nN = 0\ndef add():\n    key = ('user', N)\n    KEPT[key] = bytes(9)  # 1\n"
        "def cycle():\n    global N\n    N += 1\n    add()  # 2\n"
    ),
    "keys of an endless count": (
        "import itertools\nKEPT = {}\nIDS = itertools.count()\ndef cycle():\n    KEPT[next(IDS)] = bytes(9)  # 1\n"
    ),
    "keys that an object counts": (
        "class Log:\n    def __init__(self):\n        self.lines = {}\n        self.n = 0\n"
        "    def add(self):\n        self.n += 1\n        self.lines[str(self.n)] = bytes(9)  # 1\n"
        "LOG = Log()\ndef cycle():\n    LOG.add()  # 2\n"
    ),
    "keys made of a uuid": (
        "import uuid\nKEPT = {}\ndef cycle():\n    key = uuid.uuid4().hex\n    KEPT.setdefault(key, bytes(9))  # 1\n"
    ),
    "lists of a dict": ("KEPT = {}\ndef cycle(n):\n    KEPT.setdefault(n % 5, []).append(bytes(9))  # 1\n"),
    "lists of a defaultdict": (
        "from collections import defaultdict\nKEPT = defaultdict(list)\ndef cycle(n):\n"
        "    KEPT[n % 5].append(bytes(9))  # 1\n"
    ),
    "a variable of a closure": (
        "def make():\n    KEPT = []\n    def add():\n        KEPT.append(bytes(9))  # 1\n    return add\n"
        "ADD = make()\ndef cycle():\n    ADD()  # 2\n"
    ),
    "the default of an argument": (
        "def add(one, KEPT=[]):\n    KEPT.append([one])  # 1\ndef cycle():\n    add(5)  # 2\n"
    ),
    "the default of an argument by name": (
        "def add(one, *, KEPT=[]):\n    KEPT.append([one])  # 1\ndef cycle():\n    add(5)  # 2\n"
    ),
    "of an object of the module, from a function": (
        "class State:\n    def __init__(self):\n        self.lines = []\n"
        "STATE = State()\ndef cycle():\n    STATE.lines.append(bytes(9))  # 1\n"
    ),
    "added by what is called beside": (
        KEPT + "def keep(one):\n    KEPT.append(one)\ndef cycle():\n    one = bytes(9)  # 1\n    keep(one)\n"
    ),
    "added by a method that is called beside": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self, one):\n        self.lines.append(one)\nLOG = Log()\n"
        "def cycle():\n    LOG.add(bytes(9))  # 1\n"
    ),
    "added by a closure that is called beside": (
        "def make():\n    KEPT = []\n    def add(one):\n        KEPT.append(one)\n    return add\n"
        "ADD = make()\ndef cycle():\n    ADD(bytes(9))  # 1\n"
    ),
    "added by an object as it is made": (
        KEPT + "class One:\n    def __init__(self):\n        KEPT.append(self)\ndef cycle():\n    One()  # 1\n"
    ),
    "given to an object as it is made": (
        "class One:\n    lines = []\n    def __init__(self, body):\n        self.lines.append(body)\n"
        "def cycle():\n    body = bytes(9)  # 1\n    One(body)\n"
    ),
    "an attribute whose name is a variable too": (
        "class Log:\n    def __init__(self):\n        self.lines = []\nLOG = Log()\n"
        "def cycle():\n    LOG.lines.append(bytes(9))  # 1\ndef f(lines):\n    lines.clear()\n"
    ),
    "read elsewhere": (
        KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n"
        "def show():\n    print(len(KEPT), sorted(KEPT), f'{KEPT}', KEPT[0])\n"
        "    for one in KEPT:\n        one.clear()\n"
    ),
}
MAY_BE_BOUNDED = {
    "a set of objects that may be equal": (
        "class Thing:\n    def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return 1\n"
        "KEPT = set()\ndef cycle():\n    KEPT.add(Thing())  # 1\n"
    ),
    "a set of which some are discarded": THING
    + "KEPT = set()\ndef cycle():\n    KEPT.add(Thing())  # 1\ndef flush(one):\n    KEPT.discard(one)\nHOOK = flush\n",
    "a key that may be an old one": session("    if key not in KEPT:\n").replace("uuid.uuid4()", "len(IDS)"),
    "a new key that another function passes on as it likes": session("    key = key[:1]\n    if key not in KEPT:\n"),
    "a new key where there is room": session("    if key not in KEPT and len(KEPT) < 400:\n"),
    "unless a variable that is set again has something": session(
        "    found = KEPT.get(key)\n    found = found or len(IDS) > 400\n    if not found:\n"
    ),
    "a list within a dict that is replaced": (
        "KEPT = {'log': {'lines': []}}\ndef cycle():\n    KEPT['log']['lines'].append(bytes(9))  # 1\n"
        "def flush():\n    KEPT['log'] = {'lines': []}\nHOOK = flush\n"
    ),
    "removed when it is full": (
        KEPT + "def cycle():\n    if len(KEPT) >= 400:\n        KEPT.pop(0)\n    KEPT.append(bytes(9))  # 1\n"
    ),
    "cut to its end": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    del KEPT[:-400]\n",
    "emptied by another function": KEPT
    + "def cycle():\n    KEPT.append(bytes(9))  # 1\ndef flush():\n    KEPT.clear()\nWHEN_FULL = flush\n",
    "as often as a number that another function sets": (
        KEPT + "SIZE = 3\ndef stop():\n    global SIZE\n    SIZE = 0\n"
        "def cycle():\n    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"
    ),
    "as often as a number that is set by its name as text": (
        KEPT + "SIZE = 3\ndef stop():\n    globals()['SIZE'] = 0\n"
        "def cycle():\n    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"
    ),
    "as often as an argument says that has the name of a number": (
        KEPT + "SIZE = 3\ndef add(SIZE):\n    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"
        "def cycle():\n    add(400 - len(OTHER))  # 2\n"
    ),
    "as often as an imported number says": (
        KEPT + "SIZE = 3\ndef cycle():\n    from other import SIZE\n"
        "    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"
    ),
    "extended by what may be nothing": KEPT + "def cycle(items):\n    KEPT.extend(map(bytes, items))  # 1\n",
    "extended by what is left of something": (
        KEPT + "def cycle():\n    KEPT.extend([bytes(n) for n in range(9) if n not in SEEN])  # 1\n"
    ),
    "extended by all of something that may be nothing": KEPT + "def cycle(items):\n    KEPT.extend([*items])  # 1\n",
    "extended by what a function makes until there are enough": (
        KEPT + "def make():\n    if N > 400:\n        return []\n    return [bytes(n) for n in range(3)]  # 1\n"
        "def cycle():\n    KEPT.extend(make())  # 2\n"
    ),
    "extended by what an endless function gives while there is something": (
        KEPT + "def make():\n    yield from ITEMS\n    return [1]\ndef cycle():\n    KEPT.extend(make())  # 1\n"
    ),
    "extended by what a function makes that is another later": (
        MAKES + KEPT + "def stop():\n    global make\n    make = list\ndef cycle():\n    KEPT.extend(make())  # 2\n"
    ),
    "extended by what a function makes that an import may replace": (
        MAKES
        + "try:\n    from fast import make\nexcept ImportError:\n    pass\n"
        + KEPT
        + "def cycle():\n    KEPT.extend(make())  # 2\n"
    ),
    "extended by a variable that is emptied before": (
        MAKES + KEPT + "def cycle():\n    made = make()  # 2\n    made.clear()\n    KEPT.extend(made)\n"
    ),
    "extended by a variable that may be set to something else": (
        MAKES
        + KEPT
        + "def cycle():\n    made = make()  # 2\n    if N > 400:\n        made = []\n    KEPT.extend(made)\n"
    ),
    "extended by a variable of the module": (
        MAKES + KEPT + "def cycle():\n    global made\n    made = make()  # 2\n    KEPT.extend(made)\n"
    ),
    "extended by what an argument makes": (
        MAKES + KEPT + "def add(make):\n    KEPT.extend(make())  # 2\ndef cycle():\n    add(FUNCTIONS.pop())  # 3\n"
    ),
    "extended by what a cached function makes": (
        "@functools.lru_cache\n"
        "def make():\n    return [bytes(n) for n in range(3)]  # 1\n"
        + KEPT
        + "def cycle():\n    KEPT.extend(make())  # 2\n"
    ),
    "of an object of a derived class": (
        "class Log(Base):\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self, one):\n        self.lines.append(one)\nLOG = Log()\n"
        "def cycle():\n    LOG.add(bytes(9))  # 1\n"
    ),
    "replaced": (KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\ndef flush():\n    global KEPT\n    KEPT = []\n"),
    "swapped": (KEPT + "def cycle():\n    global KEPT\n    KEPT.append(bytes(9))  # 1\n    KEPT = KEPT[-400:]\n"),
    "overwritten": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    KEPT[:] = KEPT[-400:]\n",
    "added by an object that a metaclass may have made before": (
        f"{KEPT}class Once(type):\n    def __call__(cls):\n        return OLD or super().__call__()\n"
        "class One(metaclass=Once):\n    def __init__(self):\n        KEPT.append(self)\ndef cycle():\n    One()  # 1\n"
    ),
    "added by an object that may be an old one": (
        f"{KEPT}class One:\n    def __new__(cls):\n        return OLD\n"
        "    def __init__(self):\n        KEPT.append(self)\ndef cycle():\n    One()  # 1\n"
    ),
    "added by an object on a condition": (
        f"{KEPT}class One:\n    def __init__(self):\n        if not KEPT[400:]:\n            KEPT.append(self)\n"
        "def cycle():\n    One()  # 1\n"
    ),
    "added by a function that is another later": (
        f"{KEPT}def add(one):\n    KEPT.append(one)\nadd = limited(add)\ndef cycle():\n    add(bytes(9))  # 1\n"
    ),
    "of a class that is another later": (
        f"{KEPT}class One:\n    def __init__(self):\n        KEPT.append(self)\nOne = FULL or One\n"
        "def cycle():\n    One()  # 1\n"
    ),
    "made beside an object that is added": (
        f"{KEPT}class One:\n    def __init__(self):\n        KEPT.append(self)\n"
        "def cycle():\n    CACHE.put(bytes(9))  # 1\n    One()\n"
    ),
    "passed on": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    trim(KEPT)\n",
    "under another name": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    kept = KEPT\n    kept.pop()\n",
    "returned": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    return KEPT\n",
    "by its name as text": KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n    globals()['KEPT'].clear()\n",
    "refused when it is full": (KEPT + "def cycle():\n    if len(KEPT) < 400:\n        KEPT.append(bytes(9))  # 1\n"),
    "refused by a return": (
        KEPT + "N = 0\ndef cycle():\n    if N > 400:\n        return\n    KEPT.append(bytes(9))  # 1\n"
    ),
    "only what is new": KEPT + "MEMO = {}\ndef cycle(n):\n    if n not in MEMO:\n        KEPT.append(bytes(9))  # 1\n",
    "only what is new, for a caller": (
        KEPT + "def add():\n    KEPT.append(bytes(9))  # 1\ndef cycle(n):\n    n in MEMO or add()  # 2\n"
    ),
    "only what raises": (
        KEPT + "def cycle(n):\n    try:\n        MEMO[n]\n    except KeyError:\n        KEPT.append(bytes(9))  # 1\n"
    ),
    "only what does not raise": (
        KEPT
        + "def cycle(n):\n    try:\n        check(n)\n        KEPT.append(bytes(9))  # 1\n"
        + "    except Known:\n        pass\n"
    ),
    "of each new item": KEPT + "def cycle(items):\n    for one in items:\n        KEPT.append(bytes(one))  # 1\n",
    "behind a cache": (
        "import functools\n" + KEPT + "@functools.lru_cache(400)\ndef add(n):\n    KEPT.append(bytes(n))  # 1\n"
        "def cycle(n):\n    add(n)  # 2\n"
    ),
    "in a generator": KEPT
    + "def add():\n    KEPT.append(bytes(9))  # 1\n    yield\ndef cycle():\n    next(add())  # 2\n",
    "a bounded deque": (
        "from collections import deque\nKEPT = deque(maxlen=400)\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n"
    ),
    "of unknown type, made beside another": "KEPT, N = Ring(400), []\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "made by a call beside another": "KEPT, N = make()\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "made beside what takes the rest": "*KEPT, N = [], []\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "replaced beside another": (
        "KEPT, N = [], 0\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n"
        "def flush():\n    global KEPT, N\n    KEPT, N = [], 0\n"
    ),
    "keys of a number that begins again beside another": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[N] = bytes(9)  # 1\n"
        "def again():\n    global N, M\n    N, M = 0, 0\n"
    ),
    "of unknown type": "KEPT = Ring(400)\ndef cycle():\n    KEPT.append(bytes(9))  # 1\n",
    "keys of a finite set": "KEPT = {}\ndef cycle(n):\n    KEPT[n % 400] = bytes(9)  # 1\n",
    "keys of a number that is bounded": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N = (N + 1) % 400\n    KEPT[N] = bytes(9)  # 1\n"
    ),
    "keys of a number that begins again": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[N] = bytes(9)  # 1\n"
        "def again():\n    global N\n    N = 0\n"
    ),
    "keys of a number that stops": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    if N < 400:\n        N += 1\n    KEPT[N] = bytes(9)  # 1\n"
    ),
    "keys of a part of a number": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    key = N % 400\n    KEPT[key] = bytes(9)  # 1\n"
    ),
    "keys of a number that is cut": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[f'{N:.0e}'] = bytes(9)  # 1\n"
    ),
    "keys of a number that a template cuts": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT['%.1e-%s' % (N, 8)] = bytes(9)  # 1\n"
    ),
    "keys of a time without its fraction": (
        "import time\nKEPT = {}\ndef cycle():\n    KEPT['%d' % time.monotonic()] = bytes(9)  # 1\n"
    ),
    "keys that come round": (
        "import itertools\nKEPT = {}\nIDS = itertools.cycle(range(400))\n"
        "def cycle():\n    KEPT[next(IDS)] = bytes(9)  # 1\n"
    ),
    "keys of a count that begins again": (
        "import itertools\nKEPT = {}\nIDS = itertools.count()\ndef cycle():\n    KEPT[next(IDS)] = bytes(9)  # 1\n"
        "def again():\n    global IDS\n    IDS = itertools.count()\n"
    ),
    "keys of an object that is made again": (
        "KEPT = {}\nclass Log:\n    def __init__(self):\n        self.n = 0\n    def add(self):\n        self.n += 1\n"
        "        KEPT[self.n] = bytes(9)  # 1\ndef cycle():\n    Log().add()  # 2\n"
    ),
    "entries of new keys that another function overwrites": (
        "KEPT = {}\nN = 0\ndef cycle():\n    global N\n    N += 1\n    KEPT[N] = bytes(9)  # 1\n"
        "def drop(key):\n    KEPT[key] = None\nWHEN_OLD = drop\n"
    ),
    "a list that overwrites its oldest entries": KEPT
    + "def cycle(n):\n    KEPT.append(bytes(9))  # 1\n    KEPT[n - 400] = None\n",
    "lists of a dict that are cut": (
        "KEPT = {}\ndef cycle(n):\n    KEPT.setdefault(n, []).append(bytes(9))  # 1\n    del KEPT[n][:-400]\n"
    ),
    "lists of a dict that are replaced": (
        "from collections import defaultdict\nKEPT = defaultdict(list)\ndef cycle(n):\n"
        "    KEPT[n % 5].append(bytes(9))  # 1\n    KEPT[n % 5] = KEPT[n % 5][-400:]\n"
    ),
    "deques of a dict": (
        "from collections import deque\nKEPT = {'a': deque(maxlen=400)}\n"
        "def cycle():\n    KEPT['a'].append(bytes(9))  # 1\n"
    ),
    "deques that a defaultdict makes": (
        "from collections import defaultdict, deque\nKEPT = defaultdict(lambda: deque(maxlen=400))\ndef cycle():\n"
        "    KEPT['a'].append(bytes(9))  # 1\n"
    ),
    "lists of a dict that are handed out": (
        "KEPT = {}\ndef cycle(n):\n    KEPT.setdefault(n, []).append(bytes(9))  # 1\n    return KEPT[n]\n"
    ),
    "a variable of a closure that is made again": (
        "def make():\n    KEPT = []\n    def add():\n        KEPT.append(bytes(9))  # 1\n    return add\n"
        "ADD = make()\ndef cycle():\n    ADD()  # 2\ndef renew():\n    global ADD\n    ADD = make()\n"
    ),
    "a variable of a closure that is bound again": (
        "def make():\n    KEPT = []\n    def add():\n        nonlocal KEPT\n        KEPT.append(bytes(9))  # 1\n"
        "        KEPT = KEPT[-400:]\n    return add\nADD = make()\ndef cycle():\n    ADD()  # 2\n"
    ),
    "a variable of the inner function": (
        "def make():\n    KEPT = []\n    def add():\n        KEPT = []\n        KEPT.append(bytes(9))  # 1\n"
        "    return add\n"
        "ADD = make()\ndef cycle():\n    ADD()  # 2\n"
    ),
    "a default that is passed": (
        "def add(one, KEPT=[]):\n    KEPT.append([one])  # 1\ndef cycle():\n    add(5, [])  # 2\n"
    ),
    "a default that may be passed": (
        "def add(one, KEPT=[]):\n    KEPT.append([one])  # 1\ndef cycle(more):\n    add(5, **more)  # 2\n"
    ),
    "a default of a function that is made again": (
        "def cycle():\n    def add(one, KEPT=[]):\n        KEPT.append([one])  # 1\n    add(5)  # 2\n"
    ),
    "of an object of the module that is made again": (
        "class State:\n    def __init__(self):\n        self.lines = []\n"
        "STATE = State()\ndef cycle():\n    STATE.lines.append(bytes(9))  # 1\n"
        "def renew():\n    global STATE\n    STATE = State()\n"
    ),
    "added on a condition by what is called beside": (
        KEPT + "def keep(one):\n    if len(KEPT) < 400:\n        KEPT.append(one)\n"
        "def cycle():\n    one = bytes(9)  # 1\n    keep(one)\n"
    ),
    "what is called on a condition beside": (
        KEPT + "def keep(one):\n    KEPT.append(one)\n"
        "def cycle(n):\n    one = bytes(9)  # 1\n    if n < 400:\n        keep(one)\n"
    ),
    "added by a function that may be another": (
        KEPT + "def keep(one):\n    KEPT.append(one)\nADD = keep\ndef forget(one):\n    pass\n"
        "def stop():\n    global ADD\n    ADD = forget\ndef cycle():\n    one = bytes(9)  # 1\n    ADD(one)\n"
    ),
    "added by a function that is replaced": (
        KEPT + "def keep(one):\n    KEPT.append(one)\ndef stop():\n    global keep\n    keep = print\n"
        "def cycle():\n    one = bytes(9)  # 1\n    keep(one)\n"
    ),
    "added by a method that another class has": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def cycle(self):\n        self.add(bytes(9))  # 1\n"
        "    def add(self, one):\n        self.lines.append(one)\nclass Less(Log):\n    def add(self, one): pass\n"
        "LOG = Log()\ndef cycle():\n    LOG.cycle()  # 2\n"
    ),
    "a local list": "def cycle():\n    kept = []\n    kept.append(bytes(9))  # 1\n",
    "an argument": "def cycle(kept):\n    kept.append(bytes(9))  # 1\n",
    "of an object that is made again": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self):\n        self.lines.append(bytes(9))  # 1\nLOG = Log()\n"
        "def cycle():\n    LOG.add()  # 2\ndef rotate():\n    global LOG\n    LOG = Log()\n"
    ),
    "of an object that is handed out": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self):\n        self.lines.append(bytes(9))  # 1\nclass More(Log): pass\n"
        "LOG = Log()\ndef cycle():\n    LOG.add()  # 2\n"
    ),
    "of an object that replaces it": (
        "class Log:\n    def __init__(self):\n        self.lines = []\n"
        "    def add(self):\n        self.lines.append(bytes(9))  # 1\n    def reset(self):\n        self.lines = []\n"
        "LOG = Log()\ndef cycle():\n    LOG.add()  # 2\n"
    ),
    "while a module is imported": KEPT + "KEPT.append(bytes(9))  # 1\n",
}


@pytest.mark.parametrize("code", KEEPS.values(), ids=KEEPS)
def test_a_container_that_every_call_adds_to_and_nothing_takes_from_only_grows(tmp_path: Path, code: str):
    found = find(tmp_path, code)

    assert found is not None
    assert found.name.rsplit(".", 1)[-1] in ("KEPT", "lines")
    assert any(word in code.splitlines()[found.line - 1] for word in ("append", "KEPT", "lines["))


@pytest.mark.parametrize("code", MAY_BE_BOUNDED.values(), ids=MAY_BE_BOUNDED)
def test_nothing_is_said_of_a_container_that_may_have_a_bound(tmp_path: Path, code: str):
    assert find(tmp_path, code) is None


@pytest.mark.parametrize(
    "other",
    [
        "import driver\ndef flush():\n    driver.KEPT.clear()\n",
        "import driver\ndef flush():\n    driver.KEPT = []\n",
        "from driver import KEPT as entries\ndef flush():\n    entries.clear()\n",
        "from driver import KEPT\ndef flush():\n    del KEPT[0]\n",
        "from driver import *\ndef flush():\n    KEPT.clear()\n",
        "import driver\ngetattr(driver, 'KEPT').clear()\n",
        "def f(: driver.KEPT is not Python here\n",
    ],
)
def test_another_file_may_bound_it(tmp_path: Path, other: str):
    code = KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n"

    assert find(tmp_path, code, {"other.py": "import driver\nprint(driver.KEPT[0])\n"}) is not None
    assert find(tmp_path, code, {"other.py": other}) is None


@pytest.mark.parametrize(
    "other",
    [
        "def f(KEPT):\n    KEPT.clear()\n",
        "KEPT = [1]\ndef f():\n    KEPT.pop()\n",
        "class Log:\n    def flush(self):\n        self.KEPT = None\n",
        "f(KEPT=5)\n",
    ],
)
def test_another_variable_of_that_name_in_another_file_does_not_matter(tmp_path: Path, other: str):
    code = KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n"

    assert find(tmp_path, code, {"other.py": other}) is not None


def test_nothing_is_said_where_a_file_cannot_be_read_or_the_stack_does_not_reach_the_loop(tmp_path: Path):
    code = KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n"
    assert find(tmp_path, code) is not None
    file = str(tmp_path / "driver.py")
    stack = stack_of(file, code)

    assert KeeperFinder().find(stack, [file]) is None
    assert KeeperFinder().find([*stack, OURS], [file, str(tmp_path / "gone.py")]) is None


FIGURE = "import matplotlib.pyplot as plt\ndef cycle():\n    figure, axes = plt.subplots({})\n{}"


@pytest.mark.parametrize(
    ("arguments", "rest", "is_kept"),
    [
        ("figsize=(1, 1)", "", True),
        ("figsize=(1, 1)", "    plt.close(figure)\n", False),
        ("num=1", "", False),
        ("**options", "", False),
        ("", "def trim():\n    from matplotlib.pyplot import close\n", False),
    ],
)
def test_pyplot_keeps_every_figure_that_is_not_closed(tmp_path: Path, arguments: str, rest: str, *, is_kept: bool):
    file = tmp_path / "driver.py"
    file.write_text(FIGURE.format(arguments, rest), encoding="utf-8")
    library = Call(file="/site-packages/matplotlib/pyplot.py", function="subplots", line=5)
    stack = [library, Call(file=str(file), function="cycle", line=3), OURS]

    found = KeeperFinder().find(stack, [str(file), "<frozen importlib._bootstrap>"])

    assert (found is not None) is is_kept


NEWER = "match = = of a newer Python\n"


@pytest.mark.parametrize("text", ["# KEPT\n", "KEPT = []\n", "class A: 'what is KEPT'\n", "def f(KEPT): return KEPT\n"])
def test_a_file_that_cannot_be_parsed_has_variables_of_its_own(tmp_path: Path, text: str):
    assert (
        find(tmp_path, KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n", {"other.py": NEWER + text}) is not None
    )


@pytest.mark.parametrize(
    "text",
    [
        "import driver\ndel driver.KEPT[9:]\n",
        "from driver import KEPT\n",
        "from driver import (\n    OTHER,\n    KEPT,\n)\n",
        "from driver import OTHER, \\\n    KEPT\n",
        "from driver import *\ndel KEPT[9:]\n",
        "setattr(driver, 'KEPT', [])\n",
    ],
)
def test_a_file_that_cannot_be_parsed_may_take_from_a_container_that_it_reaches(tmp_path: Path, text: str):
    assert find(tmp_path, KEPT + "def cycle():\n    KEPT.append(bytes(9))  # 1\n", {"other.py": NEWER + text}) is None


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [("KEPT = []", True), ("class Log:", True), ("class Log(Base):", False)],
)
def test_files_of_python_itself_mean_variables_of_their_own_but_for_what_is_inherited(
    tmp_path: Path, line: str, *, is_kept: bool
):
    library = tmp_path / "lib" / "python3.11"
    library.mkdir(parents=True)
    text = "class Spool:\n    def flush(self, KEPT, SIZE):\n        self.KEPT.clear()\n        add = other.KEPT.pop()\n"
    (library / "spool.py").write_text(text, encoding="utf-8")
    if line.startswith("class"):
        code = (
            f"{line}\n    def __init__(self):\n        self.KEPT = []\n    def add(self, one):\n"
            "        self.KEPT.append([one])  # 1\nLOG = Log()\ndef cycle():\n    LOG.add(5)  # 2\n"
        )
    else:
        code = f"SIZE = 3\n{line}\ndef cycle():\n    for n in range(SIZE):\n        KEPT.append(bytes(n))  # 1\n"

    found = find(tmp_path, code, {"lib/python3.11/spool.py": text})
    elsewhere = find(tmp_path, code, {"spool.py": text})

    assert (found is not None, elsewhere) == (is_kept, None)
