"""Builds runs of imaginary cells, and the matrix of them."""

from __future__ import annotations

from typing import Any

from soak.analysis.matrix import set_into_matrix
from soak.matrix.merged import CellRun, Host, Matrix, MissingCell
from soak.results import ComponentResult

N1 = Host("n1", "Linux 6.1 x86_64", "glibc 2.36", "AMD EPYC", 2, 2**34)
N2 = Host("n2", "Linux 5.15 aarch64", "glibc 2.35", "Neoverse-N1", 4, 2**34)


def a_run(result: ComponentResult, *requirements: str, host: Host = N1, **changes: Any) -> CellRun:
    """Give the run of a cell; ``changes`` replace its fields."""
    facts: dict[str, Any] = {
        "run": f"{result.name}-{'-'.join(requirements)}-{host.name}",
        "folder": f"/reports/{result.name}-{'-'.join(requirements)}-{host.name}",
        "started": "2026-11-29T12:00:00+00:00",
        "python": "CPython 3.12.4",
        "load": 0.5,
        **changes,
    }
    return CellRun(result=result, host=host, requirements=requirements, **facts)


def a_matrix(*runs: CellRun, missing: tuple[MissingCell, ...] = (), problems: tuple[str, ...] = ()) -> Matrix:
    """Give the matrix of runs."""
    return set_into_matrix(
        runs, missing, run="m", folder="/reports", soak="0.1.0", command="soak matrix", problems=problems
    )
