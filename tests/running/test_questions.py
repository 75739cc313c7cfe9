"""What the parent asks about objects: until the child looks for questions, and never in the place of its answer."""

from __future__ import annotations

from soak.running.child.child_ring import ScriptedRing


def test_what_is_asked_after_the_child_has_looked_for_questions_does_not_replace_its_answer():
    """The scan of a copy of the process may be over long after the cycles are."""
    shared = ScriptedRing()
    shared.begin_loop(0.0)

    shared.ask_about_objects(b"in the cycles")
    shared.end_loop(1.0)
    shared.ask_about_objects(b"while the child waits for the list of what is open")
    shared.release_from_list()
    shared.ask_about_objects(b"too late")

    assert shared.read_text() == b"while the child waits for the list of what is open"
