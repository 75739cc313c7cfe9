"""Measure how often a container with a bound is taken for one that only grows, on random programs.

`benchmarks/calibrate.py` runs this and writes the table. Each program adds to a container in every cycle, in one of
many ways, and bounds it in one of many ways, or not at all. Every program is run first, for three times the cycles that
its bound allows, to see whether its container is bounded. Then its code is read as soak reads it. Seeds are fixed.
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
from soak.attribution.keepers.finder import KeeperFinder

LEAST_POWER = 0.2
"""Of the programs without a bound; the others are judged by many cycles, as everything was before."""
_LOOP = Call(file="/soak/inside/loop.py", function="run", line=1)

Lines = list[str]


@dataclass(frozen=True)
class Shape:
    """How a program names its container."""

    define: str
    """Code of the module, with ``{new}`` where a new container is made."""
    name: str
    """The container, in a method or function; ``{container}`` in other code."""
    outside: str
    """The container, in the module."""
    is_method: bool


SHAPES = (
    Shape("KEPT = {new}", "KEPT", "KEPT", is_method=False),
    Shape("class Log:\n    kept = {new}\nLOG = Log()", "self.kept", "LOG.kept", is_method=True),
    Shape(
        "class Log:\n    def __init__(self):\n        self.kept = {new}\nLOG = Log()",
        "self.kept",
        "LOG.kept",
        is_method=True,
    ),
)
_IN_LOOP = "for _ in range(1):\n    {c}.append([N])"
ADDITIONS = {
    "[]": (
        "{c}.append([N])",
        "{c}.insert(0, [N])",
        "one = [N]\n{c}.append(one)",
        "for _ in range(1):\n    {c}.append([N])",
    ),
    "{}": ("{c}[N] = [N]", "{c}[len({c})] = [N]", "{c}[N % SIZE] = [N]", "{c}.setdefault(N, [N])"),
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
    "collections.deque()": (
        "if len({c}) > SIZE:\n    {c}.popleft()",
        "trim({c})",
        "if N % SIZE == 0:\n    {c}.clear()",
    ),
    "collections.deque(maxlen=SIZE)": ("",),
    "collections.OrderedDict()": ("if len({c}) > SIZE:\n    {c}.popitem(last=False)", "trim({c})"),
}
GUARDS = ("if len({c}) < SIZE:", "if N < SIZE:", "if N not in SEEN and N < SIZE:", "if random.random() < SIZE / N:")
TRIM = "def trim(entries):\n    if len(entries) > SIZE:\n        entries.clear()"


def program(rng: np.random.Generator) -> tuple[str, str]:
    """Return the code of a random program, and the code of a second file that may bound its container."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    new = str(rng.choice(list(ADDITIONS)))
    add = str(rng.choice(ADDITIONS[new]))
    where = str(rng.choice(["nowhere", "nowhere", "here", "function", "file", "guard", "return", "cached", "replaced"]))
    bound = str(rng.choice(BOUNDS[new]))
    size = int(np.exp(rng.uniform(np.log(10), np.log(500))))
    inner = add.format(c=shape.name).splitlines()
    if where == "here":
        inner += bound.format(c=shape.name).splitlines()
    elif where == "guard":
        guard = str(rng.choice(GUARDS)).format(c=shape.name)
        inner = [guard, *(f"    {line}" for line in inner)]
    elif where == "return":
        inner = [f"if len({shape.name}) >= SIZE:", "    return", *inner]
    decorator = "@functools.lru_cache(None)\n" if where == "cached" else ""
    begin = f"import collections, functools, random\nSIZE, N, SEEN = {size}, 0, set()"
    head = f"{begin}\n{shape.define.format(new=new)}\n{TRIM}\n"
    argument = "self, key" if shape.is_method else "key"
    indent = "    " if shape.is_method else ""
    method = [f"{decorator}def add({argument}):".replace("\n", f"\n{indent}"), *(f"    {line}" for line in inner)]
    body = "\n".join(indent + line for line in method) + "\n"
    define, _, rest = shape.define.format(new=new).rpartition("\nLOG")
    if shape.is_method:
        head = f"{begin}\n{TRIM}\n{define}\n"
        body += f"LOG{rest}\n"
    call = "LOG.add" if shape.is_method else "add"
    rare, after = "", ""
    if where == "function":
        rare = f"def bound():\n{_indented(bound.format(c=shape.outside))}\n"
        after = "    bound()\n"
    elif where == "replaced":
        made = "LOG" if shape.is_method and "__init__" in shape.define else shape.outside
        value = "Log()" if made == "LOG" else new
        rare = f"def renew():\n    global {made.split('.')[0]}\n    {made} = {value}\n"
        after = "    if N % SIZE == 0:\n        renew()\n"
    second = "import program, random\nfrom program import SIZE, trim\n"
    if where == "file":
        text = bound.format(c=f"program.{shape.outside}").replace("N %", "program.N %")
        second += f"def bound():\n{_indented(text)}\n"
        after = "    if HOOK:\n        HOOK()\n"
    key = "N % SIZE" if where == "cached" else "N"
    cycle = f"HOOK = None\ndef cycle():\n    global N\n    N += 1\n    {call}({key})\n{after}"
    size_of = f"def entries():\n    return len({shape.outside})\n"
    return head + body + rare + cycle, second + size_of.replace(shape.outside, f"program.{shape.outside}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in (text or "pass").splitlines())


def is_bounded(code: str, second: str) -> bool:
    """Run a program for three times its size, and see whether its container has stopped growing."""
    module, other = types.ModuleType("program"), types.ModuleType("second")
    sys.modules["program"] = module
    exec(compile(code, "program", "exec"), module.__dict__)  # the program was made here
    exec(compile(second, "second", "exec"), other.__dict__)
    if "bound" in other.__dict__:
        module.__dict__["HOOK"] = other.__dict__["bound"]
    size = int(module.__dict__["SIZE"])
    for _ in range(3 * size):
        module.__dict__["cycle"]()
    return int(other.__dict__["entries"]()) <= 2 * size


def only_grows(code: str, second: str, folder: Path) -> bool:
    """Read a program as soak does, from the stack of what it adds."""
    file, other = folder / "program.py", folder / "second.py"
    file.write_text(code, encoding="utf-8")
    other.write_text(second, encoding="utf-8")
    lines = code.splitlines()
    added = next(n for n, line in enumerate(lines, 1) if "[N]" in line)
    called = next(n for n, line in enumerate(lines, 1) if line.startswith(("    LOG.add(", "    add(")))
    frames = (("add", added), ("cycle", called))
    stack = [*(Call(file=str(file), function=name, line=line) for name, line in frames), _LOOP]
    return KeeperFinder().find(stack, [str(file), str(other)]) is not None


@dataclass(frozen=True)
class KeeperRow:
    """How many programs of a kind there were, and of how many soak said that their container only grows."""

    family: str
    programs: int
    kept: int

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if self.family == _BOUNDED:
            return [f"{self.kept} bounded containers said to grow only"] if self.kept else []
        return [f"power {self.kept / self.programs:.2f}"] if self.kept < LEAST_POWER * self.programs else []


_BOUNDED, _UNBOUNDED = "with a bound", "without a bound"


def calibrate_keepers(programs: int, seed: int = 0) -> list[KeeperRow]:
    """Make, run and read so many programs."""
    rng = np.random.default_rng((zlib.crc32(b"keepers"), seed))
    found: dict[bool, list[bool]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(programs):
            code, second = program(rng)
            found[is_bounded(code, second)].append(only_grows(code, second, Path(folder)))
    names = {True: _BOUNDED, False: _UNBOUNDED}
    return [KeeperRow(names[bounded], len(said), sum(said)) for bounded, said in found.items()]


def section_of_keepers(rows: Sequence[KeeperRow]) -> Lines:
    """Write the section of docs/calibration.md."""
    shown = [f"| {row.family} | {row.programs:,} | {row.kept:,} |" for row in rows]
    return [
        "## Containers that only grow, by their code",
        "",
        "Random programs that add to a list, dict or deque in each cycle. Some bound it: by evicting, emptying,",
        "replacing, refusing, by few keys or a cached function; in the same function, in another one, in another file",
        "or under another name; at a size of 10 to 500. Each was run to see whether it is bounded. Gates: none of the",
        f"bounded ones is said to grow only; of the others at least {100 * LEAST_POWER:g} %.",
        "",
        "| programs | number | said to grow only |",
        "|---|--:|--:|",
        *shown,
        "",
    ]
