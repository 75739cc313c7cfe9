"""Where the time of a whole command goes: a clean function, a lost block and a held object, by stage.

Of each stage the time that passes, and the processor time of soak's own process in it.

python benchmarks/command_profile.py
python benchmarks/command_profile.py --rounds 9 --json -
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_times import TARGETS
from measuring import ROOT, make_parser, publish, scratch_folder, shown

FUNCTIONS = ("clean", "lost", "held")
STAGES = {
    "imports": "start of Python, imports, plan",
    "begin": "folder, database, tracker",
    "start": "the start of the component's process, imports meanwhile, kept controls",
    "component": "the component, from then to the end of its process",
    "result": "causes, names, controls that are still measured",
    "reports": "reports and figures, with their imports",
    "end": "terminal, end of all processes",
}


def main() -> int:
    """Run all commands in turn and print the medians; as ``--stages FUNCTION BEGUN`` run one and print its stages."""
    if sys.argv[1:2] == ["--stages"]:
        print(json.dumps(stages_of(sys.argv[2], float(sys.argv[3]))), file=sys.stderr)
        return 0
    options = parse_arguments()
    with scratch_folder() as folder:
        (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
        for function in FUNCTIONS:
            measure(function, folder)  # the bytecode, the controls and the symbols are kept from here on
        rounds = [{function: measure(function, folder) for function in FUNCTIONS} for _ in range(options.rounds)]
    figures = [
        shown(f"{function}: {title}{of}", statistics.median(each[function][stage][number] for each in rounds), "s")
        for function in FUNCTIONS
        for stage, title in STAGES.items()
        for number, of in enumerate(("", ", processor time"))
    ]
    figures += [
        shown(
            f"{function}: measured process and controls, processor time",
            statistics.median(each[function]["children"][1] for each in rounds),
            "s",
        )
        for function in FUNCTIONS
    ]
    return publish("command_profile", figures, {"rounds": rounds}, options.json)


Moment = tuple[float, float]
"""On the clock, and in processor time of this process; seconds."""


def now() -> Moment:
    """Return this moment."""
    return time.monotonic(), time.process_time()


def measure(function: str, folder: Path) -> dict[str, Moment]:
    """Return the seconds of each stage of ``soak run targets.py:FUNCTION``, and those of its other processes."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    begun_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, __file__, "--stages", function, str(begun_s)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    whole_s = time.monotonic() - begun_s
    stages: dict[str, Moment] = {name: tuple(spent) for name, spent in json.loads(done.stderr.splitlines()[-1]).items()}
    own = [spent for name, spent in stages.items() if name != "children"]
    ended_s, ended_cpu_s = stages["end"]
    stages["end"] = (whole_s - sum(spent for spent, _ in own) + ended_s, ended_cpu_s)
    return stages


def stages_of(function: str, begun_s: float) -> dict[str, Moment]:
    """Run the command in this process and return the seconds of its stages, but for the last."""
    # Each module is imported when the command imports it, and before the stage that it is timed in.
    command = importlib.import_module("soak.__main__")
    experiment = importlib.import_module("soak.running.run.experiment")
    components = importlib.import_module("soak.running.run.components")
    begins: dict[str, Moment] = {}
    ends: dict[str, Moment] = {}

    def timed(module: Any, name: str, stage: str, then: Callable[[], None] = lambda: None) -> None:
        call = getattr(module, name)

        def wrapper(*arguments: Any, **more: Any) -> Any:
            begins[stage] = now()
            found = call(*arguments, **more)
            ends[stage] = now()
            then()
            return found

        setattr(module, name, wrapper)

    def time_component() -> None:
        one = importlib.import_module("soak.running.run.one_component")
        timed(one, "soak_component", "component")
        timed(one, "make_result", "result")

    def time_reports() -> None:
        timed(importlib.import_module("soak.reporting.write"), "write_reports", "reports")

    timed(experiment, "run_experiment", "whole", then=time_reports)
    timed(components, "start_component", "start", then=time_component)
    command.main(["run", "--out", "runs", f"targets.py:{function}"])
    stages = {
        "imports": between((begun_s, 0.0), begins["whole"]),
        "begin": between(begins["whole"], begins["start"]),
        "start": between(begins["start"], begins["component"]),
        "component": between(begins["component"], ends["component"]),
        "result": between(begins["result"], ends["result"]),
        "reports": between(ends["whole"], ends["reports"]),
    }
    spent_s = sum(cpu for _, cpu in stages.values())
    times = os.times()
    return {
        **stages,
        "end": (0.0, time.process_time() - spent_s),
        "children": (0.0, times.children_user + times.children_system),
    }


def between(begin: Moment, end: Moment) -> Moment:
    """Return what passed between two moments."""
    return end[0] - begin[0], end[1] - begin[1]


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of all commands, interleaved (5)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
