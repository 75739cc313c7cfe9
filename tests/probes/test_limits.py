"""How much memory a run may take before the machine, or its control group, has none left."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from soak.probes import limits, machine


def control_group(folder: Path, maximum: str, current: int, cached: int) -> None:
    (folder / "memory.max").write_text(f"{maximum}\n", encoding="ascii")
    (folder / "memory.current").write_text(f"{current}\n", encoding="ascii")
    (folder / "memory.stat").write_text(f"anon 7\nactive_file {cached}\ninactive_file 0\n", encoding="ascii")


@pytest.mark.parametrize(
    ("maximum", "current", "cached", "free"),
    [("1000000", 700_000, 0, 300_000), ("1000000", 700_000, 200_000, 500_000), ("1000000", 1_100_000, 0, 0)],
)
def test_a_control_group_leaves_what_it_allows_and_cached_files_count_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maximum: str, current: int, cached: int, free: float
):
    control_group(tmp_path, maximum, current, cached)
    monkeypatch.setattr(limits, "_CONTROL_GROUP", tmp_path)

    assert limits.read_free_memory_bytes() == free


@pytest.mark.parametrize("has_group", [True, False])
def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_group: bool):
    if has_group:
        control_group(tmp_path, "max", 700_000, 0)
    monkeypatch.setattr(limits, "_CONTROL_GROUP", tmp_path)

    assert limits.read_free_memory_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize("tells", [True, False])
def test_the_memory_of_the_machine_is_the_same_with_and_without_the_kernels_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool
):
    if not tells:
        monkeypatch.setattr(machine, "_KERNEL_SAYS", tmp_path / "none")

    total, available = machine.memory_bytes()

    assert total == psutil.virtual_memory().total
    assert 0 < available <= total
