"""Build the wheel, install it outside the checkout under several Pythons, and soak a small case in another folder.

The variable PYTHONS names the Pythons (python3.11 python3.12 python3.13); missing ones are skipped. With ``--offline``
all packages are first downloaded with ``pip download`` and then installed without an index.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = "python3.11 python3.12 python3.13"
CASE = """
kept = []
def leak(): kept.append(object())
def clean(): object()
"""
EXPECTED = {"leak": "LEAK", "clean": "CLEAN"}
EXIT_CODE_OF_A_LEAK = 1


def main() -> int:
    """Test every Python that exists; return 1 when one fails, 2 when there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    names = os.environ.get("PYTHONS", PYTHONS).split()
    pythons = {name: executable for name in names if (executable := find_python(name))}
    for name in sorted(set(names) - pythons.keys()):
        print(f"{name}: not found, not tested")
    failed = False
    with tempfile.TemporaryDirectory(prefix="test-wheel-") as folder:
        place = Path(folder)
        wheel = build_wheel(place)
        for name, python in pythons.items():
            problem = try_wheel(wheel, python, place / name.replace("/", "_"), offline=options.offline)
            print(
                f"{name}: {problem or 'the wheel installs, finds the leak and calls the clean case CLEAN'}", flush=True
            )
            failed = failed or bool(problem)
    return 1 if failed else 0 if pythons else 2


def find_python(name: str) -> str | None:
    """Return the executable behind a name; None when the name does not exist or is a shim without that version."""
    found = shutil.which(name)
    if found is None:
        return None
    asked = subprocess.run(
        [found, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


def build_wheel(place: Path) -> Path:
    """Build from a copy of the checkout, so that the build leaves nothing in it; print the contents of the wheel."""
    source = place / "source"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "reports", "*.so", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(source)], place)
    (wheel,) = place.glob("soak-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folder = source / "soak" / "reporting" / "templates"
    missing = {f"soak/reporting/templates/{file.name}" for file in folder.iterdir()} - set(names)
    if missing:
        raise SystemExit(f"the wheel lacks {', '.join(sorted(missing))}")
    library = [name for name in names if name.endswith(".so")]
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {len(names)} files, library: {', '.join(library) or 'none'}")
    return wheel


def try_wheel(wheel: Path, python: str, place: Path, *, offline: bool) -> str:
    """Install the wheel and soak with it; return the problem, or an empty text."""
    place.mkdir()
    try:
        run([python, "-m", "venv", str(place / "venv")], place)
        own = str(place / "venv/bin/python")
        source = [str(wheel)]
        if offline:
            packages = place / "packages"
            run([own, "-m", "pip", "download", "--quiet", "--dest", str(packages), str(wheel)], place)
            source = ["--no-index", "--find-links", str(packages), "soak"]
        run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *source], place)
    except subprocess.CalledProcessError as error:
        return f"cannot be installed: {error.stderr.strip()[-400:]}"
    return soak(place)


def soak(place: Path) -> str:
    """Soak a leak and a clean case in a folder outside the checkout."""
    away = place / "elsewhere"
    away.mkdir()
    (away / "case.py").write_text(CASE, encoding="utf-8")
    command = [str(place / "venv/bin/soak"), "run", "case.py:leak", "case.py:clean", "--n-min", "512"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*command, "--json", "found.json"], cwd=away, env=clean, capture_output=True, text=True, check=False
    )
    if done.returncode != EXIT_CODE_OF_A_LEAK:
        return f"soak run ends with {done.returncode}: {done.stderr.strip()[-400:]}"
    components = json.loads((away / "found.json").read_text(encoding="utf-8"))["components"]
    found = {component["name"]: component["verdict"] for component in components}
    untracked = [component["tracker"]["reason"] for component in components if not component["tracker"]["active"]]
    if found != EXPECTED:
        return f"soak run finds {found}"
    return f"the tracker was not active: {untracked[0]}" if untracked and shutil.which("cc") else ""


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder. Raises CalledProcessError."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
