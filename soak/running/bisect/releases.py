"""Which releases of a package there are for an interpreter, and which of them lie between two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from soak.bisections import Package
from soak.errors import UsageError
from soak.running.environments.installer import Installer

_THERE = re.compile(r"\(from versions: (.*)\)")
_YANKED = re.compile(r"Ignored the following yanked versions: (.*)")
_OTHER_PYTHON = re.compile(r"Ignored the following versions that require a different python version: (.*)")
_UNREACHED = ("Retrying (", "connection broken", "Could not fetch URL", "There was a problem confirming the ssl")
_NEAREST = 3
_IMPOSSIBLE = "0+soak.asks"


@dataclass(frozen=True)
class Listing:
    """What an index has of a package for one interpreter."""

    versions: tuple[Version, ...]
    """Oldest first; yanked ones too, because releases are often yanked for a leak."""
    for_other_pythons: dict[Version, str]
    """Releases that do not allow this interpreter, with the Python that they require."""
    unreached: str | None = None
    """What pip said of an index that it could not reach."""


def read_package(text: str) -> Package:
    """Read a package's name, with extras if any. Raises UsageError."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is not a package name: {str(error).splitlines()[0]}") from error
    if requirement.specifier or requirement.url or requirement.marker:
        raise UsageError(f"{text!r}: name the package alone; --good and --bad say which releases")
    return Package(canonicalize_name(requirement.name), tuple(sorted(requirement.extras)))


def read_version(text: str, option: str) -> Version:
    """Read the version given to an option. Raises UsageError."""
    try:
        return Version(text)
    except InvalidVersion as error:
        raise UsageError(f"{option} {text}: this is not a version such as 1.26.4") from error


def list_releases(installer: Installer, package: Package, *, wheels_only: bool | None = None) -> Listing:
    """Ask the index for the releases that an interpreter can have; ``wheels_only``: other than for installing.

    Raises UsageError when there can be no pip, StoppedError when the installer is told to stop.
    """
    impossible = f"{package.name}=={_IMPOSSIBLE}"
    answer = installer.ask_pip("--no-deps", "--retries", "1", impossible, wheels_only=wheels_only)
    return read_listing(answer.err + answer.out)


def read_listing(messages: str) -> Listing:
    """Read what pip says when it is asked for a release that does not exist.

    pip has no other way to name all of them: ``pip index versions`` leaves out the yanked ones.
    """
    names = [name for form in (_THERE, _YANKED) for found in form.findall(messages) for name in found.split(",")]
    others = {}
    for entry in (entry for found in _OTHER_PYTHON.findall(messages) for entry in found.split(";")):
        name, _, required = entry.strip().partition(" Requires-Python ")
        others.update(dict.fromkeys(_versions([name]), required))
    unreached = next((line for line in messages.splitlines() if any(word in line for word in _UNREACHED)), None)
    return Listing(tuple(sorted(set(_versions(names)))), others, unreached)


def _versions(names: Iterable[str]) -> list[Version]:
    """Return the versions among ``names``; very old releases may have names that are none."""
    versions = []
    for name in names:
        try:
            versions.append(Version(name.strip()))
        except InvalidVersion:
            continue
    return versions


def require_release(listing: Listing, version: Version, package: Package, where: str) -> None:
    """Raise UsageError, with the nearest releases that there are, unless ``version`` is there.

    ``where``: of what there is a listing, such as "CPython 3.11.7 (wheels only)".
    """
    if version in listing.versions:
        return
    required = listing.for_other_pythons.get(version)
    if required is not None:
        raise UsageError(f"{package.name} {version} requires Python {required}; name such an interpreter with --python")
    if not listing.versions:
        reason = f"; the index could not be reached: {listing.unreached}" if listing.unreached else ""
        raise UsageError(f"pip finds no release of {package.name} for {where}{reason}")
    older = [str(known) for known in listing.versions if known < version][-_NEAREST:]
    newer = [str(known) for known in listing.versions if known > version][:_NEAREST]
    raise UsageError(f"there is no {package.name} {version} for {where}; the nearest are {', '.join(older + newer)}")


def select_releases(listing: Listing, one: Version, other: Version, *, pre: bool) -> list[str]:
    """Return the releases from one of two versions to the other, oldest first, both included.

    Ordered by version, not by date. Pre-releases only with ``pre``, or when they are one of the two.
    """
    oldest, newest = min(one, other), max(one, other)
    return [
        str(version)
        for version in listing.versions
        if oldest <= version <= newest and (pre or not version.is_prerelease or version in (oldest, newest))
    ]
