"""Where RSS went, for people: a sentence, a figure and a table that add up."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import pytest
from builder import a_component, a_leak, a_run

from soak.reporting.figures.audit_figure import audit_figure
from soak.reporting.formats.html import render_html
from soak.reporting.formats.markdown import render_markdown
from soak.reporting.words.audit import audit_rows, audit_sentence, growth_sentence
from soak.results import AuditPart, Place, RssAudit

MIB, KIB = 1 << 20, 1 << 10
CYCLES = (1000, 2000, 3000)
LEAKING: dict[tuple[str, str | Place], tuple[int, ...]] = {
    ("native-blocks", "native blocks in use"): (MIB, 3 * MIB, 5 * MIB),
    ("rounding", "rounded up by the allocators"): (KIB, 17 * KIB, 33 * KIB),
    ("malloc-free", "free in malloc's heap"): (2 * MIB, 2 * MIB, 3 * MIB // 2),
    ("mapping", "/opt/a<b>/lib/libx.so"): (0, MIB, MIB),
    ("mapping", "other mappings"): (MIB, MIB, MIB),
}


def an_audit(
    sizes: Mapping[tuple[str, str | Place], tuple[int, ...]] = LEAKING,
    unexplained: tuple[int, ...] = (0, 0, 0),
    *,
    fragmentation: bool = False,
) -> RssAudit:
    """Give an audit at cycles 1,000, 2,000 and 3,000 of parts by kind and name."""
    parts = tuple(
        AuditPart(
            kind, str(name), of[-1] - of[0], (of[-1] - of[0]) / 2000, of, name if isinstance(name, Place) else None
        )
        for (kind, name), of in sizes.items()
    )
    rss = tuple(sum(of[at] for of in sizes.values()) + unexplained[at] for at in range(3))
    change = rss[-1] - rss[0]
    return RssAudit(
        CYCLES[0], CYCLES[-1], change, change / 2000, parts, unexplained[-1] - unexplained[0], fragmentation,
        CYCLES, rss, unexplained,
    )  # fmt: skip


def words_of(figure: str) -> set[str]:
    return {"".join(text.itertext()).strip() for text in ET.fromstring(figure).iter("{http://www.w3.org/2000/svg}text")}


def test_the_sentence_names_what_grew_most_and_always_what_is_not_explained():
    """The largest change first, with its sign; the rest in one; the sum is exact."""
    assert audit_sentence(an_audit()) == (
        "RSS grew by 4.53 MiB from cycle 1,000 to 3,000 (2,376 B per call): 4 MiB native blocks in use, "
        "1 MiB mapped: libx.so, -512 KiB free in malloc's heap, 32 KiB other parts; unexplained 0 B."
    )
    assert "unexplained 1 MiB." in audit_sentence(an_audit(unexplained=(0, 0, MIB)))


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({("stacks", "stacks"): (9, 9, 9)}, "RSS did not change from cycle 1,000 to 3,000; unexplained 0 B."),
        (
            {("stacks", "stacks"): (0, 0, 4 * KIB)},
            "RSS grew by 4 KiB from cycle 1,000 to 3,000: 4 KiB stacks; unexplained 0 B.",
        ),
        (
            {("stacks", "stacks"): (8 * KIB, 0, 0)},
            "RSS shrank by 8 KiB from cycle 1,000 to 3,000: -8 KiB stacks; unexplained 0 B.",
        ),
    ],
)
def test_little_change_is_one_short_line(sizes: dict[tuple[str, str], tuple[int, ...]], sentence: str):
    """Without a rate, a figure, or a word in the terminal."""
    audit = an_audit(sizes)

    assert audit_sentence(audit) == sentence
    assert (audit_figure(audit), growth_sentence(audit)) == (None, None)


def test_fragmentation_is_called_so():
    audit = an_audit({("malloc-free", "free in malloc's heap"): (0, MIB, 2 * MIB)}, fragmentation=True)

    assert audit_sentence(audit).endswith("Memory in use does not grow: this is fragmentation.")


def test_the_figure_names_each_band_with_its_growth_and_rate():
    """The names are beside the bands, so there is no legend; parts that hardly changed are left out."""
    figure = audit_figure(an_audit(unexplained=(0, MIB // 2, MIB)))

    assert figure is not None
    words = words_of(figure)
    assert {
        "where RSS went, change since cycle 1,000",
        "RSS",
        "native blocks in use",
        "+4 MiB, +2,097 B/cycle",
        "mapped: libx.so",
        "unexplained",
        "+1 MiB, +524 B/cycle",
        "-512 KiB, -262 B/cycle",
    } <= words
    assert "rounded up by the allocators" not in words


def test_the_figure_uses_no_colour_but_by_class():
    """Otherwise it could not follow the reader's dark setting."""
    figure = audit_figure(an_audit(unexplained=(0, MIB // 2, MIB)), prefix="a3")

    assert figure is not None
    assert re.findall(r"#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", figure)) == []
    ids = re.findall(r' id="([^"]*)"', figure)
    assert ids
    assert all(name.startswith("a3-") for name in ids)


@pytest.mark.parametrize("bands", range(1, 5))
def test_no_two_labels_lie_over_each_other(bands: int):
    """However thin the bands: two lines of text each."""
    kinds = ("native-blocks", "python-blocks", "stacks", "malloc-free")
    sizes = {(kind, kind): (0, MIB, 2 * MIB if at else 40 * MIB) for at, kind in enumerate(kinds[:bands])}

    figure = audit_figure(an_audit(sizes, (0, 0, 2 * MIB)))

    assert figure is not None
    heights = sorted(
        float(match)
        for match in re.findall(r'<text[^>]*y="([\d.]+)"[^>]*>(?:RSS|unexplained|[a-z]+-[a-z]+|stacks)<', figure)
    )
    assert len(heights) == bands + 2
    assert all(later - earlier > 20 for earlier, later in itertools.pairwise(heights))


def test_the_table_adds_up_to_rss():
    """What did not change is left out, what is not explained never is."""
    rows = audit_rows(an_audit(unexplained=(0, 0, 4 * KIB)))

    assert [row[0] for row in rows][-2:] == ["unexplained", "RSS"]
    assert "other mappings" not in [row[0] for row in rows]
    assert rows[0] == ("native blocks in use", "5 MiB", "+4 MiB", "2,097", "88.2 %")
    assert sum(float(row[4].removesuffix(" %")) for row in rows[:-1]) == pytest.approx(100, abs=0.3)


def test_the_page_shows_figure_and_table_where_rss_grew_and_a_line_where_it_did_not():
    """What comes from the run is escaped."""
    leak, clean = a_leak(audit=an_audit()), a_component("calm", audit=an_audit({("stacks", "stacks"): (9, 9, 9)}))
    figure = audit_figure(an_audit())
    assert figure is not None

    page = render_html(a_run(leak, clean), {}, None, {leak.name: figure})

    assert page.count("Where RSS went") == 1
    assert "/opt/a&lt;b&gt;/lib/libx.so" in page
    assert '<p class="note">RSS did not change from cycle 1,000 to 3,000; unexplained 0 B.</p>' in page


def test_markdown_says_it_of_what_is_not_clean():
    assert "RSS grew by 4.53 MiB" in render_markdown(a_run(a_leak(audit=an_audit())))
    assert "RSS grew" not in render_markdown(a_run(a_component(audit=an_audit())))


def test_the_table_sums_up_what_hardly_changed_and_still_adds_up():
    """Two parts of less than a two-thousandth are one row; calls are named without their folders."""
    mmap = Place("new_mmap_object", "/build/Python-3.11.7/Modules/mmapmodule.c", 1365, "/lib/mmap.so")
    sizes = {
        ("native-blocks", "native blocks in use"): (0, MIB, 2 * MIB),
        ("mapping", mmap): (0, 0, MIB),
        ("malloc-free", "free in malloc's heap"): (600, 600, 100),
        ("stacks", "stacks"): (0, 0, 64),
    }

    rows = audit_rows(an_audit(sizes))

    assert [row[0] for row in rows] == [
        "native blocks in use", "new_mmap_object at Modules/mmapmodule.c:1365 in mmap.so", "other parts",
        "unexplained", "RSS",
    ]  # fmt: skip
    assert rows[2][1:] == ("164 B", "-436 B", "-0.218", "0.0 %")
    assert "1 MiB mapped: new_mmap_object at mmapmodule.c:1365 in mmap.so" in audit_sentence(an_audit(sizes))


def test_a_figure_that_is_a_document_of_its_own_has_its_paper():
    """A browser shows it on white, whatever the setting; inside a page it has the page's background."""
    figure = audit_figure(an_audit()) or ""

    assert ".soak-figure:root{background:#ffffff}" in figure
    assert "(prefers-color-scheme:dark){.soak-figure:root{background:#14181c}" in figure
