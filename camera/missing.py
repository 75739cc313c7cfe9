"""Say what the recorder lacks: ``python -m camera.missing [simulated|pylon|aravis|pco]``."""

from __future__ import annotations

import importlib.util
import shutil
import sys

from camera.sources import NAMES
from camera.sources.aravis import FAKE_CAMERA

_DEBIANS_PYTHON = "/usr/bin/python3"
_FOR_DEBIANS = f"  # for {_DEBIANS_PYTHON}"


def missing(source: str) -> list[str]:
    """Return what to install for this source, as commands; empty when it can run."""
    if source == "simulated":
        return [] if shutil.which("cc") else ["apt-get install gcc libc6-dev"]
    if source == "aravis":
        return _missing_for_aravis()
    package = {"pylon": "pypylon", "pco": "pco"}[source]
    return [] if importlib.util.find_spec(package) else [f"pip install {package}"]


def _missing_for_aravis() -> list[str]:
    packages = [] if shutil.which(FAKE_CAMERA) else ["aravis-tools"]
    try:
        import gi

        gi.require_version("Aravis", "0.8")
    except (ImportError, ValueError):
        packages += ["gir1.2-aravis-0.8", "python3-gi"]
    if importlib.util.find_spec("numpy") is None:
        packages.append("python3-numpy")
    is_other = "python3-gi" in packages and sys.executable != _DEBIANS_PYTHON
    return [f"apt-get install {' '.join(packages)}{_FOR_DEBIANS if is_other else ''}"] if packages else []


def main() -> int:
    """Print one line per source that lacks something; return 1 then, else 0."""
    is_missing = False
    for source in sys.argv[1:] or NAMES:
        for command in missing(source):
            is_missing = True
            print(f"The source {source} cannot run under {sys.executable}: {command}")
    return int(is_missing)


if __name__ == "__main__":
    sys.exit(main())
