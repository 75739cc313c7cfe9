"""Lets the tests here use what those of commands, reports, bisect, the viewer and benchmarks are built with."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("tests/commands", "tests/reporting", "tests/bisect", "tests/web", "benchmarks"):
    sys.path.append(str(Path(__file__).parents[2] / folder))
