"""The cost of the tracker: CPU time of a cycle with it, divided by that of the same cycle without it.

    python benchmarks/tracker_overhead.py [--rounds 9] [--json FILE or -]

There are three workloads: *churn*, 20 x 100 pairs of malloc and free of 16 to 4096 bytes (random sizes) from C; *json*,
dumps and loads of a dict of 200 nested entries; *decode*, one 640x480 RGB JPEG into a reused buffer.

soak is compared with itself where it does not follow objects that reuse memory (*blocks only*), with a preloaded malloc
and free that only call the originals (no preload can be cheaper), with tracemalloc and, if it is installed, with memray
with the same coverage. Every round runs each tool once and soak three times, each next to a plain run. A figure is the
median of a tool divided by the median of the plain runs. The table also has the same ratio of the lower quartiles: when
other programs share the processor, some runs take half as long again, and the medians move when there are many of
these. soak has everything on: both of Python's domains with their lines, births, objects that reuse memory, the ledger
in a file, and two checkpoints during the measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from soak.native import build, preload  # noqa: E402  (a benchmark runs from anywhere)

TARGETS = {"churn": 1.08, "json": 1.10, "decode": 1.01}
BARE_WRAPPER, BLOCKS_ONLY = "bare wrapper", "blocks only"
TOOLS = ("soak", BLOCKS_ONLY, BARE_WRAPPER, "tracemalloc", "memray", "memray native")
TRACKED = ("soak", BLOCKS_ONLY)
RUNS_A_ROUND = {"soak": 3}

CHURN = """
#include <stdlib.h>
/* Uses up the gaps in the heap. What a pair costs depends on them by up to 1.75, and they differ from tool to tool. */
void *volatile last;
void drain(void)
{
    for (int i = 0; i < 20000; i++)
        last = malloc(1040);
}
void churn(int rounds)
{
    static unsigned random = 1;
    for (int pair = 0; pair < rounds * 100; pair++) {
        random = random * 1103515245 + 12345;
        char *volatile block = malloc(16 + (random >> 8) % 4081);
        *block = 1;
        free(block);
    }
}
"""

WRAPPER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static void *first_malloc(size_t size);
static void *(*original_malloc)(size_t) = first_malloc;
static void (*original_free)(void *);
static size_t volatile last_size;
static void *first_malloc(size_t size)
{
    original_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    original_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    return original_malloc(size);
}
void *malloc(size_t size)
{
    void *block = original_malloc(size);
    last_size = size; /* so that it does not end in a jump: who counts comes back */
    return block;
}
void free(void *block)
{
    if (original_free)
        original_free(block);
}
"""

CHILD = """
import sys, time
root, case, tool, library, ledger, seconds = sys.argv[1:7]
sys.path.insert(0, root)
from soak.inside import tracker as hook
tracker = hook.connect()
tracker.start(ledger)
prepare = int
if tool in ("soak", "blocks only"):
    assert tracker.covers == ("native", "python") and not tracker.objects_reason, tracker.objects_reason
if tool == "blocks only":
    import ctypes
    ctypes.PyDLL(None).soak_stop_objects()
if case == "churn":
    import ctypes
    churn = ctypes.CDLL(library).churn
    prepare = ctypes.CDLL(library).drain
    def cycle():
        churn(20)
elif case == "json":
    import json
    document = {"key%d" % i: {"a": i, "b": [1.5, 2, 3, i], "c": "text%d" % i, "d": {"x": None}} for i in range(200)}
    def cycle():
        json.loads(json.dumps(document))
else:
    import numpy, simplejpeg
    ramp = numpy.linspace(0, 255, 640 * 480 * 3).reshape(480, 640, 3)
    noise = numpy.random.default_rng(1).normal(0, 20, ramp.shape)
    picture = simplejpeg.encode_jpeg(numpy.clip(ramp + noise, 0, 255).astype(numpy.uint8), quality=85)
    buffer = numpy.empty((480, 640, 3), numpy.uint8)
    def cycle():
        simplejpeg.decode_jpeg(picture, buffer=buffer)

cell = tracker.cycle
def run(count):
    before = time.process_time()
    for number in range(count):
        cell[0] = number
        cycle()
    return time.process_time() - before

def measure():
    prepare()
    run(20)
    tracker.checkpoint()  # the first two map the ledger's pages: part of the start, as in a real run
    tracker.checkpoint()
    count = max(20, int(20 * float(seconds) / 2 / run(20)))
    spent = 0.0
    for _ in range(2):
        spent += run(count)
        before = time.process_time()
        tracker.checkpoint()
        spent += time.process_time() - before
    return spent / (2 * count)

if tool == "tracemalloc":
    import tracemalloc
    tracemalloc.start(1)
if tool.startswith("memray"):
    import memray
    with memray.Tracker(destination=memray.FileDestination("/dev/null", overwrite=True),
                        native_traces=tool.endswith("native"), trace_python_allocators=True):
        print(measure())
else:
    print(measure())
"""


def main() -> int:
    """Measure, print the table, return 1 when a target is missed."""
    arguments = _arguments()
    library = build.built_library()
    if isinstance(library, build.NotBuilt):
        sys.stderr.write(f"no tracker to measure: {library.reason}\n")
        return 2
    tools = [tool for tool in TOOLS if "memray" not in tool or _has_memray()]
    if len(tools) < len(TOOLS):
        sys.stderr.write("memray is not installed: its columns are left out\n")
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(library.path, Path(folder), arguments.seconds)
        figures = {case: bench.ratios(case, tools, arguments.rounds) for case in TARGETS}
    _print_table(figures, tools)
    if arguments.json:
        report = json.dumps({"targets": TARGETS, "cpu_ratio_to_plain": figures}, indent=2)
        if arguments.json == "-":
            sys.stdout.write(report + "\n")
        else:
            Path(arguments.json).write_text(report + "\n", encoding="utf-8")
    return 0 if all(figures[case]["soak"]["median"] <= limit for case, limit in TARGETS.items()) else 1


class _Bench:
    def __init__(self, library: Path, folder: Path, seconds: float) -> None:
        self._library = library
        self._folder = folder
        self._seconds = seconds
        self._churn = folder / "churn.so"
        source = folder / "churn.c"
        source.write_text(CHURN)
        self._wrapper = folder / "wrapper.so"
        (folder / "wrapper.c").write_text(WRAPPER)
        compiler = shutil.which("cc") or "cc"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", self._churn, source], check=True)
        flags = ["-O2", "-falign-functions=64", "-shared", "-fPIC", "-Wl,-z,now", "-ldl"]
        subprocess.run([compiler, "-o", self._wrapper, folder / "wrapper.c", *flags], check=True)

    def ratios(self, case: str, tools: list[str], rounds: int) -> dict[str, dict[str, float]]:
        """Return for each tool the median and the lower quartile of its runs over those of the plain ones."""
        found: dict[str, list[float]] = {tool: [] for tool in tools}
        plain_runs = []
        turn = [tool for tool in tools for _ in range(RUNS_A_ROUND.get(tool, 1))]
        for tool in turn * rounds:
            plain_runs.append(self._seconds_per_cycle(case, "plain"))
            found[tool].append(self._seconds_per_cycle(case, tool))
        plain, plain_undisturbed = _median_and_lower_quartile(plain_runs)
        result = {}
        for tool, runs in found.items():
            median, undisturbed = _median_and_lower_quartile(runs)
            result[tool] = {"median": median / plain, "lower_quartile": undisturbed / plain_undisturbed}
        result["plain"] = {"microseconds": plain * 1e6, "lower_quartile_microseconds": plain_undisturbed * 1e6}
        return result

    def _seconds_per_cycle(self, case: str, tool: str) -> float:
        ledger = self._folder / "ledger"
        ledger.unlink(missing_ok=True)
        command = [sys.executable, "-c", CHILD, ROOT, case, tool, self._churn, ledger, str(self._seconds)]
        with preload.preloading(self._library, os.environ) as tracked:
            environment = tracked if tool in TRACKED else dict(os.environ)
            if tool == BARE_WRAPPER:
                environment["LD_PRELOAD"] = str(self._wrapper)
            result = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, env=environment, check=False
            )
        if result.returncode != 0:
            raise RuntimeError(f"{case} under {tool}: {result.stderr}")
        return float(result.stdout.splitlines()[-1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time of one run")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - for stdout")
    return parser.parse_args()


def _median_and_lower_quartile(runs: list[float]) -> tuple[float, float]:
    quartiles = statistics.quantiles(runs, n=4, method="inclusive") if len(runs) > 1 else runs * 2
    return quartiles[1], quartiles[0]


def _has_memray() -> bool:
    return subprocess.run([sys.executable, "-c", "import memray"], capture_output=True, check=False).returncode == 0


def _print_table(figures: dict[str, dict[str, dict[str, float]]], tools: list[str]) -> None:
    sys.stderr.write("CPU time of a cycle over that of a plain one: median (lower quartile over lower quartile)\n")
    for case, ratios in figures.items():
        plain = ratios["plain"]
        sys.stderr.write(
            f"{case}: plain {plain['microseconds']:.1f} ({plain['lower_quartile_microseconds']:.1f}) us, "
            f"target {TARGETS[case]:.2f}\n"
        )
        for tool in tools:
            ratio = ratios[tool]
            sys.stderr.write(f"  {tool:<14} {ratio['median']:6.3f}  ({ratio['lower_quartile']:.3f})\n")


if __name__ == "__main__":
    sys.exit(main())
