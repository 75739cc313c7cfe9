"""Bytes, durations and counts: parse what people write, format what people read.

The units of size are powers of 1024 and are printed as such (KiB, MiB). ``kB`` and ``KB`` are 1024 bytes as well, as
in /proc: that is what people mean when they speak of memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from soak.errors import UsageError

_SIZE_FACTORS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_DURATION_FACTORS = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "": 1.0,
    "s": 1.0,
    "min": 60.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zµ]*)\s*", re.IGNORECASE)


def parse_size_bytes(text: str | float) -> float:
    """Read a size such as ``106``, ``1B``, ``64 KiB`` or ``2GiB``; the result is in bytes.

    Raises UsageError for anything else, negative sizes included.
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise UsageError(f"{text!r} is not a size; write for example 106, 1B, 64KiB or 2GiB")
    number, prefix = match.groups()
    return float(number) * _SIZE_FACTORS[prefix.lower()]


def parse_duration_s(text: str | float) -> float:
    """Read a duration such as ``0``, ``100ms``, ``1.5 s``, ``10min`` or ``12h``; the result is in seconds.

    A bare number is seconds. Raises UsageError for anything else.
    """
    match = _DURATION.fullmatch(str(text))
    if match is None or match.group(2).lower() not in _DURATION_FACTORS:
        raise UsageError(f"{text!r} is not a duration; write for example 100ms, 60s, 10min or 12h")
    number, unit = match.groups()
    return float(number) * _DURATION_FACTORS[unit.lower()]


def exact_duration(duration_s: float) -> str:
    """Write a duration so that `parse_duration_s` returns the same: ``100ms``, ``90s``, ``12h``."""
    units = {unit: _DURATION_FACTORS[unit] for unit in ("h", "min", "s", "ms", "us")}
    return _exact(duration_s, units, parse_duration_s) or f"{Decimal(repr(duration_s)):f}s"


def exact_size(size_bytes: float) -> str:
    """Write a size so that `parse_size_bytes` returns the same: ``1B``, ``64KiB``, ``0.01B``."""
    units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
    return _exact(size_bytes, units, parse_size_bytes) or f"{Decimal(repr(size_bytes)):f}B"


def _exact(value: float, units: Mapping[str, float], parse: Callable[[str], float]) -> str | None:
    """Write a value as a whole number of the largest unit that it is one of; None if there is none."""
    if not value:
        return "0"
    for unit, factor in units.items():
        text = f"{round(value / factor)}{unit}"
        if parse(text) == value:
            return text
    return None


def format_number(value: float) -> str:
    """Format a number with about four significant digits and separated thousands: 0.0123, 106.2, 12,345."""
    if value == 0:
        return "0"
    if abs(value) < 0.0005:
        return f"{value:.1g}"
    if abs(value) < 1000:
        text = f"{value:.4g}"
        return text if "e" not in text else f"{value:.0f}"
    return f"{value:,.0f}"


def format_size(size_bytes: float) -> str:
    """Format a size: ``106 B``, ``1.5 KiB``, ``27.5 MiB``."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return f"{format_number(value)} {unit}"
        value /= 1024
    raise AssertionError("unreachable: GiB is the last unit")


def format_duration(duration_s: float) -> str:
    """Format a duration: ``35 µs``, ``2.5 ms``, ``12.3 s``, ``4 min 05 s``, ``2 h 34 min``."""
    if duration_s < 1e-3:
        return f"{duration_s * 1e6:.3g} µs"
    if duration_s < 1:
        return f"{duration_s * 1e3:.3g} ms"
    if duration_s < 120:
        return f"{duration_s:.3g} s"
    if duration_s < 7200:
        minutes, seconds = divmod(round(duration_s), 60)
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(round(duration_s / 60), 60)
    return f"{hours} h {minutes:02d} min"


def format_count(count: int) -> str:
    """Format a whole number with separated thousands: ``924,000``."""
    return f"{count:,}"
