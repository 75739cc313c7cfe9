"""Numbers as logs write them: with units, separated thousands, a decimal comma, or a word for a missing one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from soak.errors import UsageError

BLANKS = frozenset(
    ("", "-", "--", "nan", "null", "none", "nil", "n/a", "na", "#n/a", "undefined", "?", "<null>", "(null)", "\\n")
)
"""What stands for a reading that is missing."""
SIZES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}
"""The units of memory in bytes. kB and MB are KiB and MiB, as in /proc and in `soak.units`."""
_FEWEST_GROUPED = 8
"""This many numbers have three digits behind the point by chance only where they are written with three decimals."""
_OF_SPREADSHEETS = (";", "\t", "|")
"""What separates the fields where a comma may be the sign of decimals."""
_LONG_NUMBER = 300
"""Digits: a longer number may be infinite."""
_PREFIXES = dict(zip("bkmgt", SIZES, strict=True))
_WORDS = {"octet": "B", "octets": "B", "kilob": "KiB", "megab": "MiB", "gigab": "GiB"}
"""Without the end ``ytes``: ``Megabytes`` of CloudWatch."""
_WITH_UNIT = re.compile(r"([+-]?[\d.,'\u2019_\s\u00a0\u202f\u2009]*\d(?:[eE][+-]?\d+)?)\s*([a-zA-Z%]*)")
_SEPARATORS = re.compile(r"(?<=\d)['\u2019_\s\u00a0\u202f\u2009](?=\d{3})")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})+(?:[.,]\d+)?")
_USED_OF_LIMIT = re.compile(r"\s*/\s*\S+$")


def unit_of(word: str) -> str | None:
    """Return the unit of memory that a word is: ``kB``, ``Ki`` and ``Ko`` are KiB, ``bytes`` is B; None for others."""
    lowered = word.lower().removesuffix("ytes").removesuffix("yte")
    if lowered in _WORDS:
        return _WORDS[lowered]
    if re.fullmatch(r"b|[kmgt](?:i?[bo]|i)?", lowered):
        return _PREFIXES[lowered[0]]
    return None


class NumberReader:
    """Reads the values of one column, and learns their unit and how finely they are printed.

    A column may have values with a unit and without: top prints KiB, and from 100 MiB on ``105.5m``.
    """

    def __init__(self, decimal: str = ".", unit: str = "") -> None:
        """Begin; ``decimal`` is the sign of decimals, a point or a comma, ``unit`` that of a bare number, if known."""
        self._decimal = decimal
        self._bare = SIZES[unit] if unit else 1.0
        self.has_units = False
        """Some value had a unit: those are in bytes."""
        self._steps: dict[float, float] = {}

    @property
    def step(self) -> float:
        """How finely the values are printed, in bytes where they have a unit: of several units the coarsest."""
        return max(self._steps.values(), default=1.0)

    def read(self, text: str) -> float:
        """Return the number, in bytes where it has a unit of memory or a bare one is known to have; NaN for a blank.

        Raises ValueError for anything else, also for an infinite number.
        """
        if text.isdigit() and len(text) < _LONG_NUMBER:
            if not self._steps:
                self._steps[self._bare] = self._bare
            return float(text) * self._bare
        text = text.strip()
        used = _USED_OF_LIMIT.sub("", text) or text
        if text.lower() in BLANKS or used in BLANKS:
            return math.nan
        text = used
        match = _WITH_UNIT.fullmatch(text)
        if match is None:
            raise ValueError(text)
        number, word = match.groups()
        unit = unit_of(word) if word not in ("", "%") else None
        if word not in ("", "%") and unit is None:
            raise ValueError(text)
        self.has_units = self.has_units or unit is not None
        plain = _plain(number, self._decimal)
        factor = SIZES[unit] if unit else self._bare
        value = float(plain) * factor
        if not math.isfinite(value):
            raise ValueError(text)
        self._steps[factor] = min(factor * _step(plain), self._steps.get(factor, math.inf))
        return value


def _plain(number: str, decimal: str) -> str:
    """Write a number as Python does: no separated thousands, a decimal point."""
    number = _SEPARATORS.sub("", number)
    other = "." if decimal == "," else ","
    if other in number:
        if _GROUPED.fullmatch(number) is None:
            raise ValueError(number)
        number = number.replace(other, "")
    if number.count(decimal) > 1:
        number = number.replace(decimal, "")
    return number.replace(decimal, ".")


def _step(plain: str) -> float:
    mantissa, _, exponent = plain.lower().partition("e")
    finest = int(exponent or 0) - len(mantissa.partition(".")[2])
    if abs(finest) >= _LONG_NUMBER:
        raise ValueError(plain)  # no log has such a number, and neither is its step a float
    return 10.0**finest


def decimal_sign(texts: Iterable[str], separator: str, unit: str | None = None) -> str:
    """Tell the sign of decimals from some values of a column; ``unit`` is that of its bare numbers, if known.

    Raises UsageError if ``29,320`` may be either: in a file separated by semicolons, as spreadsheets of countries
    with a decimal comma write them; of MiB also by tabs or bars. A program is seldom known to have thousands of GiB.
    """
    found = [match.groups() for text in texts if (match := _WITH_UNIT.match(text.strip()))]
    numbers = [number for number, _ in found if "," in number]
    if not numbers:
        units = {unit_of(word) or unit for number, word in found if "." in number}
        return _sign_of_points([number for number, _ in found if "." in number], separator, units)
    if any(_GROUPED.fullmatch(number) is None or number.find(".") > number.find(",") > -1 for number in numbers):
        mixed = any(0 <= number.find(",") < number.find(".") for number in numbers)
        return "." if mixed else ","
    units = {unit_of(word) or unit for number, word in found if "," in number}
    if not separator and units <= {"GiB", "TiB"}:
        return ","
    are_thousands = separator not in _OF_SPREADSHEETS or (separator != ";" and units <= {"B", "KiB"})
    if any(number.count(",") > 1 for number in numbers) or are_thousands:
        return "."
    raise UsageError(
        f"{numbers[0]} may be {numbers[0].replace(',', '')} or {numbers[0].replace(',', '.')}; "
        "say which: --decimal . or --decimal ,"
    )


def _sign_of_points(numbers: list[str], separator: str, units: set[str | None]) -> str:
    """Tell the sign of decimals of numbers with points and no comma; beside semicolons a point may cut thousands.

    Bytes have no decimals, and memory is seldom known to the byte in KiB. ``28.633`` MiB has decimals. Raises
    UsageError where the unit does not tell.
    """
    if (
        (separator != ";" and not units <= {"B", "KiB"})
        or len(numbers) < _FEWEST_GROUPED
        or any(_GROUPED.fullmatch(one) is None for one in numbers)
    ):
        return "."
    if any(one.count(".") > 1 for one in numbers) or units <= {"B", "KiB"}:
        return ","
    if None in units:
        raise UsageError(
            f"{numbers[0]} may be {numbers[0].replace('.', '')} or {numbers[0].replace('.', ',')}; "
            "say which: --decimal , or --decimal ."
        )
    return "."
