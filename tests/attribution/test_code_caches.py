"""CPython up to 3.10 keeps some memory for each function from its 1,024th call on. This is no growth."""

from __future__ import annotations

from pathlib import Path

import pytest
from attribution_builder import interpreter_of, others, soak_text

from soak.reporting.words import why_words

DRIVER = """
    A = B = C = D = E = F = G = H = 1
    SOURCE = "def function():\\n" + 6 * "    A + B + C + D + E + F + G + H\\n"
    KEPT = []
    FUNCTIONS = []
    for number in range(16):
        exec(SOURCE)
        FUNCTIONS.append(function)
        for call in range(50 + 20 * number):
            function()

    cycles = 0

    def cycle(state):
        global cycles
        cycles += 1
        for function in FUNCTIONS if cycles % 2 else ():
            function()
"""
LEAK = """
        KEPT.append(bytes(20))
"""
CYCLES = 2600


@pytest.mark.parametrize("version", ["3.8", *others("3.9", "3.10", "3.11", "3.13")])
def test_what_is_kept_of_code_that_runs_often_does_not_stand_in_the_way_of_clean(tmp_path: Path, version: str):
    """Sixteen functions reach that call one after another, each with 1.6 KiB, in the third quarter of the cycles."""
    result = soak_text(tmp_path, DRIVER, interpreter_of(version), cycles=CYCLES, n_min=1024)

    assert (result.verdict, result.decided_by) == ("CLEAN", "ledger"), why_words(result)


@pytest.mark.parametrize("version", ["3.8", *others("3.10")])
def test_a_leak_beside_it_is_found(tmp_path: Path, version: str):
    result = soak_text(tmp_path, DRIVER + LEAK, interpreter_of(version), cycles=CYCLES, n_min=1024)

    assert result.verdict == "LEAK"
    assert [cause.requested_size for cause in result.causes if cause.confirmed] == [53]
