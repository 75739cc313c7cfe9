"""A matrix in words: what is new in which version, what hosts disagree on, what was not measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from soak.analysis.comparison import Change, Kind, Rate
from soak.analysis.matrix import INTERPRETER, VersionChange, repeated_runs, version_on
from soak.matrix.merged import CellRun, Host, Matrix, MatrixCell
from soak.reporting.outcome import excuse
from soak.reporting.words.components import SYMBOLS
from soak.reporting.words.growth import growth_cell, growth_words
from soak.reporting.words.matrix_names import (
    cell_title,
    cells_title,
    column_title,
    host_words,
    interpreter_title,
    part_words,
    version_words,
    versions_title,
)
from soak.reporting.words.vocabulary import capitalised, count_words, printable, rate_words
from soak.results import ComponentResult
from soak.units import format_size
from soak.verdict import WORST_FIRST, Verdict

_MOST_NAMED = 3
_MOST_SENTENCES = 2
_MOST_REPEATED = 5
NOT_MEASURED = "not measured"


def matrix_headline(matrix: Matrix, changes: Sequence[VersionChange]) -> str:
    """Say what matters most: on what hosts disagree, what one version has and another has not, else what leaks."""
    return " ".join(headline_sentences(matrix, changes))


def headline_sentences(matrix: Matrix, changes: Sequence[VersionChange]) -> list[str]:
    """Return the sentences of the headline; there is one at least.

    If components only leak faster or slower from version to version, what leaks in all of them comes first.
    """
    sentences = difference_sentences(matrix, changes)
    more = len(sentences) - _MOST_SENTENCES
    if more > 0:
        sentences[_MOST_SENTENCES:] = [f"{count_words(more, 'more difference')}."]
    is_told = any(cell.is_disputed for cell in matrix.cells) or any(
        change.kind not in (Kind.BETTER, Kind.WORSE) for change in changes
    )
    return sentences if is_told else [_worst_sentence(matrix), *sentences]


def counts_sentence(matrix: Matrix) -> str:
    """Count the cells by verdict, as in ``12 cells: 2 LEAK, 9 CLEAN, 1 not measured``."""
    counts = Counter(cell.verdict for cell in matrix.cells)
    said = [f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST if counts[verdict]]
    said += [f"{counts[None]} {NOT_MEASURED}"] if counts[None] else []
    return f"{count_words(len(matrix.cells), 'cell')}: {', '.join(said) or 'nothing was measured'}."


def change_sentence(matrix: Matrix, change: VersionChange) -> str:
    """Say what became of components from one version to another.

    ``New in numpy 2.4.0: decoder grows by 106 B per call; with numpy 2.3.1 it does not.``
    """
    several = len(change.changes) > 1
    before, after = (version_words(change.axis, version) for version in (change.before, change.after))
    undecided = f" ({' and '.join(change.undecided)} cannot be judged)" if change.undecided else ""
    told = list(zip(change.changes, change.results, strict=True))[:_MOST_NAMED]
    named = [_changed_words(one, result) for one, result in told]
    named += [f"{len(change.changes) - _MOST_NAMED} more"] if len(change.changes) > _MOST_NAMED else []
    what = ", ".join(named)
    match change.kind:
        case Kind.NEW:
            rest = f"with {before} {'they do' if several else 'it does'} not"
            return f"New in {after}{undecided}: {what}; {rest}{_seen(matrix, change)}."
        case Kind.GONE:
            return f"Gone in {after}{undecided}: with {before} {what}{_seen(matrix, change)}."
        case kind:
            return f"{capitalised(str(kind))} in {after} than in {before}{undecided}: {what}{_seen(matrix, change)}."


def dispute_sentence(matrix: Matrix, cell: MatrixCell) -> str:
    """Say that hosts disagree on a cell, and how each judged."""
    said = {f"{run.result.verdict} on {host_words(run.host)}": None for run in cell.runs}
    return f"Hosts disagree on {cell_title(matrix, cell)}: {', '.join(said)}."


def repeated_sentences(matrix: Matrix) -> list[str]:
    """Say which cells one host has measured more than once."""
    repeated = repeated_runs(matrix)
    sentences = []
    for cell, runs in repeated[:_MOST_REPEATED]:
        folders = " and ".join(run.folder for run in runs)
        measured = f"{host_words(runs[0].host)} measured {cell_title(matrix, cell)}"
        sentences.append(f"two runs of one cell: {measured} in {folders}")
    more = len(repeated) - _MOST_REPEATED
    return sentences + ([f"and {count_words(more, 'more cell')} with two runs on one host"] if more > 0 else [])


def difference_sentences(matrix: Matrix, changes: Sequence[VersionChange]) -> list[str]:
    """Say all that differs: first where hosts disagree, then what changed from version to version."""
    disputes = [dispute_sentence(matrix, cell) for cell in matrix.cells if cell.is_disputed]
    return disputes + [change_sentence(matrix, change) for change in changes]


def differences_below(matrix: Matrix, changes: Sequence[VersionChange]) -> list[str]:
    """Say all that differs where the headline has no room for all of it; nothing otherwise."""
    sentences = difference_sentences(matrix, changes)
    return sentences if len(sentences) > _MOST_SENTENCES else []


def missing_sentences(matrix: Matrix) -> list[str]:
    """Say which cells have no run, by the reason."""
    by_reason: dict[str, list[MatrixCell]] = {}
    for cell in matrix.cells:
        if cell.missing is not None:
            by_reason.setdefault(cell.missing.reason, []).append(cell)
    return [
        f"{count_words(len(cells), 'cell')} {NOT_MEASURED}: {printable(reason)} ({_listed(_titles(matrix, cells))})."
        for reason, cells in by_reason.items()
    ]


def shared_sentence(matrix: Matrix) -> str:
    """Say what is installed in every column alike; empty if nothing is."""
    every = set.intersection(*(set(column.requirements) for column in matrix.columns)) if matrix.columns else set()
    return f"In every column: {', '.join(sorted(map(printable, every)))}." if every else ""


def hosts_sentence(matrix: Matrix) -> str:
    """Say on how many hosts it was measured, and in what they differ."""
    hosts = {run.host for run in matrix.runs}
    facts: dict[str, set[str]] = {
        "kernel": {host.system for host in hosts},
        "C library": {host.libc for host in hosts},
        "processor": {f"{host.processors} × {host.processor}" for host in hosts},
    }
    different = [name for name, values in facts.items() if len(values) > 1]
    measured = f"Measured on {count_words(len(hosts), 'host')}"
    if len(hosts) < 2:
        return f"{measured}."
    return f"{measured}, which differ in {_listed(different)}." if different else f"{measured} of one kind."


def _titles(matrix: Matrix, cells: Sequence[MatrixCell]) -> list[str]:
    """Name cells in as few words as there are: those of one component together."""
    by_component: dict[str, list[MatrixCell]] = {}
    for cell in cells:
        by_component.setdefault(cell.component, []).append(cell)
    return [cells_title(matrix, of_one) for of_one in by_component.values()]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def row_words(matrix: Matrix, component: str) -> str:
    """Count the cells of a row that are not clean, the worst first: ``2 LEAK of 15``; empty if all are clean."""
    row = matrix.row(component)
    counts = Counter(cell.verdict for cell in row)
    said = [f"{counts[verdict]} {verdict}" for verdict in WORST_FIRST[:-1] if counts[verdict]]
    said += [f"{counts[None]} {NOT_MEASURED}"] if counts[None] else []
    return f"{', '.join(said)} of {len(row)}" if said else ""


def rate_cell(run: CellRun) -> str:
    """Give the growth of a cell for the matrix; empty if there is none to say."""
    if run.result.verdict is Verdict.FAILED:
        return ""
    cell = growth_cell(run.result, brief=True)
    return "" if cell == "–" else cell


def verdict_cell(run: CellRun) -> str:
    """Give the verdict with its shape, and why it does not count."""
    excused = excuse_words(run)
    return f"{SYMBOLS[run.result.verdict]} {run.result.verdict}{f' {excused}' if excused else ''}"


def excuse_words(run: CellRun) -> str:
    """Say why a cell that is not clean does not count; empty if it counts."""
    excused = excuse(run.result, run.known)
    return f"({excused})" if excused else ""


def host_row(host: Host, runs: Sequence[CellRun]) -> tuple[str, ...]:
    """Give what a table of hosts says of one, in the order of ``HOST_TITLES``."""
    loads = [run.load for run in runs if run.load is not None]
    load = "–" if not loads else f"{min(loads):g} to {max(loads):g}" if len(set(loads)) > 1 else f"{loads[0]:g}"
    processor = (
        f"{host.processors or '?'} × {host.processor or 'unknown'}" if host.processor or host.processors else "–"
    )
    memory = format_size(host.memory_bytes) if host.memory_bytes else "–"
    verdicts = Counter(run.result.verdict for run in runs)
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in WORST_FIRST if verdicts[verdict])
    cells = (host_words(host), host.system or "–", host.libc or "–", processor, memory, load, _controls(runs), counts)
    return tuple(map(printable, cells))


HOST_TITLES = ("host", "kernel", "C library", "processors", "memory", "load at the start", "controls", "verdicts")


def _controls(runs: Iterable[CellRun]) -> str:
    by_run = {run.run: run.controls for run in runs if run.controls is not None}
    failed = sum(not controls.ok for controls in by_run.values())
    if not by_run:
        return "none"
    return f"failed in {failed} of {count_words(len(by_run), 'run')}" if failed else "passed"


def _changed_words(change: Change, result: ComponentResult) -> str:
    name = printable(change.component)
    if change.kind in (Kind.NEW, Kind.GONE):
        fails = result.verdict is Verdict.FAILED
        words = "fails" if fails else growth_words(result.growth, result.cycle_noun)
        if change.kind is Kind.GONE:
            words = "failed" if fails else words.replace("grows", "grew", 1)
        return f"{name} {words}"
    if change.before and change.after:
        return f"{name} grows by {_rate(change.after)}, not {_rate(change.before)}"
    return f"{name} is {change.verdict_after}, not {change.verdict_before}"


def _rate(rate: Rate) -> str:
    return rate_words(rate.rate, rate.unit)


def _seen(matrix: Matrix, change: VersionChange) -> str:
    """Say in which columns it is seen, where other columns have that version too."""
    wanted = version_on(change.axis, change.columns[0])
    same = [column for column in matrix.columns if version_on(change.axis, column) == wanted]
    if len(change.columns) == len(same):
        return ""
    title = versions_title if change.axis == INTERPRETER else interpreter_title
    titles = dict.fromkeys(title(matrix, column) or column_title(matrix, column) for column in change.columns)
    return f" (seen with {'; '.join(titles)})"


def _worst_sentence(matrix: Matrix) -> str:
    """Say which components are not clean anywhere, and in how many of their cells, worst first."""
    said = []
    for verdict in WORST_FIRST[:-1]:
        names = [name for name in matrix.components if any(cell.verdict is verdict for cell in matrix.row(name))]
        for name in names[:_MOST_NAMED]:
            cells = [cell for cell in matrix.row(name) if cell.verdict is verdict]
            where = "" if len(matrix.columns) == 1 else f" in {part_words(len(cells), len(matrix.row(name)))}"
            rate = rate_cell(cells[0].worst) if verdict is Verdict.LEAK and cells[0].worst else ""
            said.append(f"{printable(name)} is {verdict}{where}{f' ({rate})' if rate else ''}")
        more = len(names) - _MOST_NAMED
        said += [f"{count_words(more, 'more component')} {'is' if more == 1 else 'are'} {verdict}"] if more > 0 else []
    if said:
        return f"{'; '.join(said)}."
    if not matrix.runs:
        return "Nothing was measured."
    if any(cell.verdict is None for cell in matrix.cells):
        return "Not all cells were measured; those that were are CLEAN."
    everywhere = "" if len(matrix.columns) == 1 else f" with any of the {len(matrix.columns)} versions"
    return f"No component grows{everywhere}."


def begin_sentence(cells: int, done_before: int) -> str:
    """Say how many cells there are to measure."""
    before = f", {done_before} of them measured before" if done_before else ""
    return f"{count_words(cells, 'cell')}{before}"


def lost_sentence(title: str, loss: str) -> str:
    """Say that a cell was lost and will be measured again."""
    return printable(f"lost: {title}: {loss}; measured once more")


def left_out_sentence(host: str) -> str:
    """Say that a host gets no more cells."""
    return printable(f"left out: {host} was lost twice and gets no more cells")
