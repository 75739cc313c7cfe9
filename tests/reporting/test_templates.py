"""The templates: whatever a run says is text, what a template lacks is an error, and the wheel has them all."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from types import CodeType

import jinja2
import pytest
from builder import a_cause, a_failure, a_leak, a_run
from jinja2 import DictLoader, UndefinedError
from page_reader import Page

from soak.reporting.formats.html import render_html
from soak.reporting.kept_templates import KeptTemplates
from soak.reporting.templating import TEMPLATES, OwnMarkup, render
from soak.results import ChainNode, MemoryStep, Place

ROOT = Path(__file__).parents[2]
SCRIPT = "<script>alert('\"x\"')</script>"


def message(title: object = "a title", paragraph: object = "a paragraph") -> str:
    return render("message.html", title=title, paragraphs=[paragraph])


def texts_of(page: str) -> str:
    """Give all text of a page; a script in it is an error."""
    read = Page(page)
    assert "script" not in {tag for tag, _ in read.elements}
    return "".join(text for _, text in read.texts)


def test_the_name_of_a_component_is_text():
    """In the title, the headline, the overview and its own section."""
    page = render_html(a_run(a_leak(f"decode{SCRIPT}")), {})

    assert texts_of(page).count(f"decode{SCRIPT}") >= 2


def test_the_path_of_a_file_is_text():
    """In a stack, in the flame graph, in a place and in the way to who holds it: each of these is drawn otherwise."""
    path = f"/srv/{SCRIPT}/a.py"
    node = ChainNode("cache", "a dict", "dict", 64, Place("<module>", path, 7))
    cause = replace(
        a_cause(state="held", frames=(Place("decode", path, 7),), memory_path=(MemoryStep("static", path, path),)),
        where=Place("decode", path, 7),
        chain=(node, replace(node, name=f"['{SCRIPT}']")),
    )

    page = render_html(a_run(a_leak(causes=(cause,))), {})

    assert f"decode at {path}:7" in texts_of(page)
    assert f"['{SCRIPT}']" in texts_of(page)


def test_what_a_component_wrote_is_text():
    """Of a failure it stands on the page twice: its last lines, and folded all of it."""
    page = render_html(a_run(a_failure(output_tail=f"frame 1\n</pre>{SCRIPT}\x1b[31m\x00")), {})

    assert texts_of(page).count(f"</pre>{SCRIPT}\ufffd") == 2


def test_a_text_cannot_end_the_attribute_that_it_stands_in():
    page = render("index.html", title="t", entries=[])

    assert texts_of(page)
    assert 'aria-label="&#34;&gt;&lt;b&gt;"' in render(
        "flame.svg", title='"><b>', width=1.0, height=1.0, row_height=1.0, boxes=[]
    )


def test_only_own_markup_is_put_in_as_it_is():
    """Joining it with another text does not make that text markup."""
    assert "<p><i>x</i></p>" in message(paragraph=OwnMarkup("<i>x</i>"))
    assert "<p>&lt;i&gt;x&lt;/i&gt; y</p>" in message(paragraph=OwnMarkup("<i>x</i>") + " y")


def test_no_template_switches_escaping_off():
    texts = {file.name: file.read_text(encoding="utf-8") for file in TEMPLATES.iterdir()}

    assert len(texts) > 5
    assert [name for name, text in texts.items() if re.search(r"\|\s*safe|autoescape", text)] == []


def test_a_value_that_is_missing_is_an_error():
    """Otherwise the page would show an empty place, or the word None."""
    with pytest.raises(UndefinedError, match="paragraphs"):
        render("message.html", title="a title")
    with pytest.raises(TypeError, match="None"):
        message(title=None)


def test_every_template_is_packaged():
    """A template that is missing in the wheel would fail only after installation."""
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    here = TEMPLATES.relative_to(ROOT / "soak" / "reporting")

    names = [str(here / file.name) for file in TEMPLATES.iterdir()]

    assert [name for name in names if not any(fnmatch.fnmatch(name, glob) for glob in packaged["soak.reporting"])] == []
    assert {"templates/report.html", "templates/page.css", "templates/flame.svg"} <= set(names)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep templates in an empty folder, and return it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "soak" / "templates"


def compiled_for(text: str, made_with: bytes = b"") -> tuple[str, list[str]]:
    """Render a template in a new environment; return what it wrote, and the templates that it compiled for that."""
    compiled: list[str] = []

    class Environment(jinja2.Environment):
        def compile(self, source: str, name: str | None = None, *args: object, **more: object) -> CodeType:  # type: ignore[override]
            compiled.append(name or "")
            return super().compile(source, name, *args, **more)  # type: ignore[call-overload, no-any-return]

    environment = Environment(loader=DictLoader({"a.html": text}), bytecode_cache=KeptTemplates(made_with))
    return environment.get_template("a.html").render(x=7), compiled


def test_a_template_is_compiled_once(kept: Path):
    assert compiled_for("{{ x }}") == ("7", ["a.html"])
    assert compiled_for("{{ x }}") == ("7", [])
    assert len(list(kept.iterdir())) == 1


def test_a_kept_template_is_not_used_for_another_text_or_environment(kept: Path):
    compiled_for("{{ x }}")

    assert compiled_for("{{ x + 1 }}") == ("8", ["a.html"])
    assert compiled_for("{{ x + 1 }}", b"changed") == ("8", ["a.html"])


@pytest.mark.parametrize("length", [0, 5, 40, -1])
def test_a_damaged_template_is_compiled_again(kept: Path, length: int):
    compiled_for("{{ x }}")
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:length])

    assert compiled_for("{{ x }}") == ("7", ["a.html"])


def test_templates_are_rendered_where_nothing_can_be_kept(kept: Path):
    kept.parent.write_text("no folder", encoding="utf-8")

    assert compiled_for("{{ x }}") == ("7", ["a.html"])
