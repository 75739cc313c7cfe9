"""The records of a search among releases: its question, its trials and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from soak.results import ComponentResult

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True)
class Package:
    """A package to install: its name as the index writes it, and the requested extras."""

    name: str
    extras: tuple[str, ...] = ()

    def at(self, release: str) -> str:
        """Return the requirement that names exactly this release."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}=={release}"


class Outcome(StrEnum):
    """How a search ended."""

    FOUND = "found"
    """The first release whose verdict differs from the release before it is known."""
    BETWEEN = "between"
    """The change is between two known releases; the releases between them cannot be judged."""
    CONTRADICTED = "contradicted"
    """``--good`` leaks, or ``--bad`` does not."""
    ENDPOINT_UNJUDGED = "endpoint-unjudged"
    """``--good`` or ``--bad`` cannot be judged."""
    STOPPED = "stopped"
    """The search was stopped; the result has what was known by then."""


@dataclass(frozen=True)
class Transition:
    """The change that a search found; releases are named as the user wrote them."""

    outcome: Outcome
    before: str
    """The last release that is known to be like the oldest one."""
    after: str
    """The first release that is known to be like the newest one."""
    unjudged: tuple[str, ...] = ()
    """The releases between the two that were tried and could not be judged, in order."""
    endpoint: str | None = None
    """The end (``--good`` or ``--bad``) that contradicts the user, or that cannot be judged."""


@dataclass(frozen=True)
class Trial:
    """The result with one release."""

    release: str
    leaks: bool | None
    """None if the release cannot be judged."""
    reason: str = ""
    """Why the release could not be measured; empty if there is a result."""
    result: ComponentResult | None = None
    """None if the release could not be installed."""
    folder: str | None = None
    """The folder of the run; an earlier search may have made it."""
    kept: bool = False
    """Whether the verdict comes from an earlier search."""
    controls_ok: bool = True
    installed: dict[str, str] = field(default_factory=dict)
    """The versions of all distributions in the release's environment, by name."""


@dataclass(frozen=True)
class Question:
    """The question of a search: which release changed the verdict between ``good`` and ``bad``; either may be newer."""

    package: Package
    good: Version
    bad: Version
    pre: bool = False
    """Whether to include pre-releases."""

    @property
    def newest_leaks(self) -> bool:
        """Whether a release introduced the leak; otherwise a release fixed it."""
        return self.bad > self.good


@dataclass(frozen=True)
class Bisection:
    """The result of a search among releases."""

    question: Question
    target: str
    python: str
    releases: tuple[str, ...]
    """All releases from one end to the other, oldest first."""
    change: Transition
    trials: tuple[Trial, ...]
    """The trials in the order in which they were made."""

    @property
    def bad(self) -> str:
        """The release of ``--bad``, as the index writes it."""
        return self.releases[-1 if self.question.newest_leaks else 0]

    def trial(self, release: str) -> Trial | None:
        """Return the trial of a release; None if it was not tried."""
        return next((trial for trial in self.trials if trial.release == release), None)
