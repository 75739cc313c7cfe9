"""When a verdict of an earlier search counts, and what hides a release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builder import a_component

from soak.bisections import Trial
from soak.errors import UsageError
from soak.request import Request
from soak.running.bisect.trial_cache import TrialCache
from soak.running.environments.installer import Environment
from soak.running.environments.target_code import check_path
from soak.settings import RunPlan, make_plan

ENVIRONMENT = Environment("/cache/dripping-1.4/bin/python", ("dripping",), {"dripping": "1.4", "helper": "1.0"})


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    """Give the plan of a target that imports a module and a package beside it, and others that are not there."""
    (tmp_path / "case.py").write_text("import dripping, near\nfrom parts.one import f\n\ndef cycle(): pass\n")
    (tmp_path / "near.py").write_text("import far\n")
    (tmp_path / "far.py").write_text("X = 1\n")
    (tmp_path / "unrelated.py").write_text("X = 1\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").touch()
    (tmp_path / "parts" / "one.py").write_text("def f(): pass\n")
    return make_plan(Request(targets=("case.py:cycle",)), tmp_path)


@pytest.fixture
def cache(tmp_path: Path, plan: RunPlan) -> TrialCache:
    """Give a cache with one trial in it."""
    kept = TrialCache(tmp_path / "verdicts")
    kept.keep(Trial("1.4", True, result=a_component(), folder="/run"), plan, ENVIRONMENT)
    return kept


def test_the_same_again_is_found_whole(cache: TrialCache, plan: RunPlan):
    assert cache.find(plan, ENVIRONMENT) == Trial("1.4", True, result=a_component(), folder="/run", kept=True)


def test_fresh_finds_nothing(cache: TrialCache, plan: RunPlan, tmp_path: Path):
    assert TrialCache(tmp_path / "verdicts", fresh=True).find(plan, ENVIRONMENT) is None


@pytest.mark.parametrize("file", ["case.py", "near.py", "far.py", "parts/one.py"])
def test_a_change_in_imported_code_is_measured_again(cache: TrialCache, plan: RunPlan, tmp_path: Path, file: str):
    with (tmp_path / file).open("a") as source:
        source.write("# changed\n")

    assert cache.find(plan, ENVIRONMENT) is None


def test_a_change_in_other_files_is_not_measured_again(cache: TrialCache, plan: RunPlan, tmp_path: Path):
    (tmp_path / "unrelated.py").write_text("X = 2\n")

    assert cache.find(plan, ENVIRONMENT) is not None


def test_other_settings_or_packages_are_measured_again(cache: TrialCache, plan: RunPlan):
    component = plan.components[0]
    stricter = replace(plan, components=(replace(component, tolerance_bytes=0.5),))

    assert cache.find(stricter, ENVIRONMENT) is None
    assert cache.find(plan, replace(ENVIRONMENT, installed={"dripping": "1.4", "helper": "1.1"})) is None


def test_a_damaged_file_is_measured_again(cache: TrialCache, plan: RunPlan, tmp_path: Path):
    (file,) = (tmp_path / "verdicts").iterdir()
    file.write_text("{}")

    assert cache.find(plan, ENVIRONMENT) is None


@pytest.mark.parametrize("name", ["dripping.py", "dripping/__init__.py", "dripping.cpython-311-x86_64-linux-gnu.so"])
def test_a_module_that_hides_the_release_is_named(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()

    with pytest.raises(UsageError, match=f"{name} comes first on the path"):
        check_path(["_speedups", "dripping"], [tmp_path / "elsewhere", tmp_path])


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path):
    """The search of sys.path continues after a folder without __init__.py."""
    (tmp_path / "dripping").mkdir()

    check_path(["dripping"], [tmp_path])
