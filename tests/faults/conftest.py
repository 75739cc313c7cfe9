"""Lets the tests here use the builders of those that soak drivers and of those that call commands."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("running", "commands"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
