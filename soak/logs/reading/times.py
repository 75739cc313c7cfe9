"""Times as logs write them: ISO, epochs of any unit, seconds since the start, what ``date`` prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from soak.errors import SeriesError

_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))*"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:\.\d+|,\d{3}(?!\d))?(?: [AP]M)?"
_MINUTE = r"\d{1,2}:\d\d(?::\d\d(?:\.\d+|,\d{3}(?!\d))?)?(?: ?[AP]M)?"
_STAMP = re.compile(
    rf"\[?(\d{{4}}-\d\d-\d\d[T ]{_MINUTE}{_ZONE}"
    rf"|[A-Z][a-z]{{2}},? (?:[A-Z][a-z]{{2}} +\d{{1,2}}|\d{{1,2}} [A-Z][a-z]{{2}} \d{{4}}) {_CLOCK}"
    r"(?: [A-Z]{2,5})?(?: \d{4})?"
    rf"|[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}"
    rf"|\d{{1,4}}[./]\d{{1,2}}[./]\d{{2,4}},? {_MINUTE}"
    rf"|{_CLOCK})\]?(?=[\s,;:|]|$)[:,]?"
)
_ZONE_NAME = re.compile(r" (?:[A-Z]{3,5})(?= |$)(?<! AM)(?<! PM)")
_CLOCKS = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_DATES = ("%b %d", "%a %b %d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%d.%m.%Y", "%a %d %b %Y")
_FORMATS = (
    *_CLOCKS,
    *(f"{date} {clock}" for date in _DATES for clock in _CLOCKS),
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %I:%M:%S %p %Y",
)
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
_LOOKS_LIKE_TIME = re.compile(r"\d:\d\d")
_GO_ZONE = re.compile(r" ?([+-]\d\d:?\d\d) [A-Z]{3,4}$| (?:UTC|GMT)$")
_EPOCH_UNITS_S = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (5e8, 1.0))
"""From which number a time is an epoch in which unit."""
_NAMED_UNITS_S = {"ms": 1e-3, "msec": 1e-3, "millis": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "minutes": 60.0,
                  "h": 3600.0, "hours": 3600.0}  # fmt: skip
_HALF_DAY_S, _DAY_S = 43_200.0, 86_400.0


def split_stamp(line: str) -> tuple[str, str]:
    """Cut the time at the beginning of a line from the rest; an empty time where there is none."""
    match = _STAMP.match(line.lstrip())
    return (match.group(1), line.lstrip()[match.end() :].strip()) if match else ("", line.strip())


def is_time(text: str) -> bool:
    """Say whether a text is a time of day or a date, or an epoch."""
    if _is_number(text):
        return _epoch_unit_s(text) is not None
    return any(_readers(text))


class TimeReader:
    """Reads the times of one log as seconds. Only their differences mean something."""

    def __init__(self, texts: Sequence[str], name: str = "") -> None:
        """Find out how times are written, from some of them. Raises SeriesError where they are no times.

        ``name`` is the column's: it may say the unit of a number (``elapsed_ms``).
        """
        given = [text for text in texts if text.strip()]
        first = given[0] if given else ""
        self.is_absolute = not _is_number(first) or _epoch_unit_s(first) is not None
        """Whether these are moments, and not seconds since some start."""
        self._readers = [read for read in _readers(first, name) if all(_reads(read, text) for text in given)]
        if not self._readers:
            raise SeriesError(f"{first!r} is not a time; name another column with --axis")
        self._latest: list[float] = []
        self._shift_s = 0.0

    def read(self, text: str) -> float:
        """Return a time in seconds, UTC where it names no zone. Raises ValueError when it is none.

        Where day and month cannot be told apart, the order is the one that makes the step to this time the smaller.
        A time without a date that falls by more than half a day is of the next day.
        """
        times = [read(text) for read in self._readers]
        before, self._latest = self._latest, times
        if not before:
            return times[0]
        if len(times) > 1:
            self._choose([after - last for after, last in zip(times, before, strict=True)], before)
        elif self.is_absolute and times[0] < _DAY_S and before[0] - times[0] > _HALF_DAY_S:
            self._shift_s += _DAY_S
        return self._latest[0] + self._shift_s

    def _choose(self, steps_s: Sequence[float], before: Sequence[float]) -> None:
        if len(set(steps_s)) == 1:
            return
        best = min(range(len(steps_s)), key=lambda at: (steps_s[at] < 0, abs(steps_s[at])))
        self._shift_s += before[0] - before[best]
        self._readers, self._latest = [self._readers[best]], [self._latest[best]]


def _readers(text: str, name: str = "") -> list[Callable[[str], float]]:
    """Return the ways in which a text can be read as a time."""
    if _is_number(text):
        unit_s = _epoch_unit_s(text) or _named_unit_s(name)
        return [lambda number: float(number) * unit_s]
    if _DATE.match(text.strip()) and _reads(_iso, text):
        return [_iso]
    # Python compiles a format anew each time when there are many: only what looks like a time is tried.
    forms = _FORMATS if _LOOKS_LIKE_TIME.search(text) else ()
    return [read for read in map(_formatted, forms) if _reads(read, text)]


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(_GO_ZONE.sub(r"\1", text.strip()))
    if not _DATE.match(text.strip()):
        raise ValueError(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _formatted(form: str) -> Callable[[str], float]:
    # Without a date it is the time since midnight, without a year a time of a leap year.
    start = datetime(1970, 1, 1, tzinfo=UTC)
    year = "" if "%Y" in form or "%y" in form else " 2024" if "%b" in form else " 1970 1 1"
    form += "" if not year else " %Y" if "%b" in form else " %Y %m %d"

    def read(text: str) -> float:
        plain = " ".join(_ZONE_NAME.sub("", text.replace(",", " ")).split())
        return (datetime.strptime(plain + year, form).replace(tzinfo=UTC) - start).total_seconds()

    return read


def _reads(read: Callable[[str], float], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    return _reads(float, text)


def _epoch_unit_s(text: str) -> float | None:
    if not _is_number(text):
        return None
    number = float(text)
    return next((unit_s for least, unit_s in _EPOCH_UNITS_S if least <= number < least * 1000), None)


def _named_unit_s(name: str) -> float:
    words = re.findall(r"[a-z]+", name.lower())
    return next((_NAMED_UNITS_S[word] for word in reversed(words) if word in _NAMED_UNITS_S), 1.0)
