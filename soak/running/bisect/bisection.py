"""A bisection as a whole: which release of a package is the first that leaks, or the first that no longer does."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from soak.errors import UsageError
from soak.running.bisect.environments import Installer
from soak.running.bisect.releases import Package, read_version, require_release, select_releases
from soak.running.bisect.search import Transition, find_change
from soak.running.bisect.trial_cache import Trial
from soak.running.bisect.trials import Trials


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


def read_question(package: Package, good: str, bad: str, *, pre: bool) -> Question:
    """Read the two ends of a search. Raises UsageError."""
    question = Question(package, read_version(good, "--good"), read_version(bad, "--bad"), pre)
    if question.good == question.bad:
        raise UsageError(f"--good and --bad are both {question.good}; there is nothing between them")
    return question


def choose_releases(question: Question, installer: Installer) -> list[str]:
    """Return the releases to search, oldest first, both ends included.

    Raises UsageError, with what there is, when one of the ends is not at the index.
    """
    package, ends = question.package, (question.good, question.bad)
    listing = installer.list_releases(package)
    for end in ends:
        if end not in listing.versions and installer.wheels_only:
            from_source = installer.list_releases(package, wheels_only=False)
            if end in from_source.versions:
                raise UsageError(
                    f"{package.name} {end} has no wheel for {installer.interpreter}; --build builds it from source, or "
                    "name an interpreter that has one with --python"
                )
            listing = from_source if not listing.versions else listing
        require_release(listing, end, package, str(installer.interpreter))
    return select_releases(listing, *ends, pre=question.pre)


def bisect(question: Question, releases: list[str], trials: Trials, target: str, python: str) -> Bisection:
    """Try releases until it is known where the leak came or went."""
    change = find_change(releases, trials.leaks, newest_leaks=question.newest_leaks)
    return Bisection(question, target, python, tuple(releases), change, tuple(trials.done))
