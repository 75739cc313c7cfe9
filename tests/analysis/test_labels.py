"""What the cycles of each label keep, from the marks at which live blocks were born."""

from __future__ import annotations

import numpy as np

from soak.analysis.sites.labels import OTHERS, LabelledBlocks, growth_by_label

RING = 1 << 16
NAMES = ("", "GET /report", "GET /ok", "GET /seldom")


def labelled(newest: int, every: int = 3, born: int = 1, first: int = 0, names: tuple[str, ...] = NAMES):
    """Mark n is one of a report where n is a multiple of ``every``, else OK; each report keeps ``born`` blocks."""
    of_mark = np.zeros(RING, np.uint16)
    for mark in range(max(newest - RING + 1, 1), newest + 1):
        of_mark[mark % RING] = 1 if mark % every == 0 else 2
    births = np.repeat(np.arange(every, newest + 1, every), born) % (1 << 24)
    return growth_by_label([blocks(births, 100, of_mark, newest, first, names)])


def blocks(births, size: int, of_mark, newest: int, first: int = 0, names: tuple[str, ...] = NAMES) -> LabelledBlocks:
    return LabelledBlocks(names, of_mark, births, np.full(len(births), size, np.uint64), newest, first)


def test_what_a_label_keeps_is_counted_exactly():
    report, fine = labelled(3000, born=2)

    assert (report.label, report.bytes_per_iteration, report.blocks_per_iteration) == ("GET /report", 200, 2)
    assert (fine.label, fine.bytes_per_iteration) == ("GET /ok", 0)
    assert report.cycles + fine.cycles == 3000 - 16


def test_the_newest_cycles_are_left_out_because_they_may_be_at_work():
    assert labelled(3000)[0].cycles == (3000 - 16) // 3


def test_marks_before_judging_began_are_left_out():
    assert labelled(3000, first=1500)[0].cycles == (3000 - 16) // 3 - 500


def test_of_many_marks_the_latest_are_looked_at():
    report, _ = labelled(200_000)

    assert (report.bytes_per_iteration, report.cycles) == (100, (RING - 32) // 3 + 1)


def test_births_are_told_where_the_number_of_marks_has_wrapped_around():
    report, _ = labelled((1 << 24) + 5000, every=3)

    assert report.bytes_per_iteration == 100


def test_labels_that_came_seldom_are_told_together():
    of_mark = np.full(RING, 2, np.uint16)
    of_mark[100:105] = 3
    found = growth_by_label([blocks(np.array([101]), 500, of_mark, 1000)])

    assert [(label.label, label.cycles, label.bytes_per_iteration) for label in found] == [
        (OTHERS, 5, 100.0),
        ("GET /ok", 1000 - 16 - 5, 0.0),
    ]


def test_without_labels_nothing_is_told():
    assert labelled(3000, names=()) == ()


def test_the_labels_of_several_processes_are_told_together():
    """Each process numbers its labels and its marks itself."""
    first, second = np.full(RING, 1, np.uint16), np.full(RING, 2, np.uint16)
    found = growth_by_label(
        [
            blocks(np.arange(100, 200), 1000, first, 416, names=("", "GET /report", "GET /ok")),
            blocks(np.arange(1, 101), 1000, second, 216, names=("", "GET /ok", "GET /report")),
            blocks(np.zeros(0, np.int64), 1000, first, 316, names=("", "GET /ok")),
        ]
    )

    assert [(label.label, label.cycles, label.blocks_per_iteration) for label in found] == [
        ("GET /report", 600, 200 / 600),
        ("GET /ok", 300, 0.0),
    ]


def test_a_label_that_is_seldom_in_each_process_is_told_by_itself_where_it_is_not_in_all_together():
    of_mark = np.full(RING, 2, np.uint16)
    of_mark[100:105] = 3
    found = growth_by_label([blocks(np.array([101]), 500, of_mark, 1000), blocks(np.array([101]), 500, of_mark, 1000)])

    assert [(label.label, label.cycles) for label in found] == [("GET /seldom", 10), ("GET /ok", 2 * (1000 - 16 - 5))]
