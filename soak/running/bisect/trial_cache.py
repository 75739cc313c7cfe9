"""What was found with one release, and what of it is kept from one search to the next."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import soak
from soak.bisections import Trial
from soak.documents import FAULTS, from_document, parse, to_document
from soak.running.environments.installer import Environment
from soak.running.environments.target_code import digest_of_code
from soak.settings import RunPlan


class TrialCache:
    """Keeps the trials that were judged, in one file each, under what their verdict depends on."""

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        """Keep in ``folder``; with ``fresh`` what is there already is not read."""
        self._folder = folder
        self._fresh = fresh

    def find(self, plan: RunPlan, environment: Environment) -> Trial | None:
        """Return what an earlier search found by the same plan, with the same code, in the same environment."""
        if self._fresh:
            return None
        try:
            document = parse(self._file(plan, environment).read_bytes())
            return replace(from_document(Trial, document), kept=True)
        except (OSError, *FAULTS):
            return None

    def keep(self, trial: Trial, plan: RunPlan, environment: Environment) -> None:
        """Keep a trial; where that cannot be, the next search measures again."""
        file = self._file(plan, environment)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(to_document(trial)), encoding="utf-8")
            unfinished.replace(file)

    def _file(self, plan: RunPlan, environment: Environment) -> Path:
        component = plan.components[0]
        code = digest_of_code(component.target, plan.base)
        component = replace(component, options=())  # --out and its like change nothing that is measured
        facts = (soak.__version__, asdict(environment), asdict(component), str(plan.base), plan.track, code)
        return self._folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:24]}.json"
