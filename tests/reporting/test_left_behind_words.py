"""What is left behind, in words: what it is, where it was created, the newest, and what is not looked at."""

from __future__ import annotations

import dataclasses
import html
import json

from builder import a_cause, a_component, a_run, growth, signal

from soak.grounds import Ground, GroundKind, Streak
from soak.reporting.formats.html import render_html
from soak.reporting.formats.json_report import render_json
from soak.reporting.formats.markdown import render_markdown
from soak.reporting.words import (
    cause_sentence,
    explain,
    growth_words,
    limits_sentence,
    lookalike_sentence,
    why_sentence,
    why_words,
)
from soak.results import AuditPart, Opened, Place, RssAudit
from soak.verdict import Verdict

LEFT = a_cause(
    kind="left-behind",
    state="unknown",
    bytes_per_iteration=None,
    where=None,
    python_where=Place("cycle", "/srv/app.py", 4),
    count_per_iteration=1.0,
    opened=(Opened("shared-memory segment", "/dev/shm/psm_*", 151),),
    newest="/dev/shm/psm_ab12",
)
ORIGIN_OF_LEFT = "created at app.py:4; the newest is /dev/shm/psm_ab12."


def test_what_is_left_behind_is_told_by_what_it_is_where_it_is_made_and_the_newest():
    each = Ground(GroundKind.COUNT_EVERY_CYCLE, ("left_behind",), streak=Streak(0, 151, 151, 0.0, 151.0))
    steady = Ground(GroundKind.STEADY_COUNT, ("left_behind",))
    seldom = {"left_behind": signal("left_behind", 0.1, 0.1, 0.1, verdict=Verdict.LEAK)}

    leak = a_component(verdict=Verdict.LEAK, grounds=(each,), causes=(LEFT,))
    rare = a_component(verdict=Verdict.LEAK, grounds=(steady,), causes=(LEFT,), signals=seldom, n_min=131_072)

    assert why_words(leak) == (
        f"Left behind: 1 shared-memory segment in each of 151 calls, {ORIGIN_OF_LEFT} "
        "A pool of more than 151 would look the same."
    )
    assert why_sentence(rare) == f"Left behind: 1 shared-memory segment every 10 calls, {ORIGIN_OF_LEFT}"
    assert lookalike_sentence(rare) == "A pool that takes more than about 614 calls to fill would look the same."


def test_things_of_several_types_and_places_are_told_together():
    other = dataclasses.replace(LEFT, opened=(Opened("lock file", "/srv/a.lock", 151),), newest="/srv/a.lock")
    each = Ground(GroundKind.UNDECIDED, ("left_behind",), streak=Streak(0, 15, 15, 0.0, 30.0))

    told = why_sentence(a_component(verdict=Verdict.INCONCLUSIVE, grounds=(each,), causes=(LEFT, other)))

    assert told == (
        "Left behind: 2 resources in each of 15 calls so far, created at app.py:4 and at 1 more place; "
        "the newest is /dev/shm/psm_ab12."
    )


def test_what_is_not_looked_at_is_told():
    looked = a_component(signals={"left_behind": signal("left_behind", 0.0, 0.0, 0.0)})

    assert limits_sentence(looked).startswith(
        "Not checked: resources that are created by programs that it starts, files"
    )
    assert limits_sentence(a_component()) == (
        "Not checked: files, shared memory and other resources that are left behind outside the process."
    )


def test_memory_of_an_allocator_of_a_librarys_own_is_told_as_not_counted():
    def told(module: str) -> str:
        made_by = Place("pages_map", None, None, module)
        part = AuditPart("mapping", str(made_by), 4096, 4.0, (2 << 20, (2 << 20) + 4096), made_by)
        audit = RssAudit(1000, 2000, 4096, 4.0, (part,), 0, False, (1000, 2000), (8 << 20, 8 << 20), (0, 0))
        return limits_sentence(a_component(audit=audit))

    assert told("/venv/lib/polars.so").endswith(
        "Memory that pages_map in polars.so maps was read as pages (2 MiB), not block by block."
    )
    assert "pages" not in told("/usr/lib/libpython3.11.so.1.0")  # Python's arenas, whose blocks are counted


def test_the_cause_names_the_things_and_says_what_to_do():
    assert cause_sentence(LEFT) == (
        "Left behind outside the process, 1 per call, created in cycle (app.py:4): "
        "151 × shared-memory segment /dev/shm/psm_*."
    )
    assert explain(LEFT).endswith(
        "Remove what app.py:4 creates, on the error paths too: close and unlink it, in a with statement or a finally."
    )


def test_it_stands_in_every_report_with_what_was_not_looked_at():
    steady = Ground(GroundKind.STEADY_COUNT, ("left_behind",))
    grown = {"left_behind": signal("left_behind", 1.0, 1.0, 1.0, verdict=Verdict.LEAK)}
    leak = a_component(
        verdict=Verdict.LEAK,
        grounds=(steady,),
        causes=(LEFT,),
        signals=grown,
        growth=growth(1.0, 1.0, 1.0, signal="left_behind"),
    )
    told = "Left behind: 1 shared-memory segment per call, created at app.py:4; the newest is /dev/shm/psm_ab12."

    (component,) = json.loads(render_json(a_run(leak)))["components"]
    page = html.unescape(render_html(a_run(leak), {}))

    assert component["why"].startswith(told)
    assert (component["limits"], component["causes"][0]["newest"]) == (limits_sentence(leak), "/dev/shm/psm_ab12")
    assert told in page
    assert limits_sentence(leak) in page
    assert "1 resources/cycle" in page
    assert told in render_markdown(a_run(leak)).replace("\\", "")
    assert growth_words(leak.growth) == "grows by 1 resource left behind per call"
