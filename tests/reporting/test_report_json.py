"""``report.json`` against its contract."""

from __future__ import annotations

import json
from dataclasses import replace

from builder import a_cause, a_component, a_failure, a_leak, a_run, growth, parts

from soak.documents import from_document
from soak.reporting.formats.json_report import render_json
from soak.reporting.words import advise, held_by
from soak.results import ChainNode, Garbage, Place, RunResult

RUN_KEYS = {
    "schema", "run", "folder", "started", "finished", "soak", "environment", "settings", "controls", "parts",
    "components",
}  # fmt: skip
COMPONENT_KEYS = {
    "name", "verdict", "why", "decided_by", "iterations", "seconds", "iterations_to_verdict", "seconds_to_verdict",
    "since", "needed_iterations", "n_min", "stopped_by", "growth", "signals", "causes", "tracemalloc", "tracker",
    "pacing", "failure", "messages",
}  # fmt: skip
GROWTH_KEYS = {
    "signal", "measures", "bytes_per_iteration", "low", "high", "requested_bytes_per_iteration",
    "allocated_bytes_per_iteration",
}  # fmt: skip
CAUSE_KEYS = {
    "kind", "confirmed", "state", "fingerprint", "bytes_per_iteration", "blocks_per_iteration", "requested_size",
    "every", "since", "where", "python_where", "stack", "held_by", "type", "advice",
}  # fmt: skip
SPIKE_KEYS = {"ok", "planted_requested", "planted_allocated", "recovered_requested", "recovered_allocated"}


def test_the_document_has_every_key_of_the_contract():
    """Keys may be added, but not removed."""
    document = json.loads(render_json(a_run(a_leak(), a_failure(), parts=parts())))
    leak, failed = document["components"]

    assert document.keys() >= RUN_KEYS
    assert leak.keys() >= COMPONENT_KEYS
    assert leak["growth"].keys() >= GROWTH_KEYS
    assert leak["causes"][0].keys() >= CAUSE_KEYS
    assert leak["causes"][0]["where"].keys() >= {"function", "file", "line", "module", "package"}
    assert leak["signals"]["heap"].keys() >= {"unit", "per_iteration", "low", "high", "verdict", "role"}
    assert leak["tracemalloc"].keys() >= {"frames", "iterations", "top"}
    assert leak["tracker"].keys() >= {"active", "reason", "covers"}
    assert leak["pacing"].keys() >= {"interval_s", "mean_period_s", "missed_deadlines", "worst_lag_s"}
    assert failed["failure"].keys() >= {"phase", "cycle", "reason", "detail", "stack"}
    assert document["controls"]["blank"].keys() >= {"ok", "limit_of_detection_bytes"}
    assert document["controls"]["spike"].keys() >= SPIKE_KEYS
    assert document["parts"].keys() >= {"sum", "full_cycle", "unexplained", "low", "high"}


def test_a_cause_has_its_stack_in_words_beside_its_frames():
    """Readers of the contract get lines of text; other programs get the frames."""
    (cause,) = json.loads(render_json(a_run(a_leak())))["components"][0]["causes"]

    assert cause["stack"] == [
        "malloc in libc.so.6", "PyArray_NewFromDescr in _multiarray_umath.so", "to_numpy at decoder/conversion.py:42"
    ]  # fmt: skip
    assert cause["frames"][2] == {
        "function": "to_numpy", "file": "decoder/conversion.py", "line": 42, "module": None, "package": None
    }  # fmt: skip


def test_a_cause_has_its_holders_and_its_advice_in_words():
    """So has each object on the way the line that allocated it."""
    kept = ChainNode("app.kept", "a list of 9", "list", 136, None)
    item = ChainNode("[3]", "a Frame", "Frame", 56, Place("work", "/app/app.py", 14))
    held = a_cause(kind="python-object", state="held", chain=(kept, item))
    ring = Garbage(64, 64, 128, {"Frame": 64}, (item, item))

    component = json.loads(render_json(a_run(a_leak(causes=(held,), garbage=ring))))["components"][0]

    (cause,) = component["causes"]
    assert cause["held_by"] == ["app.kept, a list of 9, 136 B", "app.kept[3], a Frame, 56 B"]
    assert cause["advice"].startswith("They are held by app.kept, a list of 9 (136 B): ")
    assert [node["allocated_at"] for node in cause["chain"]] == [None, "/app/app.py:14 in work"]
    assert component["garbage"]["ring"][0]["allocated_at"] == "/app/app.py:14 in work"


def test_a_document_of_an_earlier_version_shows_as_it_was_written_what_was_text():
    """It has no frames and no steps of memory. Nothing is taken apart; advice is given anew."""
    before = json.loads(render_json(a_run(a_leak())))
    cause = before["components"][0]["causes"][0]
    for name in ("frames", "memory_path", "unseen", "unseen_detail", "is_free_memory"):
        del cause[name]
    cause.update(state="held", held_by=["kept, a static variable of keeper.so"])
    cause["ring"] = [{"name": "", "what": "a Frame", "type": "Frame", "size_bytes": 56, "allocated_at": "a.py:1 in f"}]

    (read,) = from_document(RunResult, before).components[0].causes

    assert [str(frame) for frame in read.frames] == cause["stack"]
    assert not any(frame.is_python for frame in read.frames)
    assert str(read.ring[0].allocated_at) == "a.py:1 in f"
    assert held_by(replace(read, ring=())) == ("kept, a static variable of keeper.so",)
    assert advise(replace(read, ring=())).startswith("They are held by kept, a static variable of keeper.so: ")


def test_verdicts_are_plain_words():
    """As the contract writes them."""
    document = json.loads(render_json(a_run(a_leak(), a_component())))

    assert [component["verdict"] for component in document["components"]] == ["LEAK", "CLEAN"]


def test_the_document_reads_back_as_the_same_run():
    """What is exported is what was found."""
    run = a_run(a_leak(), a_failure(), a_component(), parts=parts())

    assert from_document(RunResult, json.loads(render_json(run))) == run


def test_what_is_not_a_finite_number_is_null():
    """JSON knows neither NaN nor infinity, and readers stop at them."""
    run = a_run(
        a_leak(growth=growth(float("nan"), float("-inf"), float("inf"))), environment={"load": (float("nan"), 1.5)}
    )

    document = json.loads(render_json(run), parse_constant=lambda word: f"not JSON: {word}")

    assert document["environment"]["load"] == [None, 1.5]
    assert document["components"][0]["growth"]["bytes_per_iteration"] is None
    assert document["components"][0]["growth"]["high"] is None


def test_bytes_that_are_no_text_stay_valid_json():
    """A path with a stray byte comes out escaped."""
    text = render_json(a_run(folder="reports/\udcff"))

    assert text.isascii()
    assert json.loads(text)["folder"] == "reports/\udcff"
