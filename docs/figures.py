"""Draw the figures of how-memory-grows.md from real runs, each in a process of its own.

python docs/figures.py                  all of them, about a minute
python docs/figures.py --only rss       one
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from soak.analysis import judge
from soak.reporting.figures.palette import FIGURE
from soak.reporting.figures.svg import restyle

IMAGES = Path(__file__).resolve().parent / "images"
SETTINGS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "soak",
}
INK, MUTED, RULE = FIGURE["ink"].light, FIGURE["muted"].light, FIGURE["rule"].light
BLUE, ORANGE, GREEN = FIGURE["series"].light, FIGURE["fit"].light, FIGURE["free"].light
MIB = 2.0**20

# Runs in the measured process. Reading allocates nothing: the arrays are made before the first cycle.
MEASURED = """
import array, ctypes, gc, json, sys, functools, random

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
libc.malloc_usable_size.restype = ctypes.c_size_t

def run(cycle, cycles, every, collect=True):
    readings = cycles // every + 1
    kept = {name: array.array("d", bytes(8 * readings)) for name in ("cycle", "rss", "heap", "blocks")}
    for name in kept:
        kept[name][0] = 0.0
    statm = open("/proc/self/statm", "rb", buffering=0)
    def read(at, number):
        if collect:
            gc.collect()
        statm.seek(0)
        info = libc.mallinfo2()
        kept["cycle"][at] = number
        kept["rss"][at] = int(statm.read().split()[1]) * 4096
        kept["heap"][at] = info.uordblks + info.hblkhd
        kept["blocks"][at] = sys.getallocatedblocks()
    for _ in range(3):
        read(0, 0)
    for number in range(1, cycles + 1):
        cycle(number)
        if number % every == 0:
            read(number // every, number)
    print(json.dumps({name: list(values) for name, values in kept.items()}))
"""

LEAK_BY_PAGES = """
run(lambda number: ctypes.memset(libc.malloc(106), 1, 106), 400, 1, collect=False)
"""

LEAK_INTO_FREE_HEAP = """
blocks = [libc.malloc(1000) for _ in range(8000)]
barrier = libc.malloc(1000)
for block in blocks:
    libc.free(block)
del blocks
run(lambda number: libc.malloc(106), 120_000, 250)
"""

KEPT_AFTER_FREE = """
blocks = array.array("Q", bytes(8 * 20_000))
def cycle(number):
    if number <= 20_000:
        blocks[number - 1] = libc.malloc(500)
        ctypes.memset(blocks[number - 1], 1, 500)
    elif number < 40_000:
        libc.free(blocks[number - 20_001])
run(cycle, 60_000, 100)
"""

LOST_OBJECTS = """
keep = ctypes.pythonapi.Py_IncRef
keep.argtypes = [ctypes.py_object]
run(lambda number: keep(bytes(bytearray(73))), 60_000, 100)
"""

SIZES = """
def chunk(size):
    return min(libc.malloc_usable_size(libc.malloc(size)) for _ in range(50)) + 8
print(json.dumps({"size": list(range(1, 161)), "chunk": [chunk(size) for size in range(1, 161)]}))
"""

CACHE = """
@functools.lru_cache(maxsize=20_000)
def answer(question):
    return bytearray(1_000)
run(answer, 120_000, 100)
"""

LIKE_CACHE = """
seen = {}
def answer(question):
    seen[question] = bytearray(1_000)
run(answer, 120_000, 100)
"""

SAWTOOTH = """
batch = []
def cycle(number):
    batch.append(bytearray(%d))
    if len(batch) == 1_400:
        batch.clear()
    %s
run(cycle, %d, %d)
"""

SLOWER_AND_SLOWER = """
random.seed(5)
seen = []
def cycle(number):
    if random.random() < 400 / (400 + number):
        seen.append(bytearray(600))
run(cycle, 40_000, 50)
"""

FLAT = """
run(lambda number: json.loads('{"frame": 7, "pixels": [1, 2, 3]}'), 40_000, 50)
"""


def main() -> int:
    """Draw the requested figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(FIGURES), metavar="NAME", help=", ".join(FIGURES))
    for name in parser.parse_args().only or FIGURES:
        title, draw = FIGURES[name]
        with mpl.rc_context(SETTINGS):
            write(f"how-memory-grows-{name}", title, draw())
    return 0


def measure(program: str) -> dict[str, list[float]]:
    """Run a program in a process of its own; return its readings."""
    done = subprocess.run([sys.executable, "-c", MEASURED + program], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout))


def write(name: str, title: str, figure: Figure) -> None:
    """Write a figure as an SVG that is readable on white and on dark."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    (IMAGES / f"{name}.svg").write_text(restyle(text.getvalue(), title=title, prefix=name), encoding="utf-8")


def panels(columns: int, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """Return a figure with this number of panels side by side."""
    figure = Figure(figsize=(9.6, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            one.spines[side].set_color(RULE)
        one.tick_params(colors=MUTED, labelcolor=MUTED)
        one.xaxis.label.set_color(MUTED)
        one.yaxis.label.set_color(MUTED)
        one.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure, axes


def grown(values: list[float], unit: float = MIB) -> list[float]:
    """Return the growth since the first value."""
    return [(value - values[0]) / unit for value in values]


def label(axes: Axes, x: float, y: float, text: str, colour: str, **where: Any) -> None:
    """Write the name of a line beside it, instead of a legend."""
    axes.text(x, y, text, color=colour, **where)


# --- the figures ----------------------------------------------------------------------------------------------------


def draw_rss() -> Figure:
    """Draw RSS of a leak call by call, of a leak into freed heap, and of memory that is freed."""
    figure, (pages, filling, freed) = panels(3)
    run = measure(LEAK_BY_PAGES)
    pages.plot(run["cycle"], grown(run["rss"], 1024.0), color=INK, linewidth=1.4)
    pages.plot(run["cycle"], grown(run["heap"], 1024.0), color=BLUE, linewidth=1.4)
    pages.set_title("106 B lost a call", loc="left", color=INK)
    pages.set_ylabel("KiB more than at the start")
    label(pages, 395, 15, "steps of a page", INK, ha="right")
    run = measure(LEAK_INTO_FREE_HEAP)
    filling.plot(run["cycle"], grown(run["rss"]), color=INK, linewidth=1.4)
    filling.plot(run["cycle"], grown(run["heap"]), color=BLUE, linewidth=1.4)
    filling.set_title("the same, after 8 MB were freed", loc="left", color=INK)
    filling.set_ylabel("MiB more than at the start")
    flat = next(number for number, value in enumerate(run["rss"]) if value > run["rss"][0] + 65_536)
    filling.axvspan(0, run["cycle"][flat], color=FIGURE["older"].light, linewidth=0)
    text = f"RSS flat for\n{run['cycle'][flat]:,.0f} calls"
    label(filling, run["cycle"][flat] / 2, grown(run["heap"])[-1], text, MUTED, ha="center", va="top")
    run = measure(KEPT_AFTER_FREE)
    freed.plot(run["cycle"], grown(run["rss"]), color=INK, linewidth=1.4)
    freed.plot(run["cycle"], grown(run["heap"]), color=BLUE, linewidth=1.4)
    freed.set_title("10 MB taken, all but one block freed", loc="left", color=INK)
    label(freed, 59_000, grown(run["rss"])[-1] - 0.3, "RSS", INK, ha="right", va="top")
    label(freed, 59_000, 0.3, "heap in use", BLUE, ha="right", va="bottom")
    for axes in (pages, filling, freed):
        axes.set_xlabel("calls")
        axes.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def draw_objects() -> Figure:
    """Draw a leak of Python objects, which the heap counter does not see."""
    figure, (axes,) = panels(1, 2.6)
    run = measure(LOST_OBJECTS)
    axes.plot(run["cycle"], grown(run["rss"]), color=INK, linewidth=1.4)
    axes.plot(run["cycle"], grown(run["heap"]), color=BLUE, linewidth=1.4)
    axes.plot(run["cycle"], grown(run["blocks"], MIB / 112), color=GREEN, linewidth=1.4)
    axes.set_xlabel("calls")
    axes.set_ylabel("MiB more")
    label(axes, 39_000, 4.4, "Python blocks, 112 B each", GREEN, ha="right", va="bottom")
    label(axes, 41_000, 4.2, "RSS", INK, va="top")
    label(axes, 59_500, 0.2, "heap in use", BLUE, ha="right", va="bottom")
    return figure


def draw_sizes() -> Figure:
    """Draw the allocated size over the requested size."""
    figure, (axes,) = panels(1, 2.8)
    run = measure(SIZES)
    axes.step(run["size"], run["chunk"], where="mid", color=BLUE, linewidth=1.4)
    axes.plot([0, 160], [0, 160], color=RULE, linewidth=1.0)
    axes.plot([106], [run["chunk"][105]], "o", color=ORANGE, markersize=5)
    label(axes, 104, run["chunk"][105] + 6, f"106 B asked for, {run['chunk'][105]:.0f} B given", ORANGE, ha="right")
    label(axes, 138, 128, "asked for", MUTED, va="top")
    label(axes, 138, 166, "given by malloc", BLUE, ha="right", va="bottom")
    axes.set_xlabel("bytes asked for")
    axes.set_ylabel("bytes the heap counter sees")
    axes.set_xlim(0, 160)
    axes.set_ylim(0, 190)
    return figure


def draw_cache() -> Figure:
    """Draw a cache that fills and a leak: they are equal until the cache is full."""
    figure, (axes,) = panels(1, 3.2)
    cache, leak = measure(CACHE), measure(LIKE_CACHE)
    axes.plot(leak["cycle"], grown(leak["heap"]), color=ORANGE, linewidth=1.4)
    axes.plot(cache["cycle"], grown(cache["heap"]), color=BLUE, linewidth=1.4)
    label(axes, 118_000, grown(leak["heap"])[-1] * 0.78, "a dict nobody empties", ORANGE, ha="right", va="top")
    label(axes, 118_000, grown(cache["heap"])[-1] + 1.0, "an lru_cache of 20,000", BLUE, ha="right", va="bottom")
    axes.axvspan(0, 20_000, color=FIGURE["older"].light, linewidth=0)
    top = grown(leak["heap"])[-1]
    label(axes, 10_000, top * 0.75, "nobody can\ntell them apart", MUTED, ha="center")
    n_min = 34_000
    axes.axvline(n_min, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    label(axes, n_min + 800, top * 0.93, "n_min = 1.7 × 20,000: no LEAK before", MUTED, va="top")
    axes.set_xlabel("calls")
    axes.set_ylabel("heap in use, MiB more")
    return figure


def draw_sawtooth() -> Figure:
    """Draw a leak under teeth of 14 MB, and its troughs."""
    figure, (whole, troughs) = panels(2, 3.0)
    run = measure(SAWTOOTH % (10_000, "libc.malloc(106)", 28_000, 20))
    heap = grown(run["heap"])
    whole.plot(run["cycle"], heap, color=BLUE, linewidth=0.9)
    whole.set_title("14 MB of buffers, emptied each 1,400 calls", loc="left", color=INK)
    whole.set_xlabel("calls")
    whole.set_ylabel("heap in use, MiB more")
    lowest = [min(range(start, start + 70), key=lambda at: run["heap"][at]) for start in range(1, len(heap) - 69, 70)]
    troughs.plot(run["cycle"], heap, color=BLUE, linewidth=0.6)
    troughs.plot([run["cycle"][at] for at in lowest], [heap[at] for at in lowest], "o-", color=ORANGE, markersize=4)
    troughs.set_ylim(heap[lowest[0]] - 0.5, heap[lowest[-1]] + 1.5)
    first, last = lowest[0], lowest[-1]
    rate = (run["heap"][last] - run["heap"][first]) / (run["cycle"][last] - run["cycle"][first])
    troughs.set_title(f"its troughs: {rate:.0f} B a call", loc="left", color=INK)
    troughs.set_xlabel("calls")
    return figure


def draw_verdicts() -> Figure:
    """Draw one run for each verdict of the rule."""
    figure, axes = panels(4, 2.6)
    programs = {
        "malloc(106), kept": SAWTOOTH % (10, "libc.malloc(106)", 40_000, 50),
        "parses, keeps nothing": FLAT,
        "ever fewer new words": SLOWER_AND_SLOWER,
        "2 B below teeth of 14 MB": SAWTOOTH % (10_000, "libc.malloc(2)", 8_000, 50),
    }
    for one, (name, program) in zip(axes, programs.items(), strict=True):
        run = measure(program)
        verdict = judge(run["cycle"], run["heap"], tolerance=1.0, n_min=int(run["cycle"][-1] // 2), grain=16.0)
        one.plot(run["cycle"], grown(run["heap"], 1024.0), color=BLUE, linewidth=1.2)
        one.set_title(f"{verdict.verdict}\n", loc="left", weight="bold", color=INK)
        one.text(0.0, 1.03, name, transform=one.transAxes, color=MUTED)
        one.xaxis.set_major_locator(MaxNLocator(3))
        one.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        one.set_xlabel("calls")
        least = 64.0
        low, high = one.get_ylim()
        one.set_ylim(min(low, -least / 8), max(high, least))
    axes[0].set_ylabel("heap in use, KiB more")
    return figure


FIGURES: dict[str, tuple[str, Callable[[], Figure]]] = {
    "rss": ("RSS beside the heap in use", draw_rss),
    "objects": ("A leak of Python objects on three counters", draw_objects),
    "sizes": ("Bytes asked for and bytes given", draw_sizes),
    "cache": ("A cache that fills and a leak of the same rate", draw_cache),
    "sawtooth": ("A leak under a sawtooth, and its troughs", draw_sawtooth),
    "verdicts": ("A run for each verdict", draw_verdicts),
}


if __name__ == "__main__":
    sys.exit(main())
