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
    rf"(?:[=#*-]{{2,}} *)?\[?(\d{{4}}-\d\d-\d\d[T ]{_MINUTE}{_ZONE}"
    rf"|[A-Z][a-z]{{2}},? (?:[A-Z][a-z]{{2}} +\d{{1,2}}|\d{{1,2}} [A-Z][a-z]{{2}} \d{{4}}) {_CLOCK}"
    r"(?: [A-Z]{2,5})?(?: \d{4})?"
    rf"|[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK}"
    rf"|\d{{1,4}}[./]\d{{1,2}}[./]\d{{2,4}},? {_MINUTE}"
    rf"|{_CLOCK})(?:: [A-Z]+/[\w-]+)?\]?(?=[\s,;:|]|$)[:,]?(?: *[=#*-]{{2,}}$)?"
)
"""A time at the beginning of a line, also between rules (``=== 16:00:00 ===``) or with Celery's
``[2025-11-24 16:00:00,000: INFO/MainProcess]``."""
_ZONE_NAME = re.compile(r" (?:[A-Z]{3,5})(?= |$)(?<! AM)(?<! PM)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<month>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*)\.?"
_AND_CLOCK = (
    r"[ :,T]+(?P<clock>\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?)(?: ?(?P<half>[AaPp][Mm]))?"
    r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_DAY_FIRST = rf"(?P<day>\d{{1,2}})[ /-]{_MONTH}[ /-](?P<year>\d{{4}})"
_MONTH_FIRST = rf"{_MONTH} +(?P<day>\d{{1,2}}),? (?P<year>\d{{4}})"
_WORDED = tuple(re.compile(rf"(?:[A-Z][a-z]+,? )?{date}{_AND_CLOCK}") for date in (_DAY_FIRST, _MONTH_FIRST))
"""``24 Nov 2025 16:00:00``, ``24/Nov/2025:16:00:00 +0000`` and ``November 24, 2025 16:00``."""
_COMPACT = re.compile(r"((?:19|20)\d\d)[-_]?([01]\d)[-_]?([0-3]\d)[-_T ]?([0-2]\d)[-_:]?([0-5]\d)[-_:]?([0-5]\d)")
"""``20251124160000`` and ``2025-11-24-16-00-00``, as names of files have them."""
_ELAPSED = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d{1,3}):(\d\d(?:\.\d+)?)")
"""``[[days-]hours:]minutes:seconds``, as ps and pidstat print how long a process has run."""
_PAIR = re.compile(r"(\d{1,3}):([0-5]\d)(\.\d+)?")
"""``12:34``: hours and minutes, or minutes and seconds; with decimals the latter."""
_COUNTED = re.compile(r"(\d+(?:\.\d+)?) ?(ns|us|ms|sec|seconds|s|min|minutes|m|hours|h)")
_MEANS_ELAPSED = frozenset(("elapsed", "etime", "etimes", "uptime", "duration", "runtime"))
_CLOCKS = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M:%S.%f %p", "%I:%M %p")
_DATES = ("%b %d", "%a %b %d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%d.%m.%Y", "%a %d %b %Y",
          "%b-%d", "%d-%m")  # fmt: skip
_FORMATS = (
    *_CLOCKS,
    *(f"{date} {clock}" for date in _DATES for clock in _CLOCKS),
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %I:%M:%S %p %Y",
)
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
_DIGIT = re.compile(r"\d")
_LOOKS_LIKE_TIME = re.compile(r"\d:\d\d")
_OF_JAVASCRIPT = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d{4}) ([\d:]{8}) GMT([+-]\d{4})(?: \(.*\))?")
"""``Mon Nov 24 2025 16:00:00 GMT+0100 (Central European Standard Time)``, as a browser writes it."""
_GO_ZONE = re.compile(r" ?([+-]\d\d:?\d\d) [A-Z]{3,4}$| (?:UTC|GMT)$")
_EPOCH_UNITS_S = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (5e8, 1.0))
"""From which number a time is an epoch in which unit."""
_COUNTED_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NAMED_UNITS_S = {"ms": 1e-3, "msec": 1e-3, "millis": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "minutes": 60.0,
                  "mins": 60.0, "h": 3600.0, "hours": 3600.0, "days": 86_400.0}  # fmt: skip
_HALF_DAY_S, _DAY_S = 43_200.0, 86_400.0
_HOUR_S, _DAY_MINUTES = 3600.0, 1440.0
_MINUTES, _HOURS = "mm:ss", "hh:mm"
PAIRS = (_HOURS, _MINUTES)
"""What ``12:34`` may mean."""


def split_stamp(line: str) -> tuple[str, str]:
    """Cut the time at the beginning of a line from the rest; an empty time where there is none."""
    match = _STAMP.match(line.lstrip())
    return (match.group(1), line.lstrip()[match.end() :].strip()) if match else ("", line.strip())


def is_time(text: str, name: str = "") -> bool:
    """Say whether a text is a time of day or a date, or an epoch; ``name`` is that of its column."""
    if _is_number(text):
        return _epoch_unit_s(text) is not None or _reads(_compact, text)
    return any(_readers(text, name))


class TimeReader:
    """Reads the times of one log as seconds. Only their differences mean something."""

    def __init__(self, texts: Sequence[str], name: str = "", *, pairs: str = "") -> None:
        """Find out how times are written, from some of them. Raises SeriesError if they are no times.

        ``name`` is the column's: it may say the unit of a number (``elapsed_ms``). ``pairs``: one of `PAIRS`, where
        the user said it.
        """
        given = [text for text in texts if text.strip()]
        first = given[0] if given else ""
        is_counted = _reads(_counted, first) or (means_elapsed(name) and _reads(_elapsed, first)) or "-" in first[1:4]
        self._readers = [read for read in _readers(first, name) if all(_reads(read, text) for text in given)]
        if not self._readers:
            raise SeriesError(f"{first!r} is not a time; name another column with --axis")
        self._pairs = _Pairs(first, pairs) if self._readers == [_pair] else None
        self._is_moment = is_time(first) and not is_counted
        self._latest: list[float] = []
        self._shift_s = 0.0

    @property
    def is_absolute(self) -> bool:
        """Whether these are moments, and not seconds since some start."""
        return self._is_moment and (self._pairs is None or self._pairs.are_hours)

    @property
    def factor(self) -> float:
        """By what the times that were read must be multiplied; known when all of them were read."""
        return 60.0 if self._pairs is not None and self._pairs.are_hours else 1.0

    @property
    def assumed(self) -> str:
        """The first time, where it may be hours and minutes or minutes and seconds, and nothing has told which."""
        return self._pairs.first if self._pairs is not None and not self._pairs.is_told else ""

    def read(self, text: str) -> float:
        """Return a time in seconds, UTC where it names no zone. Raises ValueError when it is none.

        Where day and month cannot be told apart, the order is the one that makes the step to this time the smaller.
        A time without a date that falls by more than half a day is of the next day.
        """
        if self._pairs is not None:
            return self._pairs.read(text)
        times = [read(text) for read in self._readers]
        before, self._latest = self._latest, times
        if not before:
            return times[0]
        if len(times) > 1:
            self._choose([after - last for after, last in zip(times, before, strict=True)], before)
        elif self._is_moment and times[0] < _DAY_S and before[0] - times[0] > _HALF_DAY_S:
            self._shift_s += _DAY_S
        return self._latest[0] + self._shift_s

    def _choose(self, steps_s: Sequence[float], before: Sequence[float]) -> None:
        if len(set(steps_s)) == 1:
            return
        best = min(range(len(steps_s)), key=lambda at: (steps_s[at] < 0, abs(steps_s[at])))
        self._shift_s += before[0] - before[best]
        self._readers, self._latest = [self._readers[best]], [self._latest[best]]


class _Pairs:
    """Times such as ``12:34``: hours and minutes unless one of them can only be minutes and seconds.

    They are read as minutes and seconds; of hours and minutes each number is sixty times as long.
    """

    def __init__(self, first: str, said: str) -> None:
        self.first = first.strip()
        self.is_told = bool(said)
        self.are_hours = said != _MINUTES
        self._is_asked = self.is_told
        self._latest = 0.0
        self._shift = 0.0

    def read(self, text: str) -> float:
        """Return a time in sixtieths of what its first number counts; one that falls may be of the next turn."""
        time = _pair(text)
        # No day has an hour 24, and hours and minutes have neither seconds nor decimals.
        if not self._is_asked and (time >= _DAY_MINUTES or not time.is_integer() or text.count(":") > 1):
            self.is_told, self.are_hours = True, False
        turn = _DAY_MINUTES if self.are_hours else _HOUR_S
        if self._begins_anew(time, turn):
            # A count of minutes that begins anew falls so too, but seldom from the last hour of a day to its first.
            self.is_told = self.is_told or (self._latest >= turn - 60 and time < 60)
            self._shift += turn
        self._latest = time
        return time + self._shift

    def _begins_anew(self, time: float, turn: float) -> bool:
        """Say whether the time has come round. What counts minutes since a start does so within two minutes only."""
        if self.are_hours:
            return self._latest - time > turn / 2
        return time < 60 and turn - 60 <= self._latest < turn


def _readers(text: str, name: str = "") -> list[Callable[[str], float]]:
    """Return the ways in which a text can be read as a time."""
    if not _DIGIT.search(text):
        return []
    if _reads(_compact, text):
        return [_compact]
    if _is_number(text):
        unit_s = _epoch_unit_s(text) or _named_unit_s(name)
        return [lambda number: float(number) * unit_s]
    if _DATE.match(text.strip()) and _reads(_iso, text):
        return [_iso]
    plain = text.strip()
    if _COUNTED.fullmatch(plain):
        return [_counted]
    if _ELAPSED.fullmatch(plain) and (means_elapsed(name) or "-" in plain):
        return [_elapsed]
    if _PAIR.fullmatch(plain):
        return [_pair]
    if _reads(_worded, text):
        return [_worded]
    # Python compiles a format anew each time when there are many: only what looks like a time is tried.
    forms = _FORMATS if _LOOKS_LIKE_TIME.search(text) else ()
    return [read for read in map(_formatted, forms) if _reads(read, text)]


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(_GO_ZONE.sub(r"\1", text.strip()))
    if not _DATE.match(text.strip()):
        raise ValueError(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _worded(text: str) -> float:
    text = _OF_JAVASCRIPT.sub(r"\2 \1 \3 \4 \5", text.strip())
    match = next((match for form in _WORDED if (match := form.fullmatch(text.strip()))), None)
    if match is None:
        raise ValueError(text)
    month = match["month"][:3].lower()
    clock, half = match["clock"].replace(",", "."), (match["half"] or "").lower()
    hour, minute, *second = clock.split(":")
    hours = int(hour) % 12 + 12 * (half == "pm") if half else int(hour)
    day = datetime(int(match["year"]), _MONTHS.index(month) + 1, int(match["day"]), hours, int(minute), tzinfo=UTC)
    zone = (match["zone"] or "").strip()
    shift = datetime.fromisoformat(f"2025-01-01T00:00:00{zone}").utcoffset() if zone[:1] in ("+", "-") else None
    since = day.timestamp() + float(second[0] if second else 0)
    return since - (shift.total_seconds() if shift else 0.0)


def _compact(text: str) -> float:
    match = _COMPACT.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _counted(text: str) -> float:
    match = _COUNTED.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    unit = match[2] if match[2] in _COUNTED_S else match[2][0]
    return float(match[1]) * _COUNTED_S[unit]


def _elapsed(text: str) -> float:
    match = _ELAPSED.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * _DAY_S + hours * 3600 + minutes * 60 + seconds


def _pair(text: str) -> float:
    """Read ``minutes:seconds``; among them ``hours:minutes:seconds`` may stand, as an hour after the start."""
    if "-" in text:
        raise ValueError(text)
    return _elapsed(text)


def means_elapsed(name: str) -> bool:
    """Say whether a column is the time since a process began, by its name."""
    return bool(_MEANS_ELAPSED & set(re.findall(r"[a-z]+", name.lower())))


def _formatted(form: str) -> Callable[[str], float]:
    # Without a date it is the time since midnight, without a year a time of a leap year.
    start = datetime(1970, 1, 1, tzinfo=UTC)
    has_date = "%b" in form or "%m" in form
    year = "" if "%Y" in form or "%y" in form else " 2024" if has_date else " 1970 1 1"
    form += "" if not year else " %Y" if has_date else " %Y %m %d"

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
