"""When a checkpoint may collect garbage, under each interpreter that this machine has."""

from __future__ import annotations

import subprocess

import pytest
from inside_builder import ROOT, VERSIONS, python_of

MAY_COLLECT = "from soak.inside.counting import counters; {} print(counters.soak_may_collect())"
BY_HARNESS = "import gc; counters.freeze_older_objects();"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("component", "may"),
    [
        ("", True),
        ("import gc; gc.freeze();", False),
        ("import gc; gc.disable();", False),
        (BY_HARNESS, True),
        (f"{BY_HARNESS} gc.freeze();", False),
        (f"{BY_HARNESS} gc.unfreeze();", True),
        (f"{BY_HARNESS} gc.disable();", False),
    ],
    ids=["as it starts", "frozen", "disabled", "by a harness", "frozen again", "unfrozen", "disabled beside a harness"],
)
def test_garbage_is_left_alone_only_where_the_component_holds_it_off(version: str, component: str, may: bool):
    """CPython 3.12 begins with some objects frozen, which nobody asked for."""
    answer = subprocess.run(
        [python_of(version), "-c", MAY_COLLECT.format(component)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert answer.stdout == f"{may}\n"


def test_what_a_harness_froze_is_not_counted_again_at_each_checkpoint():
    """Of pytest's objects that takes longer than a checkpoint."""
    count = f"{BY_HARNESS} gc.get_freeze_count = None;"
    answer = subprocess.run(
        [python_of("3.11"), "-c", MAY_COLLECT.format(count)], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert answer.stdout == "True\n"
