"""Make reports/sample and the picture of it in README again: a real run with one planted leak.

python docs/sample.py                   soak, write the reports, take the picture (half a minute)
python docs/sample.py --run FOLDER      use an existing run

Chromium takes the picture; without it the script makes only the reports. The sample does not show the folders of this
machine: in it the checkout is /srv/soak, and Python is installed in /usr.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from soak.documents import from_document, to_document
from soak.reporting.write import write_reports
from soak.results import RunResult
from soak.store.runs import list_runs, open_run

ROOT = Path(__file__).resolve().parent.parent
SAMPLE, PICTURE = ROOT / "reports" / "sample", ROOT / "docs" / "images" / "report.png"
SHOWN = ("report.html", "report.md", "junit.xml")
SUSPECTS = ("get", "decompressor", "decoder", "numpy_conversion", "full_cycle")
PLANTED = "numpy_conversion=native:106"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT = 1280, 1300
"""Pixels: enough for the table of verdicts and the beginning of the component that grows."""


def main() -> int:
    """Make the sample and its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="use this run instead of a new one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_sample(options.run or soak(Path(folder)))
    take_picture()
    return 0


def soak(out: Path) -> Path:
    """Soak the suspects that README names, with a planted leak in one; return the run's folder."""
    drivers = [f"standalone_tests/drive_{name}.py" for name in SUSPECTS]
    command = [sys.executable, "-m", "soak", "run", *drivers, "--inject", PLANTED, "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=False)  # exit code 1: a leak
    return list_runs(out)[0]


def write_sample(run: Path) -> None:
    """Write the reports of a run into the sample's folder, without the folders of this machine."""
    with open_run(run) as store, tempfile.TemporaryDirectory() as folder:
        write_reports(elsewhere(store.read_run()), store.read_readings, Path(folder))
        for name in SHOWN:
            shutil.copyfile(Path(folder, name), SAMPLE / name)
            print(SAMPLE / name)


def elsewhere(result: RunResult) -> RunResult:
    """Return the result with the folders of this machine replaced."""
    text = json.dumps(to_document(result))
    for here, there in (
        (f" --out {Path(result.folder).parent}", ""),
        (result.folder, f"reports/{result.run}"),
        (str(ROOT), "/srv/soak"),
        (sys.base_prefix, "/usr"),
    ):
        text = text.replace(json.dumps(here)[1:-1], there)
    document: dict[str, Any] = json.loads(text)
    return from_document(RunResult, document)


def take_picture() -> None:
    """Take the picture of the sample's first page, if there is a browser."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print("no Chromium, no picture", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *QUIET, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"]
        command += [f"--screenshot={PICTURE}", (SAMPLE / "report.html").as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(PICTURE)


if __name__ == "__main__":
    sys.exit(main())
