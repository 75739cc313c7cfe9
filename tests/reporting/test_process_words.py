"""What is said of the processes that a program started."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builder import a_leak

from soak.reporting.words import growth_so_far
from soak.reporting.words.verdicts.processes import role_sentences
from soak.results import Place, ProcessResult, RoleResult
from soak.verdict import Verdict


def test_each_role_is_told_with_its_verdict_and_what_each_process_holds():
    processes = (
        ProcessResult(11, 1, 90, 1024.0, 4096.0, 0.0, 0.0, 30.0, has_ended=True),
        ProcessResult(12, 1, 99, 1024.0, 2048.0, 0.0, 0.0, 10.0, has_ended=False),
    )
    role = RoleResult("python, forked", Verdict.LEAK, 1, 1, 10.0, 9.0, 11.0, processes)

    (sentence,) = role_sentences(a_leak(roles=(role,)))

    assert sentence == ("1 × python, forked: LEAK, 10 B per call together, 1 more has ended. process 12 1 KiB → 2 KiB.")


def test_of_a_role_that_has_ended_all_its_processes_are_counted():
    role = RoleResult("python, forked", Verdict.LEAK, 0, 2, 10.0, 9.0, 11.0, ())

    assert role_sentences(a_leak(roles=(role,))) == (
        "2 × python, forked: LEAK, 10 B per call together; all have ended.",
    )


REPLACED = RoleResult(
    "python, forked",
    Verdict.INCONCLUSIVE,
    2,
    7,
    None,
    None,
    None,
    (),
    1030.0,
    Place("work", "/srv/jobs.py", 21),
    1057.0,
)


def test_of_processes_that_are_replaced_it_is_said_what_grew_in_them_and_what_would_decide():
    found = growth_so_far(a_leak(roles=(REPLACED,), verdict=Verdict.INCONCLUSIVE, causes=(), n_min=1024))

    assert found == (
        "grows by 1,057 B per call in each process that is replaced (7 × python, forked so far), and the memory is "
        "freed when the process ends: probably work (jobs.py:21) allocates it. Without replacement (max-requests, "
        "maxtasksperchild) 1,024 calls would decide it"
    )


@pytest.mark.parametrize(
    "role",
    [
        replace(REPLACED, ended=0),
        replace(REPLACED, ended_grew_there=0.3),
        replace(REPLACED, ended_grew_in=None),
        replace(REPLACED, verdict=Verdict.LEAK),
        replace(REPLACED, verdict=Verdict.CLEAN),
    ],
    ids=["none has ended", "by next to nothing", "nobody knows where", "told by itself", "nothing grew"],
)
def test_of_others_that_is_not_said(role: RoleResult):
    assert growth_so_far(a_leak(roles=(role,), verdict=Verdict.INCONCLUSIVE, causes=())) is None
