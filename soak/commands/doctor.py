"""Check whether this machine can measure. Say what is missing and what that means.

soak doctor
soak doctor --python other-venv/bin/python --json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from soak.commands.arguments import PYTHON_HELP
from soak.running.doctor import can_measure, examine
from soak.running.interpreter import find_interpreter
from soak.running.surroundings import check_surroundings

EXIT_CANNOT_MEASURE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak doctor``."""
    parser.add_argument("--json", nargs="?", const="-", choices=["-"], help="print the findings as JSON on stdout")
    parser.add_argument("--python", metavar="INTERPRETER", help=PYTHON_HELP)


def run(options: argparse.Namespace) -> int:
    """Print the findings. Return 0 when this machine can measure, else 2."""
    check_surroundings()
    interpreter = find_interpreter(options.python)
    findings = []
    for finding in examine(interpreter, Path.cwd()):
        findings.append(finding)
        if options.json is None:
            mark = "ok     " if finding.ok else "MISSING"
            consequence = "" if finding.ok else f": {finding.consequence}"
            print(f"{mark}  {finding.name:<20}{finding.detail}{consequence}", flush=True)
    able = can_measure(findings)
    if options.json is not None:
        print(json.dumps({"can_measure": able, "findings": [dataclasses.asdict(f) for f in findings]}, indent=2))
    return 0 if able else EXIT_CANNOT_MEASURE
