"""How soon soak decides a program that holds gigabytes before its first cycle: clean, and with 106 B lost in each.

    python benchmarks/big_heaps.py                      1.2 GB of dicts, of numpy arrays and of malloc'd nodes
    python benchmarks/big_heaps.py --gigabytes 5 --kinds dicts

The heap is made in the component's setup, which counts as well; how long that takes without soak stands before it.
Beside the wall time stands the processor time of soak and of the measured process: on a machine with other work the
first says more of that work. With --max-pause it is shown for how long cycles waited.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import Figure, at_most, equal, make_parser, publish, say, scratch_folder, shown, soak_run

LONGEST_S = 30.0
KINDS = {
    "dicts": "kept = [{{'a': i, 'b': str(i)}} for i in range(int({gigabytes} * 3_200_000))]",
    "arrays": "import numpy\n    kept = [numpy.full(12_500, i, float) for i in range(int({gigabytes} * 10_000))]",
    "nodes": (
        "count = int({gigabytes} * 4_000_000)\n    kept = (ctypes.c_void_p * count)()\n"
        "    for i in range(count): kept[i] = malloc(240)"
    ),
}
DRIVER = """
import ctypes, json
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
def setup(**settings):
    {heap}
    return kept
def cycle(state):
    json.loads('{{"x": [1, 2, 3]}}')
    {leak}
"""


def main() -> int:
    """Soak each heap twice."""
    parser = make_parser(__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.2, metavar="N", help="of heap (1.2)")
    parser.add_argument(
        "--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="what it consists of (all)"
    )
    parser.add_argument("--max-pause", metavar="10ms", help="how long a checkpoint may keep a cycle waiting")
    options = parser.parse_args()
    pause = [] if options.max_pause is None else ["--max-pause", options.max_pause]
    figures: list[Figure] = [shown("load before", os.getloadavg()[0])]
    with scratch_folder() as folder:
        for kind in options.kinds:
            for name, leak in (("clean", ""), ("leak", "malloc(106)")):
                heap = KINDS[kind].format(gigabytes=options.gigabytes)
                driver = folder / f"{kind}_{name}.py"
                driver.write_text(DRIVER.format(heap=heap, leak=leak))
                title = f"{options.gigabytes:g} GB of {kind}"
                if not leak:
                    figures += make_heap(driver, title)
                figures += soak(driver, folder / "out", f"{title}, {name}", pause, leaks=bool(leak))
    figures.append(shown("load after", os.getloadavg()[0]))
    return publish("big_heaps", figures, {"gigabytes": options.gigabytes}, options.json)


def make_heap(driver: Path, title: str) -> list[Figure]:
    """Make the heap in a process that soak does not measure."""
    say(title)
    command = [sys.executable, "-c", f"import {driver.stem} as it, os; kept = it.setup(); os._exit(0)"]
    before, begun_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=driver.parent, check=True)
    took_s, after = time.perf_counter() - begun_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return [
        shown(f"{title}, made without soak: wall time", took_s, "s"),
        shown(f"{title}, made without soak: processor time", used(before, after), "s"),
    ]


def used(before: resource.struct_rusage, after: resource.struct_rusage) -> float:
    """Return the processor time between two moments."""
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def soak(driver: Path, out: Path, name: str, options: list[str], *, leaks: bool) -> list[Figure]:
    """Soak one driver with the usual budget, and return what was decided, and when."""
    say(name)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = soak_run(out, *options, str(driver), folder=driver.parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    components: list[dict[str, Any]] = run.report.get("components") or [{}]
    component = components[0]
    pauses = component.get("pauses") or {}
    figures = [
        equal(name, component.get("verdict"), "", "LEAK" if leaks else "CLEAN"),
        at_most(f"{name}: wall time", run.seconds, "s", LONGEST_S),
        shown(f"{name}: processor time", used(before, after), "s"),
        shown(f"{name}: cycles", component.get("iterations")),
        shown(f"{name}: the verdict stood after", component.get("seconds_to_verdict"), "s"),
        *(
            shown(f"{name}: a checkpoint keeps a cycle waiting, {title}", pauses.get(key), "s")
            for title, key in (("median", "p50_s"), ("99 in 100", "p99_s"), ("worst", "worst_s"))
        ),
    ]
    if leaks:
        cause: dict[str, Any] = next(iter(component.get("causes") or ()), {})
        line = (cause.get("python_where") or {}).get("function")
        figures += [
            equal(f"{name}: lost per cycle", cause.get("bytes_per_iteration"), "B", 106.0),
            equal(f"{name}: allocated in", line, "", "cycle"),
            shown(f"{name}: what became of it", cause.get("state")),
        ]
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
