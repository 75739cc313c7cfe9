"""The warm process from which the processes of marked tests are forked: Python and pytest, and nothing of the tests.

It is started once, when it is known that a test is marked, and gets ready while the first tests run.
"""

from __future__ import annotations

import contextlib
import sys

import pytest

from soak.running.child.template import Template
from soak.running.context import find_library

_PACKAGES = ("_pytest", "pluggy", "iniconfig", "packaging", "pygments")
_KEY = pytest.StashKey[Template | None]()


def warm_process(config: pytest.Config) -> Template | None:
    """Return the warm process of this pytest run, started if it is not; None if it cannot be."""
    if _KEY not in config.stash:
        config.stash[_KEY] = None
        modules = [name for name in sys.modules if name.split(".")[0] in _PACKAGES]
        library, _ = find_library()
        with contextlib.suppress(OSError):
            template = Template(library, "pytest", str(pytest.__file__), modules)
            config.add_cleanup(template.close)
            config.stash[_KEY] = template
    return config.stash[_KEY]
