"""Sizes and durations as people write them, and as they are printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.errors import UsageError
from soak.units import format_count, format_duration, format_number, format_size, parse_duration_s, parse_size_bytes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("106", 106),
        ("1B", 1),
        ("0.01B", 0.01),
        ("64 KiB", 65536),
        ("64kB", 65536),
        ("64k", 65536),
        ("1.5MiB", 1.5 * 2**20),
        (" 2GiB ", 2**31),
        ("1T", 2**40),
        (16, 16),
        (0.5, 0.5),
    ],
)
def test_sizes_are_read_as_powers_of_1024(text: str | float, size_bytes: float):
    assert parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-1", "much", "1 B B", "1e3", "1,000", "KiB", "nan", "inf", "1 / 2"])
def test_a_wrong_size_is_refused_by_name(text: str):
    """The message repeats what was written and shows what would be right."""
    with pytest.raises(UsageError, match="is not a size; write for example") as refused:
        parse_size_bytes(text)

    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("0", 0),
        ("100ms", 0.1),
        ("1.5 s", 1.5),
        ("60", 60),
        ("10min", 600),
        ("10m", 600),
        ("12h", 43200),
        ("2d", 172800),
        ("250us", 250e-6),
        ("250µs", 250e-6),
        (0.25, 0.25),
    ],
)
def test_durations_are_read_in_seconds(text: str | float, duration_s: float):
    assert parse_duration_s(text) == pytest.approx(duration_s, rel=1e-12)


@pytest.mark.parametrize("text", ["", "-1s", "soon", "1 parsec", "1h30m", "ms", "nan", "1e3"])
def test_a_wrong_duration_is_refused_by_name(text: str):
    """The message repeats what was written and shows what would be right."""
    with pytest.raises(UsageError, match="is not a duration; write for example") as refused:
        parse_duration_s(text)

    assert repr(text) in str(refused.value)


@given(st.floats(min_value=1, max_value=2.0**39))
def test_a_printed_size_reads_back_as_itself_to_four_digits(size_bytes: float):
    """Printing rounds to four digits; nothing else is lost."""
    printed = format_size(size_bytes)

    assert parse_size_bytes(printed.replace(",", "")) == pytest.approx(size_bytes, rel=6e-4)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_printed_count_reads_back_as_itself(count: int):
    assert int(format_count(count).replace(",", "")) == count


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.0123, "0.0123"), (106.2, "106.2"), (12345, "12,345"), (-0.5, "-0.5")]
)
def test_numbers_are_printed_with_four_digits(value: float, text: str):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (106, "106 B"),
        (1536, "1.5 KiB"),
        (27.5 * 2**20, "27.5 MiB"),
        (-2048, "-2 KiB"),
        (2**42, "4,096 GiB"),
    ],
)
def test_sizes_are_printed_with_the_unit_that_says_1024(size_bytes: float, text: str):
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (35e-6, "35 µs"),
        (0.0025, "2.5 ms"),
        (12.3, "12.3 s"),
        (245, "4 min 05 s"),
        (9240, "2 h 34 min"),
        (43200, "12 h 00 min"),
    ],
)
def test_durations_are_printed_for_a_person(duration_s: float, text: str):
    assert format_duration(duration_s) == text
