"""The words that every sentence is made of: names, counts, rates and numbers as a person reads them."""

from __future__ import annotations

import math
import re

from soak.measurements import SIGNALS
from soak.units import format_count, format_number

_UNIT_WORDS = {
    "fds": ("file descriptor", "file descriptors"),
    "threads": ("thread", "threads"),
    "processes": ("child process", "child processes"),
    "blocks": ("Python block", "Python blocks"),
    "objects": ("object", "objects"),
    "resources": ("resource left behind", "resources left behind"),
}
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def interval_words(low: float | None, high: float | None) -> str:
    """Give an interval after a rate (`` [127.9, 128.2]``), or nothing when it is not known."""
    return "" if low is None or high is None else f" [{format_number(low)}, {format_number(high)}]"


_LONGEST_PERIOD = 1e15
"""In cycles: the reciprocal of a rate may be infinite."""
_HOW_MADE = {"file-descriptor": "opened", "left-behind": "created"}


def made_words(kind: str) -> str:
    """Say how what stays came to be, by the kind of its cause: ``opened``, ``created``, ``started``."""
    return _HOW_MADE.get(kind, "started")


def printable(text: str) -> str:
    """Drop terminal escape sequences and replace characters that neither XML nor a terminal should be given."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def count_words(count: int, noun: str) -> str:
    """Count things: ``1 call``, ``20,480 calls``."""
    return f"{format_count(count)} {noun}{'' if count == 1 else 's'}"


def rate_words(rate: float, unit: str, noun: str = "call") -> str:
    """Say a rate in its unit; counts below one per cycle as ``1 file descriptor every 10 calls``."""
    if unit != "bytes" and 0 < rate < 0.95:
        return f"1 {_UNIT_WORDS.get(unit, (unit, unit))[0]} every {period_words(1 / rate)} {noun}s"
    return f"{rate_number(rate, unit)} per {noun}"


def rate_number(rate: float, unit: str, *, up: bool = False) -> str:
    """Write a growth with its unit: ``106 B``, ``2 file descriptors``; without one where ``unit`` is empty.

    ``up``: rounded upwards, as a bound must be.
    """
    if unit == "bytes":
        return byte_rate(rate, up=up)
    number = short_number(rate, up=up)
    one, many = _UNIT_WORDS.get(unit, (unit, unit))
    return f"{number} {one if number == '1' else many}".rstrip()


def period_words(cycles: float) -> str:
    """Write how many cycles apart something happens: whole where that is within 1 % (``10`` for 9.96)."""
    cycles = min(cycles, _LONGEST_PERIOD)
    whole = round(cycles, 1 - math.floor(math.log10(cycles))) if cycles >= 10 else float(round(cycles))
    return short_number(whole if abs(whole - cycles) < 0.01 * cycles else cycles)


def byte_rate(rate: float, *, up: bool = False) -> str:
    """Write a growth in bytes for a sentence: ``106 B``, ``1,024 B``, ``52.3 KiB``."""
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if abs(rate) >= 10 * size:
            return f"{short_number(rate / size, up=up)} {unit}"
    return f"{short_number(rate, up=up)} B"


def short_number(value: float, *, up: bool = False) -> str:
    """Write a number with about three significant digits; ``up`` rounds upwards, as a bound must be."""
    if value == 0:
        return "0"
    decimals = max(0, min(6, 2 - math.floor(math.log10(abs(value)))))
    if abs(value) < 1:
        decimals = max(0, decimals - 1)
    scale = 10.0**decimals
    rounded = (math.ceil(value * scale - 1e-9) if up else round(value * scale)) / scale
    if rounded == 0:
        return "0"
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def capitalised(text: str) -> str:
    """Make the first letter a capital; the others stay as they are."""
    return text[:1].upper() + text[1:]


def with_article(noun: str) -> str:
    """Put ``a`` or ``an`` before a noun, as it is spelled."""
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


def signal_title(name: str) -> str:
    """Name a signal for people; one that this version does not know by its own name."""
    return SIGNALS[name].title if name in SIGNALS else printable(name)


def unit_of(name: str) -> str:
    """Return a signal's unit; empty for one that this version does not know."""
    return SIGNALS[name].unit if name in SIGNALS else ""
