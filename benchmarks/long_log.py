"""Judge a log of a gigabyte: memory while it is read, time per megabyte, and whether the rate is that of the log.

    python benchmarks/long_log.py                 1 GB, beside a log of a sixteenth of it
    python benchmarks/long_log.py --mb 100        a first answer

The logs are written into a temporary folder and deleted. Each is a CSV of a reading a second that grows by 3,000 B per
reading, with noise. `soak judge` runs as a process of its own; its peak is what the kernel says of it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import at_most, make_parser, publish, say, shown

GROWTH_BYTES, EPOCH_S = 3000, 1_764_000_000
_MB = 1_000_000
_ROWS_AT_A_TIME = 100_000


def main() -> int:
    """Write both logs, judge them and print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--mb", type=int, default=1000, metavar="N", help="megabytes of the long log (1000)")
    options = parser.parse_args()
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        if shutil.disk_usage(folder).free < 2 * options.mb * _MB:
            say(f"{folder} has too little space for {options.mb} MB")
            return 1
        for size_mb in (max(options.mb // 16, 1), options.mb):
            log = Path(folder) / "log.csv"
            write_log(log, size_mb * _MB)
            runs.append({"mb": size_mb, **judge(log)})
            log.unlink()
    short, long = runs
    found = [
        at_most("error of the rate, long log", abs(long["rate"] / GROWTH_BYTES - 1) * 100, "%", 5),
        at_most("peak of memory, long log", long["peak_mib"], "MiB", 150),
        at_most("peak of memory, long over short log", long["peak_mib"] / short["peak_mib"], "times", 1.5),
        shown("processor time per MB, long log", long["cpu_s"] / long["mb"], "s"),
        at_most(
            "the same, long over short log", long["cpu_s"] / long["mb"] * short["mb"] / short["cpu_s"], "times", 1.5
        ),
    ]
    return publish("long_log", found, {"runs": runs}, options.json)


def write_log(log: Path, size: int) -> None:
    """Write rows of ``time,rss`` until the file has this many bytes."""
    noise = random.Random(1)
    row = 0
    with log.open("w", encoding="ascii") as file:
        file.write("time,rss_bytes\n")
        while file.tell() < size:
            rows = range(row, row + _ROWS_AT_A_TIME)
            file.write(
                "".join(
                    f"{EPOCH_S + n},{30_000_000 + n * GROWTH_BYTES + noise.randint(-16, 16) * 1024}\n" for n in rows
                )
            )
            row += _ROWS_AT_A_TIME


def judge(log: Path) -> dict[str, Any]:
    """Judge a log in a process of its own; return its rate, its peak of memory and its times."""
    result = log.with_suffix(".json")
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "soak", "judge", str(log), "--json", str(result)], stdout=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    found = json.loads(result.read_text(encoding="utf-8"))
    return {
        "rate": found["rate"],
        "verdict": found["verdict"],
        "readings": found["readings"],
        "peak_mib": usage.ru_maxrss / 1024,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - begun,
    }


if __name__ == "__main__":
    sys.exit(main())
