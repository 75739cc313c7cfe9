"""soak bisect on real releases of a small package, from a folder of wheels."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_builder import ROOT, Answer
from package_index import CLEAN, LEAK, install_only_from, make_sdist, make_wheel

from soak.__main__ import main

pytestmark = pytest.mark.integration

CASE = "import dripping\n\ndef cycle():\n    dripping.call()\n"
SMALL = ["--iterations", "2048", "--n-min", "256", "--checkpoint-every", "4"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a project beside an index: dripping 1.0 to 1.6 leaks from 1.5 on, 1.3 cannot be installed.

    The clean releases need helper 1.0, the others 2.0; dripping 2.0 has no wheel, dripping 3.0 is repaired.
    """
    folder = tmp_path_factory.mktemp("bisect")
    index = folder / "index"
    index.mkdir()
    for minor in range(7):
        leaks = minor >= 5
        requires = "missing" if minor == 3 else f"helper=={2 if leaks else 1}.0"
        make_wheel(index, "dripping", f"1.{minor}", LEAK if leaks else CLEAN, requires)
    make_wheel(index, "helper", "1.0", "")
    make_wheel(index, "helper", "2.0", "")
    make_sdist(index, "dripping", "2.0")
    make_wheel(index, "dripping", "3.0", CLEAN)
    (folder / "case.py").write_text(CASE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        install_only_from(index, patch)
        yield folder


def bisect(place: Path, good: str, bad: str, *options: str, target: str = "case.py:cycle") -> Answer:
    """Call the command in this process, which is faster than starting another."""
    arguments = ["Dripping", target, "--good", good, "--bad", bad, "--cache", str(place / "cache"), *SMALL, *options]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["bisect", *arguments])
    return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def found(place: Path) -> Answer:
    """Search the seven releases once."""
    return bisect(place, "1.0", "1.6", "--json", "found.json")


@pytest.fixture(scope="module")
def document(place: Path, found: Answer) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((place / "found.json").read_text(encoding="utf-8"))
    return loaded


def test_the_first_release_that_leaks_is_named(found: Answer):
    assert found.code == 0, found.err
    assert found.out.splitlines()[0] == "dripping 1.5 is the first release that leaks (1.4 does not)."


def test_releases_are_tried_from_the_ends_on_and_each_once(document: dict[str, Any]):
    """1.3 in the middle cannot be installed, and 1.1 need not be."""
    verdicts = {trial["release"]: trial["verdict"] for trial in document["trials"]}

    assert list(verdicts) == ["1.6", "1.0", "1.3", "1.2", "1.5", "1.4"]
    assert verdicts == {"1.6": "LEAK", "1.0": "CLEAN", "1.3": None, "1.2": "CLEAN", "1.5": "LEAK", "1.4": "CLEAN"}
    assert document["releases"] == [f"1.{minor}" for minor in range(7)]


def test_the_document_says_it_all(document: dict[str, Any]):
    assert (document["schema"], document["package"], document["outcome"]) == (1, "dripping", "found")
    assert (document["first_that"], document["first"], document["before"]) == ("leaks", "1.5", "1.4")
    leak = document["trials"][0]
    assert leak["growth"]["bytes_per_iteration"] > 100
    assert leak["causes"][0]["python_where"]["function"] == "call"
    assert leak["installed"] == {"dripping": "1.6", "helper": "2.0"}


def test_what_was_skipped_is_named_with_the_reason(found: Answer, document: dict[str, Any]):
    assert document["trials"][2]["reason"].startswith("could not be installed: ")
    assert "missing" in document["trials"][2]["reason"]
    assert "\n1.3 could not be installed: " in found.out


def test_other_packages_that_changed_are_named(found: Answer, document: dict[str, Any]):
    """The leak may be the other's."""
    assert document["moved_with_it"] == {"helper": ["1.0", "2.0"]}
    assert "changed as well: helper 1.0 → 2.0" in found.out


def test_each_release_is_reported_when_it_is_judged_and_its_run_is_kept(found: Answer, document: dict[str, Any]):
    assert "dripping 1.6 grows by" in found.err
    for trial in document["trials"]:
        if trial["verdict"]:
            report = json.loads(Path(trial["folder"], "report.json").read_text(encoding="utf-8"))
            assert report["components"][0]["verdict"] == trial["verdict"]
            assert report["settings"]["release"] == f"dripping=={trial['release']}"


def test_verdicts_are_kept(place: Path, found: Answer):
    """They are found under any spelling of the version."""
    answer = bisect(place, "1.4.0", "1.5.0", "--json", "-")

    assert answer.code == 0, answer.err
    assert [trial["found_earlier"] for trial in json.loads(answer.out)["trials"]] == [True, True]


@pytest.mark.long
def test_a_leak_that_was_fixed_is_found_too(place: Path, found: Answer):
    answer = bisect(place, "3.0", "1.6")

    assert (answer.code, answer.err.count("Traceback")) == (0, 0)
    assert answer.out.splitlines()[0] == "dripping 3.0 is the first release that no longer leaks (1.6 does)."


@pytest.mark.long
def test_a_release_between_that_cannot_be_judged_leaves_it_open(place: Path, found: Answer):
    make_wheel(place / "index", "dripping", "1.4.5", LEAK, "missing")
    try:
        answer = bisect(place, "1.4", "1.5")
    finally:
        (place / "index" / "dripping-1.4.5-py3-none-any.whl").unlink()

    assert answer.code == 3
    assert answer.out.splitlines()[0] == (
        "The first release of dripping that leaks comes after 1.4 and is 1.5 at the latest; 1.4.5 could not be judged."
    )


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("1.5", "1.6", "dripping 1.5, given as good, leaks: there is nothing to search for."),
        ("1.2", "1.4", "dripping 1.4, given as bad, does not leak: there is nothing to search for."),
        ("1.6", "1.5", "dripping 1.6, given as good, leaks: there is nothing to search for."),
        ("1.0", "1.3", "dripping 1.3, given as bad, cannot be judged: could not be installed: "),
    ],
)
def test_ends_that_contradict_the_user_are_named(place: Path, found: Answer, good: str, bad: str, said: str):
    answer = bisect(place, good, bad)

    assert answer.code == 2
    assert answer.out.startswith(said)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("1.0", "1.9", "there is no dripping 1.9 for CPython"),
        ("1.0", "2.0", "dripping 2.0 has no wheel for CPython"),
        ("1.0", "1.0", "--good and --bad are both 1.0"),
        ("newest", "1.0", "--good newest: this is not a version"),
    ],
)
def test_missing_releases_are_refused(place: Path, good: str, bad: str, said: str):
    answer = bisect(place, good, bad)

    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_index_that_cannot_be_reached_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")

    answer = bisect(place, "1.0", "1.6")

    assert answer.code == 2
    assert "the index could not be reached" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_checkout_that_would_be_measured_in_its_place_is_refused(place: Path, found: Answer):
    (place / "dripping.py").write_text(LEAK, encoding="utf-8")
    try:
        answer = bisect(place, "1.0", "1.6")
    finally:
        (place / "dripping.py").unlink()

    assert answer.code == 2
    assert "dripping.py comes first on the path" in answer.err


@pytest.mark.long
def test_a_driver_that_fails_is_no_verdict(place: Path):
    """1.0 has no such function: that is neither good nor bad."""
    (place / "absent.py").write_text("import dripping\n\ndef cycle():\n    dripping.absent()\n", encoding="utf-8")

    answer = bisect(place, "1.0", "1.4", target="absent.py:cycle")

    assert answer.code == 3
    assert answer.out.startswith("dripping 1.4, given as bad, cannot be judged: FAILED in cycle: ")
    assert "has no attribute 'absent'" in answer.out


@pytest.mark.long
def test_uv_installs_where_it_is_there_from_the_index_that_pip_is_configured_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = tmp_path / "told"
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {told}\necho "no wheel fits" >&2\nexit 1\n', encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    answer = bisect(place, "1.0", "3.0", "--with", "helper<2")

    assert answer.out.startswith("dripping 3.0, given as bad, cannot be judged: could not be installed: no wheel fits")
    words = told.read_text(encoding="utf-8").split()
    assert words[:3] == ["pip", "install", "--python"]
    assert words[-2:] == ["dripping==3.0", "helper<2"]
    assert words[words.index("--find-links") + 1] == str(place / "index")
    assert {"--no-index", "--only-binary"} <= set(words)


@pytest.mark.long
def test_ctrl_c_ends_it_in_order_and_keeps_what_was_judged(place: Path, found: Answer):
    """It is sent while the second end is measured; the first end already has its verdict."""
    (place / "slow.py").write_text(
        "import time, dripping\n\ndef cycle():\n    time.sleep(0.001)\n    dripping.call()\n", encoding="utf-8"
    )
    command = ["bisect", "dripping", "slow.py:cycle", "--good", "1.4", "--bad", "1.5", "--cache", str(place / "cache")]
    process = subprocess.Popen(
        [sys.executable, "-m", "soak", *command, "--iterations", "1000000", "--n-min", "1000000"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    runs = place / "reports"
    before = len(list(runs.iterdir()))
    while process.poll() is None and len(list(runs.iterdir())) == before:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert out.startswith("Stopped; still to be searched: dripping from 1.4 to 1.5.")
    assert "Traceback" not in err
