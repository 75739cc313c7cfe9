"""What is said of the processes that a program started."""

from __future__ import annotations

from builder import a_leak

from soak.reporting.words.verdicts.processes import role_sentences
from soak.results import ProcessResult, RoleResult
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
