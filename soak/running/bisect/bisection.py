"""A bisection as a whole: which release of a package is the first that leaks, or the first that no longer does."""

from __future__ import annotations

from soak.bisections import Bisection, Package, Question
from soak.errors import UsageError
from soak.running.bisect.releases import list_releases, read_version, require_release, select_releases
from soak.running.bisect.search import find_change
from soak.running.bisect.trials import Trials
from soak.running.environments.installer import Installer


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
    listing = list_releases(installer, package)
    for end in ends:
        if end not in listing.versions and installer.wheels_only:
            from_source = list_releases(installer, package, wheels_only=False)
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
