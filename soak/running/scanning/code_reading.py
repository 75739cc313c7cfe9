"""Read code and symbols of a watched program in another thread: that takes seconds, and readings must go on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar

from soak.running.background import Background

_Answer = TypeVar("_Answer")
_Questions = dict[Hashable, Callable[[], object]]


class CodeReading:
    """Answers questions about code, one after the other, so that what reads it needs no lock."""

    def __init__(self, *, at_once: bool = False) -> None:
        """Begin with no question. ``at_once``: answer in the thread that asks."""
        self._at_once = at_once
        self._answers: dict[Hashable, object] = {}
        self._open: _Questions = {}
        self._being_read: _Questions = {}
        self._reading: Background[dict[Hashable, object]] | None = None
        self._has_news = False

    def ask(self, question: Hashable, read: Callable[[], _Answer]) -> list[_Answer]:
        """Return the answer, which is what ``read`` returns, as a list; an empty one while it is not known yet."""
        self._go_on()
        if self._at_once and question not in self._answers:
            self._answers[question] = read()
        if question not in self._answers:
            if question not in self._being_read:
                self._open[question] = read
            self._go_on()
            return []
        answer: _Answer = self._answers[question]  # type: ignore[assignment]  # the question tells its type
        return [answer]

    def has_news(self) -> bool:
        """Return whether there are more answers than at the last call."""
        self._go_on()
        has_news, self._has_news = self._has_news, False
        return has_news

    def finish(self) -> None:
        """Wait for the answers that are being read; from here on answer at once."""
        if self._reading is not None:
            self._reading.is_over(None)
        self._open.clear()
        self._go_on()
        self._at_once = True

    def _go_on(self) -> None:
        """Take what was read, and begin to read the answers to all open questions."""
        if self._reading is not None and self._reading.is_over():
            self._answers.update(self._reading.result())
            self._reading, self._being_read, self._has_news = None, {}, True
        if self._reading is None and self._open:
            self._being_read, self._open = self._open, {}
            self._reading = Background(partial(_answered, self._being_read))


def _answered(questions: _Questions) -> dict[Hashable, object]:
    return {question: read() for question, read in questions.items()}
