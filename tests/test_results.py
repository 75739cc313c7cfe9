"""Results as documents: what goes out as JSON comes back as it was."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soak.documents import from_document, to_document
from soak.results import ComponentResult, Controls, Failure, Parts, RunResult, SignalResult
from soak.verdict import Verdict

JSON_VALUES = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5))


def some(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for any record of ``kind``, NaN left out: JSON has none, and it does not equal itself."""
    st.register_type_strategy(float, st.floats(-1e30, 1e30))
    st.register_type_strategy(int, st.integers(-(2**64), 2**64))
    st.register_type_strategy(str, st.text(max_size=8))
    if kind is RunResult:
        return st.builds(RunResult, environment=JSON_VALUES, settings=JSON_VALUES)
    return st.from_type(kind)


@pytest.mark.parametrize("kind", [RunResult, ComponentResult, Controls, Parts, SignalResult])
@given(data=st.data())
@settings(max_examples=5, suppress_health_check=[HealthCheck.data_too_large])
def test_a_record_comes_back_from_its_document(kind: type[Any], data: st.DataObject):
    """Nested records, tuples, dictionaries, verdicts and what is None; through JSON text and back."""
    record = data.draw(some(kind))

    document = json.loads(json.dumps(to_document(record)))

    assert from_document(kind, document) == record


def test_a_later_versions_document_can_be_read():
    """Fields this version does not know are ignored, those it misses take their default: changes are additive only."""
    document = {"phase": "cycle", "cycle": 7, "reason": "hang", "detail": "d", "mood": "blue"}

    assert from_document(Failure, document) == Failure("cycle", 7, "hang", "d", stack=())


@pytest.mark.parametrize(
    ("document", "error"), [([], TypeError), (5, TypeError), ({}, TypeError), ({"phase": "cycle"}, TypeError)]
)
def test_what_is_no_such_record_is_refused(document: Any, error: type[Exception]):
    with pytest.raises(error):
        from_document(Failure, document)


def test_a_verdict_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="PERHAPS"):
        from_document(Verdict, "PERHAPS")


def test_the_documents_keys_are_the_contracts():
    """The names in DESIGN.md; more may be added, none may go."""
    component = {field.name for field in dataclasses.fields(ComponentResult)}
    run = {field.name for field in dataclasses.fields(RunResult)}

    assert run >= {
        *("schema", "run", "folder", "started", "finished", "soak", "environment", "settings"),
        *("controls", "parts", "components"),
    }
    assert component >= {
        *("name", "verdict", "grounds", "decided_by", "iterations", "seconds", "iterations_to_verdict"),
        *("seconds_to_verdict", "since", "needed_iterations", "n_min", "stopped_by", "growth", "signals", "causes"),
        *("tracemalloc", "tracker", "pacing", "failure", "messages"),
    }
