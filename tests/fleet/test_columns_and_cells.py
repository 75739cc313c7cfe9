"""Which cells a request has, and what makes two cells the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from soak.errors import UsageError
from soak.matrix.cells import Fleet, Share, fleet_from_document, fleet_to_document
from soak.matrix.columns import Column, make_columns, with_titles
from soak.request import Request
from soak.settings import make_plan

WHOLE = Share()


def a_fleet(folder: Path, columns: tuple[Column, ...], share: Share = WHOLE, **request: object) -> Fleet:
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        (folder / f"drive_{name}.py").write_text("def cycle(state): pass\n", encoding="utf-8")
    plan = make_plan(Request(targets=(".",), **request), folder)  # type: ignore[arg-type]
    return Fleet(plan, columns, {}, "soak matrix", str(folder), share=share)


def test_versions_of_one_package_are_choices_and_those_of_several_are_combined():
    columns = make_columns(["a", "b"], ["numpy==1", "scipy==1", "NumPy==2"])

    assert [(column.python, column.requirements) for column in columns] == [
        ("a", ("numpy==1", "scipy==1")),
        ("a", ("NumPy==2", "scipy==1")),
        ("b", ("numpy==1", "scipy==1")),
        ("b", ("NumPy==2", "scipy==1")),
    ]


def test_without_versions_the_interpreters_are_used_as_they_are():
    assert make_columns([], []) == (Column(None, ()),)
    assert make_columns(["a"], []) == (Column("a", ()),)


@pytest.mark.parametrize(
    ("pythons", "requirements", "message"),
    [
        (["a", "a"], [], "--python a is given twice"),
        ([], ["numpy==1", "numpy==1"], "--with numpy==1 is given twice"),
        ([], ["numpy=1"], "--with 'numpy=1' is not a requirement such as numpy==2.4.0"),
    ],
)
def test_what_is_wrong_with_a_column_is_named(pythons: list[str], requirements: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        make_columns(pythons, requirements)


def test_a_cell_has_the_same_id_wherever_the_checkout_lies(tmp_path: Path):
    columns = make_columns(["a", "b"], ["numpy==1"])

    here, there = a_fleet(tmp_path / "here", columns), a_fleet(tmp_path / "there", columns)

    assert [cell.id for cell in here.cells] == [cell.id for cell in there.cells]
    assert len({cell.id for cell in here.cells}) == 4


def test_a_cell_has_another_id_when_something_that_is_measured_differs(tmp_path: Path):
    columns = make_columns(["a"], ["numpy==1"])
    plain = a_fleet(tmp_path / "a", columns).cells[0]

    others = [
        a_fleet(tmp_path / "a", make_columns(["b"], ["numpy==1"])).cells[0],
        a_fleet(tmp_path / "a", make_columns(["a"], ["numpy==2"])).cells[0],
        a_fleet(tmp_path / "a", columns, iterations=7).cells[0],
        a_fleet(tmp_path / "a", columns, driver_settings={"one": {"size": 3}}).cells[0],
    ]

    assert len({plain.id, *(cell.id for cell in others)}) == 5
    assert a_fleet(tmp_path / "a", columns, out=Path("elsewhere")).cells[0].id == plain.id


def test_the_shares_together_have_each_cell_once(tmp_path: Path):
    columns = make_columns(["a", "b", "c"], [])

    shares = [a_fleet(tmp_path, columns, Share(number, 4)).cells for number in range(1, 5)]

    assert sorted(cell.id for share in shares for cell in share) == sorted(
        cell.id for cell in a_fleet(tmp_path, columns).cells
    )
    assert [len(share) for share in shares] == [2, 2, 1, 1]
    assert a_fleet(tmp_path, columns, Share(7, 7)).cells == []


def test_the_ids_are_those_of_the_interpreter_that_made_the_fleet_whoever_reads_it(tmp_path: Path):
    """As of a CI matrix whose report is made under another version."""
    fleet = a_fleet(tmp_path, (Column(),))
    made = [dataclasses.replace(fleet, own_python=f"cpython 3.{minor}") for minor in (8, 13)]

    read = [fleet_from_document(fleet_to_document(each)) for each in made]

    assert [each.cells for each in read] == [each.cells for each in made]
    assert read[0].cells[0].id != read[1].cells[0].id


def test_a_fleet_that_was_written_down_is_read_again(tmp_path: Path):
    fleet = a_fleet(tmp_path, make_columns(["a"], ["numpy==1"]), Share(1, 2))

    assert fleet_from_document(fleet_to_document(fleet)).cells == fleet.cells


def test_a_cell_is_named_by_what_its_column_differs_in(tmp_path: Path):
    columns = make_columns(["/opt/311/bin/python", "python3.12"], ["numpy==2.3.1", "numpy>=2.4", "simplejpeg"])
    versions = {"/opt/311/bin/python": "3.11.7", "python3.12": "3.12.4"}

    titles = [cell.title for cell in a_fleet(tmp_path, with_titles(columns, versions)).cells[:4]]

    assert titles == [
        "one with Python 3.11, numpy 2.3.1",
        "one with Python 3.11, numpy >=2.4",
        "one with Python 3.12, numpy 2.3.1",
        "one with Python 3.12, numpy >=2.4",
    ]


def test_the_only_column_needs_no_name(tmp_path: Path):
    columns = with_titles(make_columns(["python3.12"], ["numpy==2.4.0"]), {"python3.12": "3.12.4"})

    assert [cell.title for cell in a_fleet(tmp_path, columns).cells] == ["one", "two"]


def test_interpreters_of_one_version_are_told_apart(tmp_path: Path):
    """By the whole version where that suffices, else as the user names them; so is one that is not here."""
    columns = make_columns(["a", "b", "c", "gone"], [])
    versions = {"a": "3.12.1", "b": "3.12.4", "c": "3.12.4"}

    assert [column.title for column in with_titles(columns, versions)] == [
        "Python 3.12.1",
        "Python 3.12.4 (b)",
        "Python 3.12.4 (c)",
        "gone",
    ]


def test_a_title_does_not_change_what_a_cell_is(tmp_path: Path):
    columns = make_columns(["a", "b"], [])

    plain, named = (a_fleet(tmp_path, each).cells for each in (columns, with_titles(columns, {"a": "3.12.1"})))

    assert [cell.id for cell in plain] == [cell.id for cell in named]
