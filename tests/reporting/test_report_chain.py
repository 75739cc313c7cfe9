"""The drawing of who holds an object, and of a reference cycle."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from builder import a_cause, a_leak, a_run

from soak.reporting.figures.holder_chain import chain_figure
from soak.reporting.formats.html import render_html
from soak.results import ChainNode, Place

SVG = "{http://www.w3.org/2000/svg}"
WAY = (
    ChainNode("decoder.cache", "a dict of 600", "dict", 18_520, Place("<module>", "decoder/cache.py", 7)),
    ChainNode("[1449]", "a Frame", "Frame", 56, Place("decode", "decoder/cache.py", 42)),
    ChainNode(".pixels", "a bytes of 3: b'<&>'", "bytes", 36, None),
)
RING = (
    ChainNode("", "a Frame", "Frame", 56, Place("cycle", "a.py", 1)),
    ChainNode(".parent", "a Node", "Node", 56, None),
    ChainNode(".frame", "a Frame", "Frame", 56, Place("cycle", "a.py", 1)),
)


def drawn(nodes: tuple[ChainNode, ...], *, is_ring: bool = False) -> ET.Element:
    figure = chain_figure(nodes, "Who holds it", is_ring=is_ring)
    assert figure is not None
    return ET.fromstring(figure)


def texts(figure: ET.Element) -> list[str]:
    return [text.text or "" for text in figure.iter(f"{SVG}text")]


def test_each_object_has_its_type_its_size_its_line_and_its_name_in_what_holds_it():
    assert texts(drawn(WAY)) == [
        "decoder.cache, a dict of 600",
        "allocated at cache.py:7 in <module>",
        "18.09 KiB",
        "[1449]",
        "a Frame",
        "allocated at cache.py:42 in decode",
        "56 B",
        ".pixels",
        "a bytes of 3: b'<&>'",
        "36 B",
    ]


def test_a_ring_ends_with_an_arrow_back_to_where_it_began():
    figure = drawn(RING, is_ring=True)

    assert len(list(figure.iter(f"{SVG}rect"))) == 2
    assert texts(figure)[-1] == ".frame"
    assert len(list(figure.iter(f"{SVG}path"))) == 4


def test_an_object_that_refers_to_itself_is_drawn():
    figure = drawn((RING[0], replace(RING[0], name=".me")), is_ring=True)

    assert len(list(figure.iter(f"{SVG}rect"))) == 1
    assert texts(figure)[-1] == ".me"


def test_long_texts_are_cut_and_whole_on_hovering():
    long = replace(WAY[1], what="a Frame " + "x" * 300)
    figure = drawn((WAY[0], long))

    assert max(map(len, texts(figure))) < 100
    assert any("x" * 300 in (title.text or "") for title in figure.iter(f"{SVG}title"))


def test_nothing_is_drawn_of_less_than_two_objects():
    assert chain_figure((), "Who holds it") is None
    assert chain_figure(WAY[:1], "Who holds it") is None


def test_the_page_draws_a_way_once_though_two_causes_have_it():
    """Objects of one record are mostly held along one path; only the index differs."""
    longer = a_cause(state="held", chain=WAY)
    other = a_cause(state="held", chain=(WAY[0], replace(WAY[1], name="[3]")))
    elsewhere = a_cause(state="held", chain=(replace(WAY[0], name="decoder.log"), WAY[1]))

    page = render_html(a_run(a_leak(causes=(longer, other, elsewhere))), {})

    assert page.count("<title>Who holds it: ") == 2
    assert "b&#39;&lt;&amp;&gt;&#39;" in page


def test_the_page_draws_a_ring_with_its_line():
    page = render_html(a_run(a_leak(causes=(a_cause(kind="reference-cycle", ring=RING),))), {})

    assert "A reference cycle: Frame → .parent → Node → .frame → Frame" in page
