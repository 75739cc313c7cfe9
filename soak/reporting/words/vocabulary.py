"""The words that every sentence is made of: names, counts, rates and numbers as a person reads them."""

from __future__ import annotations

import math
import re

from soak.units import format_count, format_number

_UNIT_WORDS = {
    "fds": ("file descriptor", "file descriptors"),
    "threads": ("thread", "threads"),
    "processes": ("child process", "child processes"),
    "blocks": ("Python block", "Python blocks"),
    "objects": ("object", "objects"),
}
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def interval_words(low: float | None, high: float | None) -> str:
    """Give an interval after a rate (`` [127.9, 128.2]``), or nothing when it is not known."""
    return "" if low is None or high is None else f" [{format_number(low)}, {format_number(high)}]"


def spoken(name: str) -> str:
    """Turn a component's name into words: ``numpy_conversion`` is ``numpy conversion``."""
    return printable(name).replace("_", " ").strip() or name


def printable(text: str) -> str:
    """Drop terminal escape sequences and replace characters that neither XML nor a terminal should be given."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def count_words(count: int, noun: str) -> str:
    """Count things: ``1 call``, ``20,480 calls``."""
    return f"{format_count(count)} {noun}{'' if count == 1 else 's'}"


def rate_words(rate: float, unit: str) -> str:
    """Say a rate per call in its unit; counts below one per call as ``1 file descriptor every 10 calls``."""
    if unit == "bytes":
        return f"{byte_rate(rate)} per call"
    one, many = _UNIT_WORDS.get(unit, (unit, unit))
    if 0 < rate < 0.95:
        return f"1 {one} every {period_words(1 / rate)} calls"
    number = short_number(rate)
    return f"{number} {one if number == '1' else many} per call"


def period_words(cycles: float) -> str:
    """Write how many calls apart something happens: whole where that is within 1 % (``10`` for 9.96)."""
    whole = round(cycles, 1 - math.floor(math.log10(cycles))) if cycles >= 10 else float(round(cycles))
    return short_number(whole if abs(whole - cycles) < 0.01 * cycles else cycles)


def capitalised(text: str) -> str:
    """Make the first letter a capital; the others stay as they are."""
    return text[:1].upper() + text[1:]


def byte_rate(rate: float) -> str:
    """Write a growth in bytes for a sentence: ``106 B``, ``1,024 B``, ``52.3 KiB``."""
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if abs(rate) >= 10 * size:
            return f"{short_number(rate / size)} {unit}"
    return f"{short_number(rate)} B"


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
