"""A terminal or pipe that takes ASCII only gets plain characters, not an error."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from command_builder import ROOT

from soak.reporting.plain_characters import use_plain_characters


def test_what_soak_writes_has_a_plain_form_and_all_else_a_code():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    use_plain_characters(out)
    out.write("▲ LEAK – 106 ± 1 µs: größe")
    out.flush()

    assert out.buffer.getvalue() == rb"! LEAK - 106 +- 1 us: gr\xf6\xdfe"  # type: ignore[attr-defined]


def test_a_command_ends_well_where_only_ascii_can_be_written(tmp_path: Path):
    (tmp_path / "größe.csv").write_text("nr;▲größe\n" + "".join(f"{n};{n}\n" for n in range(1, 200)), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "soak", "judge", "größe.csv"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )

    assert (done.returncode, done.stderr) == (3, b"")
    assert rb"Read: !gr\xf6\xdfe over" in done.stdout or rb"Read: !gr\xf6\xdfe, " in done.stdout
