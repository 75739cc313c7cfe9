"""The part of pip's configuration that uv gets."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from soak.running.environments.installer import Installer
from soak.running.interpreter import find_interpreter

pytestmark = pytest.mark.integration


@pytest.mark.long
def test_uv_looks_where_pip_is_told_to_look_and_the_environment_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A variable of the environment replaces the same setting of a configuration file, as it does for pip."""
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nfind-links = /from/global\n[install]\nfind-links = /from/install\n", encoding="utf-8")
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    installer = Installer(tmp_path / "cache", find_interpreter(None), threading.Event())

    from_file = installer._index_for_uv()
    monkeypatch.setenv("PIP_FIND_LINKS", "/from/environment /and/there")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    from_environment = installer._index_for_uv()

    assert from_file[from_file.index("--find-links") + 1] == "/from/install"
    links = [there for option, there in itertools.pairwise(from_environment) if option == "--find-links"]
    assert links == ["/from/environment", "/and/there"]
    assert "--no-index" in from_environment
    assert "--no-index" not in from_file
