"""``report.md`` of a matrix: as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from soak.analysis.matrix import VersionChange
from soak.matrix.merged import Matrix, MatrixCell
from soak.reporting import words as say
from soak.reporting.formats.markdown import escape
from soak.reporting.matrix.outcome import components_worst_first, findings
from soak.reporting.matrix.page import runs_by_host
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names

_MOST_ROWS, _MOST_COLUMNS, _MOST_EXPLAINED, _MOST_HOSTS = 60, 12, 20, 20
_LONGEST_SENTENCE = 400


def render_matrix_markdown(matrix: Matrix, changes: Sequence[VersionChange]) -> str:
    """Write a matrix as GitHub-flavoured Markdown; what is too much for a comment is cut and counted."""
    alarms = [*matrix.problems, *words.missing_sentences(matrix)]
    blocks = [
        f"### soak: {escape(words.matrix_headline(matrix, changes))}",
        *(f"**{escape(alarm)}**" for alarm in alarms),
        _table(matrix),
        escape(words.shared_sentence(matrix)),
        "\n".join(f"- {escape(sentence)}" for sentence in words.differences_below(matrix, changes)),
        _not_clean(matrix),
        escape(words.hosts_sentence(matrix)),
        _hosts(matrix),
        f"<sub>soak {escape(matrix.soak)}, matrix {escape(matrix.run)}. {escape(words.counts_sentence(matrix))}</sub>",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(matrix: Matrix) -> str:
    components, columns = components_worst_first(matrix)[:_MOST_ROWS], matrix.columns[:_MOST_COLUMNS]
    titles = ["component", *(escape(names.column_title(matrix, column)) for column in columns)]
    rows = [
        [escape(component), *(_cell(matrix.cell(component, column)) for column in columns)] for component in components
    ]
    lines = [titles, ["---"] * len(titles), *rows]
    more = len(matrix.components) - len(components), len(matrix.columns) - len(columns)
    counted = [say.count_words(count, noun) for count, noun in zip(more, ("row", "column"), strict=True) if count]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n… and {' and '.join(counted)} more in report.html." if counted else table


def _cell(cell: MatrixCell | None) -> str:
    if cell is None:
        return ""
    if not cell.runs:
        return f"*{words.NOT_MEASURED}*"
    several = len(cell.runs) > 1
    texts = []
    for run in cell.runs:
        host = f"on {names.host_words(run.host)}" if several else ""
        texts.append(" ".join(part for part in (words.verdict_cell(run), words.rate_cell(run), host) if part))
    return "<br>".join(escape(text) for text in texts)


def _not_clean(matrix: Matrix) -> str:
    found = findings(matrix)
    lines = []
    for alike in found[:_MOST_EXPLAINED]:
        title = names.cells_title(matrix, [cell for cell, _ in alike])
        seen_on = names.seen_on_words(matrix, [run for _, run in alike])
        where = f" {escape(seen_on)}" if seen_on else ""
        lines.append(f"- **{escape(title)}**{where}: {escape(_short(say.component_sentence(alike[0][1].result)))}")
    more = sum(map(len, found[_MOST_EXPLAINED:]))
    return "\n".join(lines + ([f"- … and {say.count_words(more, 'more cell')}"] if more > 0 else []))


def _hosts(matrix: Matrix) -> str:
    hosts = runs_by_host(matrix)
    rows = [[escape(cell) for cell in words.host_row(host, runs)] for host, runs in hosts[:_MOST_HOSTS]]
    lines = [list(words.HOST_TITLES), ["---"] * len(words.HOST_TITLES), *rows]
    more = len(hosts) - _MOST_HOSTS
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n… and {say.count_words(more, 'more host')}." if more > 0 else table


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SENTENCE else f"{text[: _LONGEST_SENTENCE - 1]}…"
