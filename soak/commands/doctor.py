"""Say whether this machine can measure, what is missing, and what that means.

soak doctor
soak doctor --python other-venv/bin/python --json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from soak.running.doctor import can_measure, examine
from soak.running.interpreter import find_interpreter

EXIT_CANNOT_MEASURE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak doctor``."""
    parser.add_argument("--json", nargs="?", const="-", choices=["-"], help="the findings as JSON on stdout")
    parser.add_argument("--python", metavar="INTERPRETER", help="the interpreter to be measured (soak's own)")


def run(options: argparse.Namespace) -> int:
    """Print the findings; the exit code is 0 when runs here mean something, else 2."""
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
