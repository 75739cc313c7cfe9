"""Say what the recorder lacks: ``python -m camera.missing [simulated|pylon|aravis|pco]``."""

from __future__ import annotations

import importlib.util
import shutil
import sys

from camera.errors import SourceError
from camera.sources import NAMES
from camera.sources.aravis import FAKE_CAMERA

_DEBIANS_PYTHON = "/usr/bin/python3"
_FOR_DEBIANS = f"  # for {_DEBIANS_PYTHON}"


def missing(source: str) -> list[str]:
    """Return what to install for this source, as commands; empty when it can run. Raises SourceError for no source."""
    if source not in NAMES:
        raise SourceError(f"there is no source {source!r}; use {', '.join(NAMES)}")
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
    """Print one line per source that lacks something; return 1 then, else 0, and 2 for a source that there is not."""
    sources = sys.argv[1:] or NAMES
    try:
        lacking = [(source, command) for source in sources for command in missing(source)]
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    for source, command in lacking:
        print(f"The source {source} cannot run under {sys.executable}: {command}")
    return int(bool(lacking))


if __name__ == "__main__":
    sys.exit(main())
