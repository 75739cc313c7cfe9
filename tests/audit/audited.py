"""Soaks drivers for their audit, through the real supervisor."""

from __future__ import annotations

import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from soak.reporting.words import why_words
from soak.results import ComponentResult, RssAudit
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan
from soak.targets import find_targets


def soak_text(folder: Path, text: str, *, track: bool = True, **changes: Any) -> ComponentResult:
    """Write a driver of this text and soak it, 2,000 cycles to the end; ``changes`` replace fields of the plan."""
    (folder / "drive_it.py").write_text(textwrap.dedent(text), encoding="utf-8")
    plan = replace(
        ComponentPlan(find_targets(["drive_it.py"], folder)[0], iterations=2000, early_stop=False), **changes
    )
    interpreter = find_interpreter(None)
    library, reason = find_library() if track else (None, "--no-track")
    course = soak_component(plan, RunContext(interpreter, folder, threading.Event(), library, reason))
    return make_result(plan, course, None, interpreter)


def audit_of(folder: Path, text: str, *, track: bool = True, **changes: Any) -> RssAudit:
    """Soak a driver and return its audit; without an audit, fail the test with the result."""
    result = soak_text(folder, text, track=track, **changes)
    assert result.audit is not None, (why_words(result), result.failure)
    return result.audit
