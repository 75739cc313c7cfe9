"""The examples without Dask: the shell of each is taken from docs/examples and run, with a package that is here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_builder import ROOT
from loopback_slurm import slurm, why_not

pytestmark = pytest.mark.integration

EXAMPLES = ROOT / "docs" / "examples"
yaml = pytest.importorskip("yaml", reason="it comes with Dask: pip install soak[fleet]")
SETTINGS = "[tool.soak.component.{name}]\niterations = 4096\nn_min = 256\n"


@pytest.fixture
def checkout(place: Path, tmp_path: Path) -> Path:
    """Give a checkout with two drivers."""
    drivers = tmp_path / "checkout" / "drivers"
    drivers.mkdir(parents=True)
    shutil.copy(place / "drive_drip.py", drivers / "drive_drip.py")
    (drivers / "drive_other.py").write_text("import dripping\n\ndef cycle(state): pass\n", encoding="utf-8")
    settings = "".join(SETTINGS.format(name=name) for name in ("drip", "other"))
    (drivers.parent / "pyproject.toml").write_text(settings, encoding="utf-8")
    return drivers.parent


@pytest.fixture
def environment(place: Path, tmp_path: Path) -> dict[str, str]:
    """Give an environment in which soak is on the path, and the interpreters that the examples name."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "soak").write_text(f'#!/bin/sh\nexec {sys.executable} -m soak "$@"\n', encoding="utf-8")
    for name in ("python3.11", "python3.12"):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    for file in bin_folder.iterdir():
        file.chmod(0o755)
    cache = place / "example-cache"
    return {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache)}


def with_what_is_here(text: str) -> str:
    """Name the package of the index instead of numpy; everything else stays as the example has it."""
    here = text.replace("numpy==2.3.1", "dripping==1.0").replace("numpy==2.4.0", "dripping==2.0")
    assert here != text
    assert "numpy" not in here
    return here


def shell(script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder, env=dict(environment), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def report_of(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return loaded


def check_report(folder: Path, cells: int) -> None:
    report = report_of(folder)
    assert len(report["cells"]) == cells
    assert [cell["failure"] for cell in report["cells"]] == [None] * cells
    assert report["headline"].startswith("New in dripping 2.0: drip grows by "), report["headline"]


@pytest.mark.long
def test_the_steps_of_the_github_matrix_lead_to_one_report(checkout: Path, environment: dict[str, str]):
    jobs = yaml.safe_load((EXAMPLES / "github-matrix.yml").read_text(encoding="utf-8"))["jobs"]
    *_, measure = (step["run"] for step in jobs["cells"]["steps"] if "run" in step)
    upload = jobs["cells"]["steps"][-1]["with"]
    merge, summarise = (step["run"] for step in jobs["report"]["steps"] if "run" in step and "pip" not in step["run"])
    download = next(step for step in jobs["report"]["steps"] if "download" in step.get("uses", ""))["with"]
    environment["GITHUB_STEP_SUMMARY"] = str(checkout / "summary.md")

    for version in jobs["cells"]["strategy"]["matrix"]["python"][:1]:
        measured = shell(with_what_is_here(measure), checkout, environment)
        assert measured.returncode == 1, measured.stderr
        artifact = upload["name"].replace("${{ matrix.python }}", version)
        shutil.move(checkout / upload["path"], checkout / download["path"] / artifact)
    merged = shell(merge, checkout, environment)
    summary = shell(summarise, checkout, environment)

    assert (merged.returncode, summary.returncode) == (1, 0), merged.stderr
    check_report(checkout / "artifacts" / "merged", cells=4)
    assert "New in dripping 2.0" in (checkout / "summary.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_pods_of_the_kubernetes_job_measure_each_cell_once(checkout: Path, environment: dict[str, str]):
    """A pod that has no cells does not fail, nor does one that found a leak."""
    job = yaml.safe_load((EXAMPLES / "kubernetes-job.yaml").read_text(encoding="utf-8"))["spec"]
    container = job["template"]["spec"]["containers"][0]
    assert container["command"] == ["sh", "-c"]
    script = with_what_is_here(container["args"][0]).replace("/cells", str(checkout / "cells"))
    with_cells = 4

    pods = [
        shell(script, checkout, {**environment, "JOB_COMPLETION_INDEX": str(index)})
        for index in (*range(with_cells), job["completions"] - 1)
    ]
    shell("soak merge cells --out cells/merged", checkout, environment)

    assert [pod.returncode for pod in pods] == [0] * (with_cells + 1), pods[-1].stderr
    assert "share 20/20 has no cells" in pods[-1].stderr
    check_report(checkout / "cells" / "merged", cells=with_cells)


@pytest.mark.slurm
@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_the_tasks_of_the_slurm_array_measure_each_cell_once(checkout: Path, environment: dict[str, str]):
    """On a real Slurm with two nodes."""
    script = with_what_is_here((EXAMPLES / "slurm-array.sh").read_text(encoding="utf-8"))
    (checkout / "array.sh").write_text(script.replace("--array=1-20", "--array=1-5"), encoding="utf-8")
    (merge,) = re.findall(r"^#   (soak merge .*)$", script, re.MULTILINE)

    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/var/tmp") as folder, slurm(Path(folder)) as system:
        everything = {**system.environment, **environment}
        submitted = shell("sbatch --wait array.sh", checkout, everything)
        logs = "\n".join(file.read_text(encoding="utf-8") for file in sorted(checkout.glob("slurm-*.out")))
    merged = shell(merge, checkout, environment)

    assert (submitted.returncode, merged.returncode) == (1, 1), submitted.stderr + logs
    check_report(checkout / "cells" / "merged", cells=8)
    assert {host["name"] for host in report_of(checkout / "cells" / "merged")["hosts"]} == {"n1", "n2"}
