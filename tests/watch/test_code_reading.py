"""Code and symbols are read in another thread: who asks gets no answer until then, and never waits."""

from __future__ import annotations

from threading import Event
from typing import Any

from soak.running.scanning.code_reading import CodeReading


def test_who_asks_does_not_wait_for_the_answer():
    reading, may_go_on, read = CodeReading(), Event(), []

    def answer(number: int) -> int:
        may_go_on.wait(10)
        read.append(number)
        return number

    def ask(number: int) -> Any:
        return reading.ask(number, lambda: answer(number))

    assert [ask(1), ask(2), ask(1), reading.has_news()] == [[], [], [], False]
    may_go_on.set()
    reading.finish()

    assert [ask(1), ask(2), ask(2), read] == [[1], [2], [2], [1, 2]]
    assert [reading.has_news(), reading.has_news()] == [True, False]
