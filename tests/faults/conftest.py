"""Lets the tests here use the builders of tests that soak drivers and call commands, and the scripts of benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("tests/running", "tests/commands", "benchmarks"):
    sys.path.append(str(Path(__file__).parents[2] / folder))
