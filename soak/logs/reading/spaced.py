"""Logs of loops in a shell: columns between spaces, with a heading now and then, and times in between.

psrecord, pidstat, ``ps``, ``top -b``, ``free``, ``docker stats``, ``cat memory.current``.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from soak.errors import SeriesError
from soak.logs.names import means_memory, means_time, unit_in
from soak.logs.reading.numbers import BLANKS, NumberReader
from soak.logs.reading.source import Source
from soak.logs.reading.times import is_time, means_elapsed, split_stamp
from soak.logs.table import Column, Table

_OF_LIMIT = re.compile(r"(?<=\S) / (?=\S)")
_NUMBER_AND_UNIT = re.compile(r"(?<=\d)\s+(?=(?:[kKMG]i?B|[Bb]ytes)(?:\s|$|/))")
_PREAMBLE = re.compile(
    r"top - |Tasks:|%?Cpu|[KMG]iB (?:Mem|Swap)|Threads:|Linux \d|Average:|Swap:"
    r"|Mem: +\d+K used|CPU: +\d+% usr|Load average:"
    r"|(?:Processes|Load Avg|CPU usage|SharedLibs|MemRegions|PhysMem|VM|Networks|Disks): "
)
"""What stands above the heading in top, also those of macOS and busybox."""
_CHANGE = re.compile(r"(?<=\d[KMGB])[+-](?=\s|$)")
"""So top on macOS says that a value has changed."""
_HEAD_LINES = 200
_IN_BRACKETS = re.compile(r"\(.*?\)")
_FULL_PS = ("USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND")
_OF_FULL_PS = re.compile(r"\S+ +\d+ +[\d.]+ +[\d.]+ +\d+ +\d+ +\S+ +[A-Z]\S* +\S+ +\d+:\d\d")
_TOP = ("PID", "USER", "PR", "NI", "VIRT", "RES", "SHR", "S", "%CPU", "%MEM", "TIME+", "COMMAND")
_SIZE_OF_TOP = r"[\d.,]+[kmgt]?"
_OF_TOP = re.compile(
    rf"\d+ +\S+ +(?:rt|-?\d+) +-?\d+ +{_SIZE_OF_TOP} +{_SIZE_OF_TOP} +{_SIZE_OF_TOP} +[RSDZTtIX] +[\d.,]+ +[\d.,]+"
    r" +[\d:.,h]+ "
)
"""A row of top without its heading, as ``top -b | grep app`` leaves it."""
_IN_KIB = frozenset(("RSS", "VSZ", "RES", "VIRT", "SHR", "SZ"))
"""What ps, top and pidstat print in KiB, in capitals; in small letters a program may have written bytes."""
_KNOWN = frozenset(("pid", "rss", "vsz", "res", "swpd", "kbmemused"))
"""A heading in small letters has one of these; of ps, top, pidstat, smem, vmstat and sar."""
_MACHINE_IN_USE = {"used": None, "kbmemused": "KiB"}
"""What free and sar call the memory of the machine that is in use, and the unit that the name means."""
_OF_PS = frozenset(("PID", "COMMAND", "CMD", "TTY", "STAT", "%CPU"))
"""Beside one of these TIME is the time that a processor has worked."""
_STARTS = frozenset(("STARTED", "LSTART"))
"""When a process began, by ps: a date, and no time of the reading."""
_OF_JSTAT = frozenset(("EU", "OU"))
"""With these jstat prints sizes, in KiB; the names of sizes end in C (capacity) or U (used)."""
_TEXTS = frozenset(("command", "cmd", "name", "args"))
"""In these columns a field may have spaces."""
_FREE = ["total", "used", "free"]
_FREE_ELSEWHERE = (
    ["gesamt", "benutzt", "frei"],
    ["total", "utilisé", "libre"],
    ["total", "usado", "libre"],
    ["total", "usado", "livre"],
    ["total", "usada", "livre"],
    ["totale", "usati", "liberi"],
)
"""The same in German, French, Spanish, Portuguese and Italian."""
_OF_FREE = re.compile(r"[^\W\d]+: +\d")
_TOTAL_UNITS = ((1e9, "B"), (1e6, "KiB"), (1e3, "MiB"), (0.0, "GiB"))
"""From which total the memory of a machine (1 GiB to 1 TiB) is in which unit: ``free -m`` does not say it."""


@dataclass(frozen=True)
class _Layout:
    """How the fields of a row are found."""

    columns: tuple[Column, ...]
    has_wide_gaps: bool = False
    """Fields have single spaces in them: two or more stand between fields."""

    def fields(self, line: str) -> list[str]:
        """Cut a row. A command takes its arguments; without one the last column takes what is left."""
        text = next((at for at, column in enumerate(self.columns) if column.name.lower() in _TEXTS), None)
        after = 0 if text is None else len(self.columns) - 1 - text
        if self.has_wide_gaps or not after:
            return _cut(line, wide=self.has_wide_gaps, most=len(self.columns) - 1)
        *before, rest = line.split(None, len(self.columns) - 1 - after)
        return [*before, *rest.rsplit(None, after)]

    def fields_of(self, stamp: str, line: str) -> list[str]:
        """Cut a row of which a time was cut off; if the time is the missing field, it is put back."""
        fields = self.fields(line)
        return self.fields(f"{stamp} {line}") if stamp and len(fields) == len(self.columns) - 1 else fields


class Spaced:
    """The output of a loop in a shell."""

    def recognises(self, head: str) -> bool:
        """Say whether there is a heading that has memory, or a row of numbers near the top."""
        lines = [_tidy(line) for line in head.splitlines()[:_HEAD_LINES]]
        rests = [split_stamp(line)[1] for line in lines if line and not _PREAMBLE.match(line)]
        return any(_heading(rest) is not None for rest in rests) or any(_has_number(rest) for rest in rests[:20])

    def read(self, source: Source) -> Table:
        """Find the columns: those of a heading that has memory, else those of the first row."""
        lines = _stamped_lines(source)
        begun = list(itertools.islice(lines, _HEAD_LINES))
        layouts = [found for _, _, rest in begun if (found := _heading(rest))]
        layout = next(filter(_has_memory, layouts), next(iter(layouts), None)) or _heading_above_numbers(begun)
        has_heading = layout is not None
        if layout is None:
            rests = [rest for _, _, rest in begun]
            first = _first_row(rests)
            if first is None:
                raise SeriesError(f"{source.name} has no readings")
            layout = _without_heading(rests[first])
        # What ps prints as the age of a process looks like a time of day only from an hour to a day.
        is_stamped = any(stamp for _, stamp, _ in begun) and not means_elapsed(layout.columns[0].name)
        has_start = layout.columns[0].name in _STARTS
        is_stamped = is_stamped and not has_start
        if has_start or (is_stamped and has_heading and means_time(layout.columns[0].name)):
            layout = _Layout(layout.columns[1:], layout.has_wide_gaps)
        if layout.columns[0].name == "of":
            layout = _with_unit_of_free(layout, begun)
        columns = (Column("time"), *layout.columns) if is_stamped else layout.columns
        numbers = _columns_of_numbers(layout, begun, has_heading=has_heading)
        _refuse_other_columns(source.name, begun, layout, numbers)
        rows = _rows(itertools.chain(begun, lines), layout, numbers)
        return Table("log", columns, ((number, [stamp, *row] if is_stamped else row) for number, stamp, row in rows))


def _tidy(line: str) -> str:
    return _CHANGE.sub("", _NUMBER_AND_UNIT.sub("", _OF_LIMIT.sub("/", line))).strip()


def _cut(line: str, *, wide: bool, most: int = -1) -> list[str]:
    if wide:
        return re.split(r" {2,}|\t", line)
    return line.split(None, most) if most else [line]


def _stamped_lines(source: Source) -> Iterator[tuple[int, str, str]]:
    """Yield number, time and rest of each line; a line that is only a time is that of the lines after it."""
    since = ""
    for number, raw in enumerate(source.lines(), start=1):
        line = _tidy(raw)
        if line.startswith("top - "):
            since = line.split()[2]
        if not line.strip("-= ") or _PREAMBLE.match(line):  # Windows draws a line below a heading
            continue
        stamp, rest = split_stamp(line)
        if stamp and not rest:
            since = stamp
        else:
            yield number, stamp or since, rest


def _heading(line: str) -> _Layout | None:
    """Return the columns that a line names; None if it has a number in it or names no memory that is known."""
    if any(_is_number(field) for field in line.split()):
        return None
    line = line.lstrip("# ")
    wide = bool(re.search(r"(?i)container id|mem usage|elapsed time|(?<!%)cpu %(?=\s)", line))
    names = _cut(line, wide=wide)
    if names[:3] in _FREE_ELSEWHERE:
        names = [*_FREE, *(f"column {at}" for at in range(5, len(names) + 2))]
    if names[:3] == _FREE:
        return _Layout((Column("of"), *map(_column, names)))
    is_known = bool(_KNOWN & {name.lower() for name in names})
    names_memory = _IN_BRACKETS.sub("", line).isupper() and any(map(means_memory, names))
    if not (wide or is_known or names_memory):
        return None
    return _Layout(tuple(_column(name, names) for name in names), wide)


def _heading_above_numbers(begun: list[tuple[int, str, str]]) -> _Layout | None:
    """Return the columns that the line above the first numbers names, where it has as many words as they are."""
    rests = [rest for _, _, rest in begun]
    first = _first_row(rests) or 0
    names = rests[first - 1].lstrip("# ").split() if first else []
    if len(names) < 2 or len(names) != len(rests[first].split()) or len(set(names)) != len(names):
        return None
    return _Layout(tuple(_column(name, names) for name in names))


def _columns_of_numbers(layout: _Layout, begun: list[tuple[int, str, str]], *, has_heading: bool) -> list[int]:
    """Return where a row must have numbers: as memory, and where no heading names that where the first row has them."""
    of_memory = [at for at, column in enumerate(layout.columns) if means_memory(column.name)]
    if has_heading and of_memory:
        return of_memory
    rests = [rest for _, _, rest in begun]
    return [at for at, field in enumerate(layout.fields(rests[_first_row(rests) or 0])) if _is_number(field)]


def _first_row(lines: list[str]) -> int | None:
    """Return where the first row is: a line with a number, and not the only one with so many fields; None without."""
    counts = {at: len(line.split()) for at, line in enumerate(lines) if _has_number(line)}
    how_many = Counter(counts.values())
    return next((at for at, count in counts.items() if how_many[count] > 1), next(iter(counts), None))


def _fits(fields: list[str], layout: _Layout, numbers: list[int]) -> bool:
    """Say whether a line is a row of these columns; a message between the rows has words where they have numbers."""
    return len(fields) == len(layout.columns) and all(_is_given(fields[at]) for at in numbers)


def _refuse_other_columns(file: str, begun: list[tuple[int, str, str]], layout: _Layout, numbers: list[int]) -> None:
    """Raise SeriesError where most lines with numbers do not have these columns: what is left would be no series."""
    numbered = [(number, stamp, rest) for number, stamp, rest in begun if _has_number(rest)]
    fitting = [number for number, stamp, rest in numbered if _fits(layout.fields_of(stamp, rest), layout, numbers)]
    if 2 * len(fitting) < len(numbered):
        other = next(number for number, _, _ in numbered if number not in fitting)
        than = f"line {fitting[0]}" if fitting else f"the heading: {' '.join(column.name for column in layout.columns)}"
        raise SeriesError(
            f"{file}, line {other}: other columns than {than}; give lines with the same columns, such as time,rss"
        )


def _column(name: str, names: Sequence[str] = ()) -> Column:
    if name in _MACHINE_IN_USE:
        return Column("used memory", _MACHINE_IN_USE[name])
    if name in ("TIME", "TIME+") and _OF_PS & set(names):
        return Column("processor time")
    if set(names) >= _OF_JSTAT and name[-1] in "CU":
        return Column(name, "KiB")
    unit = unit_in(name) or ("KiB" if name in _IN_KIB else None)
    return Column(name.partition("/")[0] if "LIMIT" in name else name, unit)


def _has_memory(layout: _Layout) -> bool:
    return any(means_memory(column.name) for column in layout.columns)


def _without_heading(line: str) -> _Layout:
    for row, names in ((_OF_FULL_PS, _FULL_PS), (_OF_TOP, _TOP)):
        if row.match(line):
            return _Layout(tuple(_column(name, names) for name in names))
    return _Layout(tuple(Column("") for _ in line.split()))


def _with_unit_of_free(layout: _Layout, begun: list[tuple[int, str, str]]) -> _Layout:
    totals = (rest.split()[1:2] for _, _, rest in begun if _OF_FREE.match(rest))
    total = next((fields[0] for fields in totals if fields), "")
    unit = (
        next(unit for least, unit in _TOTAL_UNITS if _is_number(total) and float(total) >= least)
        if total.isdigit()
        else None
    )
    return _Layout(tuple(Column(column.name, unit) for column in layout.columns))


def _rows(
    lines: Iterator[tuple[int, str, str]], layout: _Layout, numbers: list[int]
) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the rows below headings of this layout; what stands below another heading has other columns."""
    names = {column.name for column in layout.columns}
    is_ours = True
    for number, stamp, rest in lines:
        heading = _heading(rest) if not rest[:1].isdigit() else None
        if heading is not None:
            is_ours = names <= {column.name for column in heading.columns}
        elif is_ours and _has_number(rest):
            fields = layout.fields_of(stamp, rest)
            if _fits(fields, layout, numbers):
                yield number, stamp, fields


def _has_number(line: str) -> bool:
    fields = line.split()
    # To find out that a text is no time takes longer than the rest together.
    return any(map(_is_plain_number, fields)) or any(map(_is_number, fields))


def _is_plain_number(text: str) -> bool:
    if text.lower() in BLANKS:
        return False
    try:
        NumberReader().read(text)
    except ValueError:
        return False
    return True


def _is_given(text: str) -> bool:
    return text.strip().lower() in BLANKS or "--" in text or _is_number(text)


def _is_number(text: str) -> bool:
    return _is_plain_number(text) or (text.lower() not in BLANKS and is_time(text))
