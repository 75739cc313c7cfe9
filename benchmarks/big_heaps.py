"""How soon soak decides a program that holds gigabytes before its first cycle: clean, and with 106 B lost in each.

    python benchmarks/big_heaps.py                      1.2 GB of dicts, of numpy arrays and of malloc'd nodes
    python benchmarks/big_heaps.py --gigabytes 5 --kinds dicts

The heap is made in the component's setup, which counts as well. Beside the wall time stands the processor time of soak
and of the measured process: on a machine with other work the first says more of that work.
"""

from __future__ import annotations

import os
import resource
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
    options = parser.parse_args()
    figures: list[Figure] = [shown("load before", os.getloadavg()[0])]
    with scratch_folder() as folder:
        for kind in options.kinds:
            for name, leak in (("clean", ""), ("leak", "malloc(106)")):
                heap = KINDS[kind].format(gigabytes=options.gigabytes)
                driver = folder / f"{kind}_{name}.py"
                driver.write_text(DRIVER.format(heap=heap, leak=leak))
                figures += soak(driver, folder / "out", f"{options.gigabytes:g} GB of {kind}, {name}", bool(leak))
    return publish("big_heaps", figures, {"gigabytes": options.gigabytes}, options.json)


def soak(driver: Path, out: Path, name: str, leaks: bool) -> list[Figure]:
    """Soak one driver and return what was decided, and when."""
    say(name)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = soak_run(out, str(driver))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    components: list[dict[str, Any]] = run.report.get("components") or [{}]
    component = components[0]
    pauses = component.get("pauses") or {}
    figures = [
        equal(name, component.get("verdict"), "", "LEAK" if leaks else "CLEAN"),
        at_most(f"{name}: wall time", run.seconds, "s", LONGEST_S),
        shown(f"{name}: processor time", used_s, "s"),
        shown(f"{name}: a checkpoint keeps a cycle waiting, median", pauses.get("p50_s"), "s"),
    ]
    if leaks:
        cause: dict[str, Any] = next(iter(component.get("causes") or ()), {})
        figures.append(equal(f"{name}: lost per cycle", cause.get("bytes_per_iteration"), "B", 106.0))
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
