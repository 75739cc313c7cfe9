"""What changes from version to version, and on what hosts disagree."""

from __future__ import annotations

from builder import a_component, a_failure, a_leak, growth
from matrix_builder import N1, N2, a_matrix, a_run

from soak.analysis.comparison import Kind
from soak.analysis.matrix import find_changes, repeated_runs
from soak.matrix.merged import MissingCell
from soak.reporting.matrix.outcome import cells_not_clean, components_worst_first, matrix_exit_code
from soak.reporting.words.matrix import headline_sentences, matrix_headline
from soak.results import NEVER_RAN, TrackerState
from soak.verdict import Verdict

OPEN = {"verdict": Verdict.INCONCLUSIVE}


def test_a_leak_that_one_version_has_and_another_has_not_is_in_the_first_line():
    matrix = a_matrix(a_run(a_component("x"), "numpy==2.3.1"), a_run(a_leak("x"), "numpy==2.4.0"))

    changes = find_changes(matrix)

    assert [(one.axis, one.before, one.after, one.kind) for one in changes] == [("numpy", "2.3.1", "2.4.0", Kind.NEW)]
    assert matrix_headline(matrix, changes) == (
        "New in numpy 2.4.0: x grows by 106 B per call; with numpy 2.3.1 it does not."
    )


def test_versions_are_compared_in_their_order_and_not_as_texts():
    runs = [a_run(a_leak("x"), "numpy==2.10.0"), a_run(a_component("x"), "numpy==2.9.0")]

    (change,) = find_changes(a_matrix(*runs))

    assert (change.before, change.after, change.kind) == ("2.9.0", "2.10.0", Kind.NEW)


def test_a_version_that_is_not_decided_is_passed_over_and_named():
    runs = [
        a_run(a_component("x"), "numpy==1"),
        a_run(a_component("x", **OPEN), "numpy==2"),
        a_run(a_leak("x"), "numpy==3"),
    ]
    matrix = a_matrix(*runs)

    (change,) = find_changes(matrix)

    assert (change.before, change.after, change.undecided) == ("1", "3", ("2",))
    assert "(2 cannot be judged)" in matrix_headline(matrix, [change])


def test_a_version_that_could_not_be_installed_is_no_change():
    never = a_failure("x", tracker=TrackerState(False, NEVER_RAN))

    assert find_changes(a_matrix(a_run(a_component("x"), "numpy==1"), a_run(never, "numpy==9"))) == []


def test_a_driver_that_fails_with_a_later_version_is_a_change():
    matrix = a_matrix(a_run(a_component("x"), "numpy==1"), a_run(a_failure("x"), "numpy==2"))

    assert matrix_headline(matrix, find_changes(matrix)) == "New in numpy 2: x fails; with numpy 1 it does not."


def test_what_is_gone_is_said_too():
    matrix = a_matrix(a_run(a_leak("x"), "numpy==1"), a_run(a_component("x"), "numpy==2"))

    assert matrix_headline(matrix, find_changes(matrix)) == "Gone in numpy 2: with numpy 1 x grew by 106 B per call."


def test_what_leaks_in_every_version_is_said_before_how_its_rate_differs():
    slower = a_leak("x", growth=growth(64.0, 63.9, 64.1, requested=53.0))
    matrix = a_matrix(a_run(a_leak("x"), "numpy==1"), a_run(slower, "numpy==2"))

    first, second = headline_sentences(matrix, find_changes(matrix))

    assert first.startswith("x is LEAK in both cells")
    assert second == "Better in numpy 2 than in numpy 1: x grows by 53 B per call, not 106 B per call."


def test_the_installed_version_counts_where_the_requirement_names_none():
    runs = [
        a_run(a_component("x"), "numpy<2", installed={"numpy": "1.26.4"}),
        a_run(a_leak("x"), "numpy", installed={"numpy": "2.4.0"}),
    ]

    (change,) = find_changes(a_matrix(*runs))

    assert (change.before, change.after) == ("1.26.4", "2.4.0")


def test_interpreters_are_compared_too_all_else_being_equal():
    runs = [
        a_run(a_component("x"), python="CPython 3.9.1", asked_python="python3.9"),
        a_run(a_leak("x"), python="CPython 3.13.0", asked_python="python3.13"),
    ]

    (change,) = find_changes(a_matrix(*runs))

    assert (change.axis, change.before, change.after) == ("Python", "3.9", "3.13")


def test_the_same_change_in_several_components_and_columns_is_said_once():
    runs = [
        a_run(result, f"numpy=={version}", python=f"CPython 3.{minor}.0", asked_python=f"python3.{minor}")
        for minor in (11, 12)
        for version, results in (
            (1, [a_component("x"), a_component("y")]),
            (2, [a_leak("x"), a_leak("y") if minor == 12 else a_component("y")]),
        )
        for result in results
    ]

    first = find_changes(a_matrix(*runs))[0]

    assert [change.component for change in first.changes] == ["x", "y"]
    assert [column.minor for column in first.columns] == ["CPython 3.11", "CPython 3.12"]


def test_hosts_that_disagree_come_first():
    runs = [
        a_run(a_leak("z"), "numpy==1"),
        a_run(a_leak("x"), "numpy==1", host=N1),
        a_run(a_component("x"), "numpy==1", host=N2),
    ]
    matrix = a_matrix(*runs)

    assert matrix_headline(matrix, find_changes(matrix)) == "Hosts disagree on x: LEAK on n1, CLEAN on n2."
    assert components_worst_first(matrix) == ["x", "z"]
    assert cells_not_clean(matrix)[0].is_disputed
    assert repeated_runs(matrix) == []


def test_a_disputed_cell_tells_nothing_of_versions():
    runs = [
        a_run(a_component("x"), "numpy==1"),
        a_run(a_leak("x"), "numpy==2", host=N1),
        a_run(a_component("x"), "numpy==2", host=N2),
    ]

    assert find_changes(a_matrix(*runs)) == []


def test_two_runs_of_one_cell_on_one_host_are_found():
    runs = [a_run(a_component("x"), "numpy==1", run=run) for run in ("first", "second")]

    ((cell, found),) = repeated_runs(a_matrix(*runs))

    assert (cell.component, [run.run for run in found]) == ("x", ["first", "second"])


def test_hosts_with_another_patch_of_the_interpreter_share_a_column():
    runs = [
        a_run(a_component("x"), asked_python="python3.12", python="CPython 3.12.4", host=N1),
        a_run(a_component("y"), asked_python="python3.12", python="CPython 3.12.7", host=N2),
    ]

    assert len(a_matrix(*runs).columns) == 1


def test_a_cell_whose_interpreter_was_not_there_stands_in_the_column_of_those_that_had_it():
    runs = [
        a_run(a_component("x"), asked_python="python3.12"),
        a_run(a_failure("y"), asked_python="python3.12", python=""),
    ]

    assert len(a_matrix(*runs).columns) == 1


def test_the_worst_cell_makes_the_exit_code():
    clean, leak, failed = a_run(a_component("x")), a_run(a_leak("y")), a_run(a_failure("z"))
    missing = (MissingCell("i", "w", "", (), "cancelled"),)

    codes = [
        matrix_exit_code(matrix)
        for matrix in (
            a_matrix(clean),
            a_matrix(clean, missing=missing),
            a_matrix(clean, leak, missing=missing),
            a_matrix(clean, leak, failed),
            a_matrix(clean, leak, failed, problems=("no run",)),
        )
    ]

    assert codes == [0, 3, 1, 4, 2]
