"""``report.json``: the run's record, as the contract has it."""

from __future__ import annotations

import json
import math
from typing import Any

from soak.results import RunResult, to_document


def render_json(result: RunResult) -> str:
    """Write a run as JSON, schema 1: keys in the contract's order, ASCII only, NaN and infinity as null."""
    return json.dumps(finite(to_document(result)), indent=2, allow_nan=False, default=str) + "\n"


def finite(value: Any) -> Any:
    """Return plain values with NaN and infinity, which JSON does not have, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
