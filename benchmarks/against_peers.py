"""Compare soak with psleak, pytest-memray and tracemalloc: on planted leaks, look-alikes, drivers and real leaks.

    python benchmarks/against_peers.py --write-docs            about ten minutes
    python benchmarks/against_peers.py --real-leaks FOLDER     with more cases, in the format of cases/README.md
    python benchmarks/against_peers.py --only burst "lru cache" --tools soak tracemalloc
    python benchmarks/against_peers.py --answers FILE --write-docs       runs only what FILE (from --json) lacks

Each tool runs as its documentation says, in a process of its own. The tools run one after another on each case, so that
a slow minute affects all of them. The script makes an environment for the peers (--peers-venv names an existing one).
Cases that need other packages or another Python get an environment of their own, under --cache. Places, verdicts and
cycles can be compared between days; seconds only within one run. A wrong verdict is a result: the exit status is 0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from measuring import make_parser, say
from peers import page
from peers.cases import Case, all_cases
from peers.environments import Environments, NoEnvironmentError
from peers.scores import Score, judge
from peers.tools import ASK, Answer

import soak

DEFAULT_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "soak-bench"


def main() -> int:
    """Run every tool on every case; print the results and, on request, write the page."""
    options = parse_arguments()
    cases = [case for case in all_cases(options.real_leaks) if not options.only or case.name in options.only]
    bench = Bench(Environments(options.cache, options.peers_venv))
    if options.answers:
        bench.take_answers(json.loads(options.answers.read_text(encoding="utf-8")))
    scores = ask_all(bench, cases, options)
    if options.json == "-":
        print(json.dumps(to_document(scores, bench), indent=2))
    else:
        print(page.terminal_table(scores))
    if options.write_docs:
        page.write(scores, bench.versions, bench.day)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--real-leaks", type=Path, metavar="DIR", help="a folder with more cases")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="only these cases, by name")
    parser.add_argument("--tools", nargs="+", choices=list(ASK), default=list(ASK), metavar="TOOL", help=", ".join(ASK))
    parser.add_argument("--peers-venv", type=Path, metavar="DIR", help="environment of the peers; made when missing")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, metavar="DIR", help="folder for environments")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="reuse the answers that --json wrote to FILE")
    parser.add_argument("--write-docs", action="store_true", help="write docs/bench.md and its figure")
    return parser.parse_args()


def ask_all(bench: Bench, cases: list[Case], options: argparse.Namespace) -> list[Score]:
    """Run the tools and write each answer to the file of --json at once, so that an interrupted run keeps them."""
    scores = []
    for score in bench.ask(cases, options.tools):
        scores.append(score)
        say(page.progress_line(score))
        if options.json and options.json != "-":
            Path(options.json).write_text(json.dumps(to_document(scores, bench), indent=2) + "\n", encoding="utf-8")
    return scores


class Bench:
    """Runs the tools on cases without an answer, and records the versions of the tools."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        self.versions: dict[str, str] = {"soak": soak.__version__, "CPython": platform.python_version()}
        self.day = datetime.now(UTC).date()

    def take_answers(self, document: dict[str, Any]) -> None:
        """Take the answers of an earlier run; they are judged again."""
        self._answers = {(row["case"], row["tool"]): row for row in document["scores"]}
        self.versions.update(document["versions"])
        self.day = date.fromisoformat(document["day"])

    def ask(self, cases: list[Case], tools: list[str]) -> Iterator[Score]:
        """Yield the score of every tool on every case."""
        for case in cases:
            for tool in tools:
                kept = self._answers.get((case.name, tool))
                if kept is None:
                    yield self._ask(case, tool)
                else:
                    yield judge(case, tool, Answer(**kept["answer"]) if kept["answer"] else None, kept["why"])

    def _ask(self, case: Case, tool: str) -> Score:
        try:
            environment = self._environments.of(case)
        except NoEnvironmentError as error:
            return judge(case, tool, None, str(error))
        for name, version in environment.versions.items():
            self.versions.setdefault(name, version)
        if tool not in ("soak", "tracemalloc", *environment.versions):
            return judge(case, tool, None, f"{tool} is not installed under Python {environment.python_version}")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            return judge(case, tool, ASK[tool](case, environment, Path(folder)))


def to_document(scores: list[Score], bench: Bench) -> dict[str, Any]:
    """Return everything as plain JSON values; for a case, only the fields that identify it."""
    rows = [
        {
            "case": score.case.name,
            "group": score.case.group,
            "expected": score.case.expect["verdict"],
            "tool": score.tool,
            "verdict": score.verdict,
            "place": score.place,
            "rate_error": score.rate_error,
            "why": score.why,
            "answer": asdict(score.answer) if score.answer else None,
        }
        for score in scores
    ]
    return {"benchmark": "against_peers", "day": bench.day.isoformat(), "versions": bench.versions, "scores": rows}


if __name__ == "__main__":
    sys.exit(main())
