"""Put the allocation tracker's library, built by this machine's compiler, into the wheel; see pyproject.toml."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))

from soak.native.build import Built, NotBuilt, built_library

TRACKER = built_library()


class BuildWithTracker(build_py):
    """Copies the library to where the modules go; a source checkout builds its own when it is first used."""

    def run(self) -> None:
        """See setuptools."""
        super().run()
        if self.editable_mode:
            return
        if isinstance(TRACKER, NotBuilt):
            self.warn(f"this wheel is without the tracker's library: {TRACKER.reason}")
        else:
            shutil.copy2(TRACKER.path, Path(self.build_lib, "soak", "native"))


class WheelForThisPlatform(bdist_wheel):
    """Fits every Python 3 on this platform: the library links to no Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """See setuptools."""
        _, _, platform = super().get_tag()
        return "py3", "none", platform


class WithTracker(Distribution):
    """Belongs to a platform when the library is in it."""

    def has_ext_modules(self) -> bool:
        """See setuptools."""
        return isinstance(TRACKER, Built)


setup(distclass=WithTracker, cmdclass={"build_py": BuildWithTracker, "bdist_wheel": WheelForThisPlatform})
