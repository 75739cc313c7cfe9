"""Where the time of a whole command goes: a clean function, a lost block and a held object, by stage.

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
    "begin": "folder, database, tracker, kept controls",
    "around": "start and end of the measured process, looks at its memory",
    "cycles": "cycles and checkpoints",
    "result": "causes, names, controls that are still measured",
    "reports": "reports and figures",
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
        shown(f"{function}: {title}", statistics.median(each[function][stage] for each in rounds), "s")
        for function in FUNCTIONS
        for stage, title in STAGES.items()
    ]
    return publish("command_profile", figures, {"rounds": rounds}, options.json)


def measure(function: str, folder: Path) -> dict[str, float]:
    """Return the seconds of each stage of ``soak run targets.py:FUNCTION``."""
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
    stages: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    stages["end"] = whole_s - sum(stages.values())
    return stages


def stages_of(function: str, begun_s: float) -> dict[str, float]:
    """Run the command in this process and return the seconds of its stages, but for the last."""
    # Imported in the order in which the command does, and before the clock of any stage but the first.
    command = importlib.import_module("soak.__main__")
    experiment = importlib.import_module("soak.running.run.experiment")
    write = importlib.import_module("soak.reporting.write")
    stages = dict.fromkeys(("imports", "begin", "around", "cycles", "result", "reports"), 0.0)
    begins: dict[str, float] = {}

    def timed(module: Any, name: str, note: Callable[[float, float, Any], None]) -> None:
        call = getattr(module, name)

        def wrapper(*arguments: Any, **more: Any) -> Any:
            started_s = time.monotonic()
            begins.setdefault(name, started_s)
            found = call(*arguments, **more)
            note(started_s, time.monotonic(), found)
            return found

        setattr(module, name, wrapper)

    def soaked(started_s: float, ended_s: float, observed: Any) -> None:
        stages["imports"] = begins["run_experiment"] - begun_s
        stages["begin"] = started_s - begins["run_experiment"]
        stages["cycles"] = observed.seconds
        stages["around"] = ended_s - started_s - observed.seconds

    timed(experiment, "run_experiment", lambda *_: None)
    timed(experiment, "soak_component", soaked)
    timed(experiment, "make_result", lambda started_s, ended_s, _: stages.update(result=ended_s - started_s))
    timed(write, "write_reports", lambda started_s, ended_s, _: stages.update(reports=ended_s - started_s))
    command.main(["run", "--out", "runs", f"targets.py:{function}"])
    return stages


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of all commands, interleaved (5)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
