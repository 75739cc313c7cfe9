"""What is asked of a search among releases, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from soak.results import ComponentResult

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True)
class Package:
    """A package as it is installed: its name in the index's spelling, and the extras asked for."""

    name: str
    extras: tuple[str, ...] = ()

    def at(self, release: str) -> str:
        """Return the requirement of exactly this release."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}=={release}"


class Outcome(StrEnum):
    """How a search ended."""

    FOUND = "found"
    """One release is the first that answers otherwise than the one before it."""
    BETWEEN = "between"
    """It is one of several: those between the last and the first known ones cannot be judged."""
    CONTRADICTED = "contradicted"
    """An end of the row does not answer as was said of it."""
    ENDPOINT_UNJUDGED = "endpoint-unjudged"
    """An end of the row cannot be judged."""
    STOPPED = "stopped"
    """Cut off; what was known by then is given."""


@dataclass(frozen=True)
class Transition:
    """What a search found; releases are named as they were given."""

    outcome: Outcome
    before: str
    """The last release known to answer as the oldest one should."""
    after: str
    """The first release known to answer as the newest one should."""
    unjudged: tuple[str, ...] = ()
    """Those between the two, in order, that were asked and could not be judged."""
    endpoint: str | None = None
    """The end of the row that is not as was said, or cannot be judged."""


@dataclass(frozen=True)
class Trial:
    """What was found with one release."""

    release: str
    leaks: bool | None
    """None: it cannot be judged."""
    reason: str = ""
    """Why it could not be measured; empty where there is a result."""
    result: ComponentResult | None = None
    """None when there was nothing to measure: it could not be installed."""
    folder: str | None = None
    """Of the run, also of one that an earlier search made."""
    kept: bool = False
    """The verdict is that of an earlier search."""
    controls_ok: bool = True
    installed: dict[str, str] = field(default_factory=dict)
    """Version by distribution, of everything in the release's environment."""


@dataclass(frozen=True)
class Question:
    """Where does it change between a release that does not leak and one that does, whichever is the newer."""

    package: Package
    good: Version
    bad: Version
    pre: bool = False
    """Try pre-releases as well."""

    @property
    def newest_leaks(self) -> bool:
        """Whether the leak came with a release, and did not go with one."""
        return self.bad > self.good


@dataclass(frozen=True)
class Bisection:
    """What a search among releases found."""

    question: Question
    target: str
    python: str
    releases: tuple[str, ...]
    """All from one end to the other, oldest first."""
    change: Transition
    trials: tuple[Trial, ...]
    """In the order they were made."""

    @property
    def bad(self) -> str:
        """The end given as leaking, as the index spells it."""
        return self.releases[-1 if self.question.newest_leaks else 0]

    def trial(self, release: str) -> Trial | None:
        """Return what was found with a release; None when it was not tried."""
        return next((trial for trial in self.trials if trial.release == release), None)
