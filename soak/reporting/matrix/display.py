"""What a person sees in the terminal while a fleet runs, and at its end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from soak.analysis.matrix import find_changes
from soak.matrix.cells import Cell
from soak.matrix.merged import Matrix
from soak.reporting import words as say
from soak.reporting.formats.terminal import STYLES, LiveDisplay, with_whole_lines
from soak.reporting.matrix.outcome import components_worst_first, findings
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names
from soak.results import ComponentResult
from soak.units import format_duration
from soak.verdict import Verdict

_REDRAW_S = 0.2
_MOST_HOSTS, _MOST_COLUMNS, _MOST_ROWS, _MOST_EXPLAINED = 40, 6, 40, 20


class FleetDisplay(LiveDisplay):
    """Shows a line for each host at work, how many cells are to come, and one line that stays for each that is done."""

    def __init__(self, console: Console, here: str) -> None:
        """Write to a console. ``here``: the name of this machine, which a line need not say."""
        super().__init__(console)
        self._here = here
        self._console = with_whole_lines(console)
        self._total = 0
        self._done = 0
        self._began: dict[tuple[str, str], float] = {}

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._console.print(Text(say.printable(line)), soft_wrap=True)

    def begin(self, cells: int, done_before: int) -> None:
        """See FleetListener."""
        self._total, self._done = cells, done_before
        self.say(words.begin_sentence(cells, done_before))

    def at_work(self, cells: Mapping[str, Cell]) -> None:
        """See FleetListener."""
        now = time.monotonic()
        at_work = {(host, cell.id) for host, cell in cells.items()}
        self._began = {key: self._began.get(key, now) for key in at_work}
        if self._live is None or now - self._drawn_at < _REDRAW_S:
            return
        self._drawn_at = now
        lines = [
            Text(f"{host}  {cell.title}  {format_duration(now - self._began[host, cell.id])}", overflow="ellipsis")
            for host, cell in sorted(cells.items())[:_MOST_HOSTS]
        ]
        self._live.update(Group(*lines, Text(self._to_come(len(cells)), style="dim")), refresh=True)

    def done(self, cell: Cell, host: str | None, result: ComponentResult) -> None:
        """See FleetListener."""
        self._done += 1
        sentence = say.component_sentence(dataclasses.replace(result, name=cell.title))
        where = f" [{host}]" if host and host != self._here else ""
        verdict = (f"{say.SYMBOLS[result.verdict]} {result.verdict:<12} ", STYLES[result.verdict])
        place = (f"{self._done}/{self._total}".rjust(7) + " ", "dim")
        self._console.print(Text.assemble(place, verdict, say.printable(sentence), (where, "dim")), soft_wrap=True)

    def lost(self, cell: Cell, loss: object) -> None:
        """See FleetListener."""
        self.say(words.lost_sentence(cell.title, str(loss)))

    def left_out(self, host: str) -> None:
        """See FleetListener."""
        self.say(words.left_out_sentence(host))

    def _to_come(self, at_work: int) -> str:
        return f"{self._done} done, {max(0, self._total - self._done - at_work)} to come"


def print_matrix(matrix: Matrix, console: Console) -> None:
    """Print a matrix for a person: what is wrong, the table where it fits, what is not clean, all in one sentence."""
    console = with_whole_lines(console)
    for alarm in (*matrix.problems, *words.missing_sentences(matrix)):
        console.print(Text(say.printable(alarm), style="bold red"), soft_wrap=True)
    if len(matrix.columns) <= _MOST_COLUMNS and matrix.cells:
        console.print(_table(matrix))
    found = findings(matrix)
    for alike in found[:_MOST_EXPLAINED]:
        title = names.cells_title(matrix, [cell for cell, _ in alike])
        sentence = say.component_sentence(dataclasses.replace(alike[0][1].result, name=title))
        seen_on = names.seen_on_words(matrix, [run for _, run in alike])
        where = (f" [{seen_on}]" if seen_on else "", "dim")
        console.print(Text.assemble(say.printable(sentence), where), soft_wrap=not console.is_terminal)
    if len(found) > _MOST_EXPLAINED:
        console.print(f"… and {len(found) - _MOST_EXPLAINED} more in report.html")
    console.print(Text(words.hosts_sentence(matrix), style="dim"))
    console.print(Text(words.counts_sentence(matrix)))
    console.print(Text(words.matrix_headline(matrix, find_changes(matrix)), style="bold"), soft_wrap=True)


def _table(matrix: Matrix) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("component", *(names.column_title(matrix, column) for column in matrix.columns)):
        table.add_column(title.replace(", ", "\n"))
    rows = components_worst_first(matrix)
    for component in rows[:_MOST_ROWS]:
        cells = []
        for column in matrix.columns:
            cell = matrix.cell(component, column)
            run = cell.worst if cell else None
            if run is None:
                cells.append(Text(words.NOT_MEASURED if cell else "", style="dim"))
            else:
                # Of a clean cell the bound would only hide the rates of the others; the page has it.
                rate = "" if run.result.verdict is Verdict.CLEAN else words.rate_cell(run)
                text = " ".join(part for part in (words.verdict_cell(run), rate) if part)
                cells.append(
                    Text(
                        f"{text}{' (hosts disagree)' if cell and cell.is_disputed else ''}",
                        style=STYLES[run.result.verdict],
                    )
                )
        table.add_row(say.printable(component), *cells)
    if len(rows) > _MOST_ROWS:
        table.add_row(f"… {len(rows) - _MOST_ROWS} more")
    return table
