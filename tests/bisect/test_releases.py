"""The releases that pip lists, and those that are searched."""

from __future__ import annotations

import pytest
from packaging.version import Version

from soak.bisections import Package
from soak.errors import UsageError
from soak.running.bisect.releases import (
    Listing,
    read_listing,
    read_package,
    read_version,
    require_release,
    select_releases,
)

MESSAGES = """\
Looking in indexes: file:///srv/simple
ERROR: Ignored the following yanked versions: 6.3.0, 6.3.2
ERROR: Ignored the following versions that require a different python version: 8.0 Requires-Python >=3.13; 8.1 Requires-Python >=3.13
ERROR: Could not find a version that satisfies the requirement multidict==0+soak (from versions: 6.2.0, 2004d, 6.10.0, 6.4.0rc1, 6.4.0)
ERROR: No matching distribution found for multidict==0+soak
"""  # noqa: E501 - as pip writes it
LISTING = read_listing(MESSAGES)
PACKAGE = Package("multidict")


def test_yanked_releases_count_and_versions_are_in_their_order():
    assert [str(version) for version in LISTING.versions] == ["6.2.0", "6.3.0", "6.3.2", "6.4.0rc1", "6.4.0", "6.10.0"]
    assert {str(version): python for version, python in LISTING.for_other_pythons.items()} == {
        "8.0": ">=3.13",
        "8.1": ">=3.13",
    }
    assert LISTING.unreached is None


def test_a_package_without_releases_is_an_empty_list():
    listing = read_listing("ERROR: Could not find a version that satisfies the requirement x==0 (from versions: none)")

    assert listing == Listing((), {}, None)


def test_an_index_that_cannot_be_reached_is_named():
    line = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'"
    listing = read_listing(f"{line}\n(from versions: none)")

    with pytest.raises(UsageError, match="the index could not be reached: WARNING: Retrying"):
        require_release(listing, Version("1"), PACKAGE, "CPython 3.11.7")


@pytest.mark.parametrize("ends", [("6.2.0", "6.10.0"), ("6.10.0", "6.2")])
def test_the_range_has_both_ends_in_whichever_order_and_no_pre_release(ends: tuple[str, str]):
    one, other = map(Version, ends)

    assert select_releases(LISTING, one, other, pre=False) == ["6.2.0", "6.3.0", "6.3.2", "6.4.0", "6.10.0"]
    assert "6.4.0rc1" in select_releases(LISTING, one, other, pre=True)


def test_a_pre_release_that_is_an_end_stays():
    assert select_releases(LISTING, Version("6.3.2"), Version("6.4rc1"), pre=False) == ["6.3.2", "6.4.0rc1"]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("6.3.1", "there is no multidict 6.3.1 for here; the nearest are 6.2.0, 6.3.0, 6.3.2, 6.4.0rc1, 6.4.0"),
        ("9", "the nearest are 6.4.0rc1, 6.4.0, 6.10.0"),
        ("8.1", "multidict 8.1 requires Python >=3.13; name such an interpreter with --python"),
    ],
)
def test_a_release_that_is_not_there_is_refused_with_what_is(version: str, said: str):
    with pytest.raises(UsageError) as raised:
        require_release(LISTING, Version(version), PACKAGE, "here")

    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "package", "requirement"),
    [
        ("Pillow", Package("pillow"), "pillow==9.0"),
        ("ruamel.yaml", Package("ruamel-yaml"), "ruamel-yaml==9.0"),
        ("uvicorn[standard, a]", Package("uvicorn", ("a", "standard")), "uvicorn[a,standard]==9.0"),
    ],
)
def test_names_are_normalised_and_keep_their_extras(text: str, package: Package, requirement: str):
    assert read_package(text) == package
    assert package.at("9.0") == requirement


@pytest.mark.parametrize("text", ["numpy==1.0", "numpy>1", "no name", "", "a @ file:///b", "a; os_name=='posix'"])
def test_a_wrong_name_is_refused(text: str):
    with pytest.raises(UsageError):
        read_package(text)


def test_a_wrong_version_is_refused_with_its_option():
    with pytest.raises(UsageError, match="--good latest: this is not a version"):
        read_version("latest", "--good")
