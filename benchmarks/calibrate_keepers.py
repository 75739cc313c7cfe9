"""Measure how often a container with a bound is taken for one that only grows, on random programs.

`benchmarks/calibrate.py` runs this and writes the table. Each program adds to a container in every cycle, in one of
many ways, and bounds it in one of many ways, or not at all. Every program is run first, for three times the cycles that
its bound allows, to see whether its container is bounded. Then its code is read as soak reads it, in a run and in a
watch, where a server calls the function that adds, or the one that calls it. Seeds are fixed.
"""

from __future__ import annotations

import sys
import tempfile
import types
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soak.attribution.causes import Call
from soak.attribution.keepers.entries import served_frames
from soak.attribution.keepers.finder import KeeperFinder

_CACHED_SHARE = 0.15
"""Of the programs keep the results of a function."""
LEAST_POWER = 0.2
"""Of the programs without a bound; the others are judged by many cycles, as everything was before."""
_LOOP = Call(file="/soak/inside/loop.py", function="run", line=1)
_SERVER = Call(file="/srv/lib/python3.11/site-packages/flask/app.py", function="dispatch_request", line=1)

Lines = list[str]


@dataclass(frozen=True)
class Shape:
    """How a program has its container, and the function that adds to it."""

    code: str
    """Of the module, with ``{new}`` where the container is made and ``{add}`` for the lines that add to it."""
    name: str
    """The container, where it is added to."""
    outside: str
    """The container, in other code of the module; what only Python's internals reach is not bounded from there."""
    call: str
    """The call that adds to it."""
    remake: str = ""
    """What puts another container in its place, from another function; empty if that is setting it."""
    switch: str = "ON"
    """A setting that its conditions may ask for, and how other code of the module names it."""
    outside_switch: str = "ON"

    @property
    def is_hidden(self) -> bool:
        """Whether no other code can reach the container."""
        return "__" in self.outside


_LOG = "LOG = Log()"
SHAPES = (
    Shape("KEPT = {new}\n{decorator}def add(key):\n    {add}", "KEPT", "KEPT", "add"),
    Shape(
        f"class Log:\n    kept = {{new}}\n    {{decorator}}def add(self, key):\n        {{add}}\n{_LOG}",
        "self.kept",
        "LOG.kept",
        "LOG.add",
    ),
    Shape(
        "class Log:\n    def __init__(self, on: bool = True):\n        self.kept = {new}\n        self.on = on\n"
        f"    {{decorator}}def add(self, key):\n        {{add}}\n{_LOG}",
        "self.kept",
        "LOG.kept",
        "LOG.add",
        _LOG,
        "self.on",
        "LOG.on",
    ),
    Shape(
        "class Log:\n    def __init__(self):\n        self.kept = {new}\n"
        f"{_LOG}\n{{decorator}}def add(key):\n    {{add}}",
        "LOG.kept",
        "LOG.kept",
        "add",
        _LOG,
    ),
    Shape(
        "def make():\n    kept = {new}\n    {decorator}def add(key):\n        {add}\n    return add\nadd = make()",
        "kept",
        "inner(add).__closure__[0].cell_contents",
        "add",
        "add = make()",
    ),
    Shape("{decorator}def add(key, kept={new}):\n    {add}", "kept", "inner(add).__defaults__[0]", "add"),
)
ADDITIONS = {
    "[]": (
        "{c}.append([N])",
        "{c}.insert(0, [N])",
        "one = [N]\n{c}.append(one)",
        "for _ in range(1):\n    {c}.append([N])",
        "for _ in range(COUNT):\n    {c}.append([N])",
        "{c}.extend([[N] for _ in range(COUNT)])",
        "{c}.extend([N] for _ in range(COUNT) if N < SIZE)",
        "{c}.extend(made())  # [N]",
        "for one in made():\n    {c}.append([N])",
        "{c}.extend(made_until())  # [N]",
        "for one in made_until():\n    {c}.append([N])",
        "for one in made_of(SIZE - N):\n    {c}.append([N])",
    ),
    "{}": (
        "{c}[N] = [N]",
        "{c}[len({c})] = [N]",
        "{c}[N % SIZE] = [N]",
        "{c}.setdefault(N, [N])",
        "key = ('user', N)\n{c}[key] = [N]",
        "key = N % SIZE\n{c}[key] = [N]",
        "{c}[f'user-{N}'] = [N]",
        "{c}[f'{N % SIZE}'] = [N]",
        "{c}[next(IDS)] = [N]",
        "{c}[next(ROUND)] = [N]",
        "{c}.setdefault(N % 5, []).append([N])",
        "{c}[key] = [N]",
        "if N not in {c}:\n    {c}[N] = [N]",
        "if N % SIZE not in {c}:\n    {c}[N % SIZE] = [N]",
        "if key in {c}:\n    return {c}[key]\n{c}[key] = [N]",
        "found = {c}.get(N)\nif found is None:\n    found = {c}[N] = [N]",
        "found = {c}.get(N % SIZE)\nif not found:\n    found = {c}[N % SIZE] = [N]",
        "found = {c}.get(N)\nfound = N > SIZE or found\nif not found:\n    {c}[N] = [N]",
    ),
    "set()": (
        "{c}.add((N, 0))  # [N]",
        "{c}.add(Thing())  # [N]",
        "{c}.add(Equal())  # [N]",
        "{c}.add(N % SIZE)  # [N]",
        "if key not in {c}:\n    {c}.add(key)  # [N]",
    ),
    "{'a': {'b': []}}": ("{c}['a']['b'].append([N])", "{c}['a']['b'].insert(0, [N])"),
    "collections.defaultdict(list)": ("{c}[N % 5].append([N])", "{c}[N].append([N])"),
    "collections.deque()": ("{c}.append([N])", "{c}.appendleft([N])"),
    "collections.deque(maxlen=SIZE)": ("{c}.append([N])",),
    "collections.OrderedDict()": ("{c}[N] = [N]",),
}
LIST_BOUNDS = (
    "if len({c}) > SIZE:\n    {c}.pop()",
    "if len({c}) > SIZE:\n    del {c}[0]",
    "if len({c}) > SIZE:\n    {c}.clear()",
    "if N % SIZE == 0:\n    {c}.clear()",
    "if N % SIZE == 0:\n    del {c}[:]",
    "while len({c}) > SIZE:\n    {c}.pop()",
    "if len({c}) > SIZE:\n    {c}.remove({c}[0])",
    "if len({c}) > SIZE:\n    {c}.pop(random.randrange(SIZE))",
    "trim({c})",
    "entries = {c}\nif len(entries) > SIZE:\n    entries.pop()",
    "if len(list({c})) > SIZE:\n    getattr({c}, 'pop')()",
)
BOUNDS = {
    "[]": (*LIST_BOUNDS, "{c}[:] = {c}[-SIZE:]"),
    "{}": (
        "if len({c}) > SIZE:\n    {c}.pop(next(iter({c})))",
        "if len({c}) > SIZE:\n    {c}.popitem()",
        "if N % SIZE == 0:\n    {c}.clear()",
        "trim({c})",
    ),
    "set()": (
        "if len({c}) > SIZE:\n    {c}.pop()",
        "if len({c}) > SIZE:\n    {c}.discard(next(iter({c})))",
        "if N % SIZE == 0:\n    {c}.clear()",
        "{c}.difference_update(list({c})[SIZE:])",
        "trim({c})",
    ),
    "{'a': {'b': []}}": (
        "if N % SIZE == 0:\n    {c}['a']['b'].clear()",
        "if N % SIZE == 0:\n    {c}['a']['b'] = []",
        "if N % SIZE == 0:\n    {c}['a'] = {'b': []}",
        "del {c}['a']['b'][SIZE:]",
        "entries = {c}['a']['b']\nif len(entries) > SIZE:\n    entries.pop()",
        "trim({c}['a']['b'])",
    ),
    "collections.deque()": (
        "if len({c}) > SIZE:\n    {c}.popleft()",
        "trim({c})",
        "if N % SIZE == 0:\n    {c}.clear()",
    ),
    "collections.deque(maxlen=SIZE)": ("",),
    "collections.defaultdict(list)": (
        "if len({c}[0]) > SIZE:\n    {c}[0].pop()",
        "if sum(map(len, {c}.values())) > SIZE:\n    {c}.clear()",
        "for entries in {c}.values():\n    del entries[:-SIZE]",
        "trim({c})",
    ),
    "collections.OrderedDict()": ("if len({c}) > SIZE:\n    {c}.popitem(last=False)", "trim({c})"),
}
ON = ("if {on}:", "if {on} is not False:", "on = {on}\nif on:", "if not {on}:\n    return")
OFF = (
    "{on} = False",
    "setattr({module}, '{name}', False)",
    "vars({module})['{name}'] = 0",
    "{on} = N < SIZE",
)
"""What asks for a setting, and what sets it once the container has its size."""
FEWER = (
    "global COUNT\nCOUNT = 0",
    "global made\nmade = list",
    "setattr(sys.modules[__name__], 'COUNT', 0)",
    "vars(sys.modules[__name__])['COUNT'] = 0",
    "sys.modules[__name__].made = list",
)
"""What has each cycle add nothing any more, once the container has its size."""
SAME = (
    "few = [1, 2, 3]\nif len(few) > 2:",
    "few = some(SIZE)\nif few and isinstance(few, list):",
    "few = some(SIZE)\nif len(few) < SIZE:\n    return",
    "few = made_of(3)\nif few:",
    "few = made_of(SIZE - N)\nif few:",
    "few = some(SIZE - N)\nif few:",
    "few = some(SIZE)\nfew = few[N:]\nif few:",
    "few = some(SIZE)\nshorten(few)\nif few:",
    "left = room()\nif left:",
    "if SIZE > N:",
    "if some(key):",
)
"""Conditions on what the function makes itself, which are the same each time or not."""
GUARDS = (
    *("if len({c}) < SIZE:", "if N < SIZE:", "if N not in SEEN and N < SIZE:", "if random.random() < SIZE / N:"),
    *("if N not in {c} and len({c}) < SIZE:", "if len({c}) not in {SIZE}:"),
)
_BEGIN = """import collections, functools, itertools, random, sys
ON = True
SIZE, N, SEEN = {size}, 0, set()
IDS, ROUND = itertools.count(), itertools.cycle(range(SIZE))
COUNT = 1
class Thing:
    def entry(self):
        return N
class Equal:
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 1
def made():
    return [[N, 0] for _ in range(COUNT)]
def made_until():
    if N >= SIZE:
        return []
    return [[N, 0] for _ in range(COUNT)]
def made_of(count):
    return [[N, 0] for _ in range(max(count, 0))]
def some(count):
    return [0 for _ in range(count)]
def room():
    return max(SIZE - N, 0)
def shorten(few):
    del few[SIZE - N:]
def trim(entries):
    if size_of(entries) > SIZE:
        entries.clear()
def size_of(entries):
    return sum(map(size_of, entries.values())) if isinstance(entries, dict) else len(entries)
def inner(function):
    return getattr(function, "__wrapped__", function)
"""
CACHES = (
    "@functools.cache",
    "@functools.lru_cache(None)",
    "@functools.lru_cache(maxsize=None)",
    "@functools.lru_cache(SIZE)",
)
"""What keeps the results of a function, without a bound or with one."""
CACHED_CALLS = (
    *("add(N)", "add((1, N))", "add(f'user-{N}')", "add(Thing())", "add(next(IDS))"),
    *("add(Equal())", "add(N % SIZE)", "add(next(ROUND))", "add(min(N, SIZE))"),
)
CACHE_BOUNDS = (
    "if add.cache_info().currsize > SIZE:\n    add.cache_clear()",
    "if N % SIZE == 0:\n    add.cache_clear()",
)
CACHE_GUARDS = ("if N < SIZE:", "if add.cache_info().currsize < SIZE:", "if N < SIZE or N % SIZE == 0:")
_CACHED_WHERE = ("nowhere", "nowhere", "nowhere", "here", "function", "file", "guard", "return", "remade", "method")
_WHERE = (
    *("nowhere", "nowhere", "here", "function", "file", "guard", "return", "cached", "replaced", "counter"),
    *("on", "off", "off", "same"),
    *("unused", "named", "fewer"),
)
_CALLED_BY = {"function": "    bound()\n", "unused": "", "named": "    globals()['bo' + 'und']()\n"}
"""How the cycle calls a function that bounds the container."""


@dataclass(frozen=True)
class Program:
    """A random program that adds to a container in each cycle."""

    code: str
    second: str
    """The code of a second file, which may bound it."""
    container: str
    """Of the module; for this benchmark to see how many entries it has."""
    is_cache: bool = False
    """It is the cache of a function, and the line that adds calls that."""


def cached_program(rng: np.random.Generator) -> Program:
    """Return a random program that keeps the results of a function."""
    where, call = str(rng.choice(_CACHED_WHERE)), str(rng.choice(CACHED_CALLS))
    bound = _indented(str(rng.choice(CACHE_BOUNDS)))
    lines = [f"{call}  # [N]"]
    second, name = "import program\n", "add"
    more, after = "", ""
    function = f"{rng.choice(CACHES)}\ndef add(key):\n    return [key]\n"
    if where == "method":
        function = function.replace("\n", "\n    ").replace("(key)", "(self)").replace("[key]", "[self]").rstrip()
        function = f"class Own:\n    {function}\n"
        lines, name = [f"{rng.choice(('Own()', 'OWN'))}.add()  # [N]"], "Own.add"
        more = "OWN = Own()\n"
    elif where == "guard":
        lines = [str(rng.choice(CACHE_GUARDS)), f"    {lines[0]}"]
    elif where == "return":
        lines = ["if N > SIZE:", "    return", *lines]
    elif where == "here":
        after = bound + "\n"
    elif where == "function":
        more, after = f"def bound():\n{bound}\n", "    bound()\n"
    elif where == "file":
        second += f"from program import SIZE, add\ndef bound():\n{bound}\n".replace("N %", "program.N %")
        after = "    if HOOK:\n        HOOK()\n"
    elif where == "remade":
        more = "def bound():\n    global add\n    add = functools.cache(add.__wrapped__)\n"
        after = "    if N % SIZE == 0:\n        bound()\n"
    size = int(np.exp(rng.uniform(np.log(10), np.log(500))))
    cycle = "\n".join(f"    {line}" for line in lines)
    code = _BEGIN.replace("{size}", str(size)) + function + more
    code += f"HOOK = None\ndef cycle():\n    global N\n    N += 1\n{cycle}\n{after}"
    return Program(code, second, f"range({name}.cache_info().currsize)", is_cache=True)


def program(rng: np.random.Generator) -> Program:
    """Return a random program."""
    if rng.random() < _CACHED_SHARE:
        return cached_program(rng)
    shape = SHAPES[rng.integers(len(SHAPES))]
    new = str(rng.choice(list(ADDITIONS)))
    add = str(rng.choice(ADDITIONS[new]))
    where = str(rng.choice(_WHERE))
    if shape.is_hidden and where in ("file", *_CALLED_BY):
        where = "here"
    if where == "replaced" and shape.is_hidden and not shape.remake:
        where = "nowhere"
    if where == "fewer":
        new = "[]"
        add = str(rng.choice([each for each in ADDITIONS[new] if "COUNT" in each or "made" in each]))
    bound = str(rng.choice(BOUNDS[new]))
    size = int(np.exp(rng.uniform(np.log(10), np.log(500))))
    lines = _in_container(add, shape.name).splitlines()
    if where == "here":
        lines += _in_container(bound, shape.name).splitlines()
    elif where == "guard":
        guard = _in_container(str(rng.choice(GUARDS)), shape.name)
        lines = [guard, *(f"    {line}" for line in lines)]
    elif where == "return":
        lines = [f"if len({shape.name}) >= SIZE:", "    return", *lines]
    elif where == "same":
        lines = _switched(lines, str(rng.choice(SAME)).splitlines())
    elif where in ("on", "off"):
        lines = _switched(lines, str(rng.choice(ON)).replace("{on}", shape.switch).splitlines())
    code = _BEGIN.replace("{size}", str(size)) + _filled(shape.code, new, lines, is_cached=where == "cached")
    off = str(rng.choice(FEWER if where == "fewer" else OFF))
    more, second, after = _elsewhere(where, shape, new, bound, off)
    key = "N % SIZE" if where == "cached" else "N"
    code += f"{more}HOOK = None\ndef cycle():\n    global N\n    N += 1\n    {shape.call}({key})\n{after}"
    return Program(code, second, shape.outside)


def _elsewhere(where: str, shape: Shape, new: str, bound: str, off: str) -> tuple[str, str, str]:
    """Return what bounds a container outside of what adds: more of the module, a second file, the end of a cycle."""
    more, second, after = "", "import program, random\nfrom program import SIZE, trim\n", ""
    if where in _CALLED_BY:
        more = f"def bound():\n{_indented(_in_container(bound, shape.outside))}\n"
        after = _CALLED_BY[where]
    elif where == "replaced":
        made = shape.remake or f"{shape.outside} = {new}"
        more = f"def renew():\n    global {made.split(' ')[0].split('.')[0]}\n    {made}\n"
        after = "    if N % SIZE == 0:\n        renew()\n"
    elif where == "fewer":
        more = f"def fewer():\n{_indented(off)}\n"
        after = "    if N >= SIZE:\n        fewer()\n"
    elif where == "off":
        more = f"def off():\n{_indented(_off(off, shape.outside_switch))}\n"
        after = "    if N >= SIZE:\n        off()\n"
    elif where == "counter":
        more = "def again():\n    global N\n    N = 0\n"
        after = "    if N >= SIZE:\n        again()\n"
    elif where == "file":
        text = _in_container(bound, f"program.{shape.outside}").replace("N %", "program.N %")
        second += f"def bound():\n{_indented(text)}\n"
        after = "    if HOOK:\n        HOOK()\n"
    return more, second, after


def _switched(lines: Lines, asks: Lines) -> Lines:
    """Return lines that a setting switches on; ``asks`` ends with the condition, or with leaving the function."""
    return [*asks, *(line if asks[-1].strip() == "return" else f"    {line}" for line in lines)]


def _off(text: str, switch: str) -> str:
    """Return what switches a setting off: a variable of the module, or an attribute of its object."""
    holder, _, name = switch.rpartition(".")
    text = text.replace("{module}", holder or "sys.modules[__name__]").replace("{name}", name)
    return ("" if holder else f"global {name}\n") + text.replace("{on}", switch)


def _in_container(text: str, container: str) -> str:
    return text.replace("{c}", container)


def _filled(code: str, new: str, lines: Lines, *, is_cached: bool) -> str:
    """Return the code of a shape with what makes its container and the lines that add to it, indented as they stand."""
    found = []
    for line in code.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip() == "{add}":
            found += [indent + each for each in lines]
            continue
        if "{decorator}" in line and is_cached:
            found.append(f"{indent}@functools.lru_cache(None)")
        found.append(line.replace("{decorator}", "").replace("{new}", new))
    return "\n".join(found) + "\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in (text or "pass").splitlines())


def is_bounded(made: Program) -> bool:
    """Run a program for three times its size, and see whether its container has stopped growing."""
    module, other = types.ModuleType("program"), types.ModuleType("second")
    sys.modules["program"] = module
    names = module.__dict__
    exec(compile(made.code, "program", "exec"), names)  # the program was made here
    exec(compile(made.second, "second", "exec"), other.__dict__)
    names["HOOK"] = other.__dict__.get("bound")
    size = int(names["SIZE"])
    for _ in range(3 * size):
        names["cycle"]()
    entries = eval(f"size_of({made.container})", names)  # an expression of SHAPES
    return int(entries) <= 2 * size


def only_grows(made: Program, folder: Path) -> tuple[bool, bool, bool]:
    """Read a program as soak does, from the stack of what it adds: in a run, where its cycle is served, and its add."""
    file, other = folder / "program.py", folder / "second.py"
    file.write_text(made.code, encoding="utf-8")
    other.write_text(made.second, encoding="utf-8")
    lines = made.code.splitlines()
    added = next(n for n, line in enumerate(lines, 1) if "[N]" in line)
    if made.is_cache:
        stack = [Call(file=str(file), function="cycle", line=added), _LOOP]
        found = KeeperFinder().find(stack, [str(file), str(other)], _have_run, is_of_table=True)
        return found is not None, False, False
    called = next(n for n, line in enumerate(lines, 1) if line.startswith(("    LOG.add(", "    add(")))
    frames = (("add", added), ("cycle", called))
    added_at, called_at = (Call(file=str(file), function=name, line=line) for name, line in frames)
    files = [str(file), str(other)]
    return (
        KeeperFinder().find([added_at, called_at, _LOOP], files, _have_run) is not None,
        KeeperFinder(served_frames).find([added_at, called_at, _SERVER], files) is not None,
        KeeperFinder(served_frames).find([added_at, _SERVER], files) is not None,
    )


def _have_run(_file: str, _first: int, _last: int) -> bool:
    """Say of lines that they have allocated something: all that a program has do, until it is bounded."""
    return True


@dataclass(frozen=True)
class KeeperRow:
    """How many programs of a kind there were, and of how many soak said that their container only grows."""

    family: str
    programs: int
    kept: int
    served: int = 0
    """Where a server calls the function of the cycle."""
    added: int = 0
    """Where a server calls the function that adds."""

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if self.family == _BOUNDED:
            said = self.kept + self.served + self.added
            return [f"{said} bounded containers said to grow only"] if said else []
        return [f"power {self.kept / self.programs:.2f}"] if self.kept < LEAST_POWER * self.programs else []


_BOUNDED, _UNBOUNDED = "with a bound", "without a bound"


def calibrate_keepers(programs: int, seed: int = 0) -> list[KeeperRow]:
    """Make, run and read so many programs."""
    rng = np.random.default_rng((zlib.crc32(b"keepers"), seed))
    found: dict[bool, list[tuple[bool, bool, bool]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(programs):
            made = program(rng)
            found[is_bounded(made)].append(only_grows(made, Path(folder)))
    names = {True: _BOUNDED, False: _UNBOUNDED}
    return [
        KeeperRow(names[bounded], len(said), *(sum(each) for each in zip(*said, strict=True)))
        for bounded, said in found.items()
    ]


def section_of_keepers(rows: Sequence[KeeperRow]) -> Lines:
    """Write the section of docs/calibration.md."""
    shown = [f"| {row.family} | {row.programs:,} | {row.kept:,} | {row.served:,} | {row.added:,} |" for row in rows]
    return [
        "## Containers that only grow, by their code",
        "",
        "Random programs that add to a list, dict, set, deque, dict of lists or the cache of a function in each cycle:",
        "of a module, a class, an object, a closure, or the default of an argument. Some ask before whether the key is",
        "there. Some bound it: by evicting, emptying, replacing, refusing,",
        "by few keys, by a number that begins again, by a setting that is switched off, by adding nothing any more,",
        "or a cached function; in the same function, in another one, in another file or under another name; at a size",
        "of 10 to 500. A function that would bound it may never be called, or may be called by a name that is not in",
        "the code. Each was run to see whether it is bounded.",
        "In a watch a server calls the function of the cycle, or the one that adds.",
        "Gates: none of the bounded ones is said to grow only; of the others, in a run,",
        f"at least {100 * LEAST_POWER:g} %.",
        "",
        "| programs | number | said to grow only, in a run | the cycle is served | what adds is served |",
        "|---|--:|--:|--:|--:|",
        *shown,
        "",
    ]
