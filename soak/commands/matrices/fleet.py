"""Do the same as soak matrix on many machines, with Dask: one cell at a time on each host.

Cells, options and the report are those of soak matrix. The folder (--out) must be one
that all hosts share, and soak and the drivers must be installed in the same place.
It needs the extra: pip install 'soak[fleet]'.

  soak fleet drivers/ --local 2
  soak fleet drivers/ --with numpy==2.3.1 --with numpy==2.4.0 --slurm --hosts 20 --queue short
  soak fleet drivers/ --htcondor --hosts 20
  soak fleet drivers/ --scheduler tcp://10.0.0.1:8786
  soak fleet --resume reports/2026-11-29T12-00-00 --local 2

A cell whose worker is lost is measured once more, on another host if there is one; the
second loss is FAILED with the cause. A host that is lost twice gets no more cells.
Exit codes, worst cell first: 2 usage or tool failure, 4 a driver failed, 1 a leak, 3
undecided or not measured, 0 all clean.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soak.commands.arguments import duration, positive_count
from soak.commands.matrices.matrix import add_matrix_arguments, measure_matrix
from soak.errors import UsageError

if TYPE_CHECKING:
    from soak.running.fleet.clusters import Hosts
    from soak.running.fleet.engine import Engine

_PACKAGES = ("dask", "distributed", "dask_jobqueue")
_WAIT_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak fleet``."""
    add_matrix_arguments(parser)
    hosts = parser.add_argument_group("hosts")
    where = hosts.add_mutually_exclusive_group(required=True)
    where.add_argument("--local", type=positive_count, metavar="N", help="N workers on this machine")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler whose workers have --resources soak=1")
    where.add_argument("--slurm", action="store_true", help="jobs of Slurm")
    where.add_argument("--htcondor", action="store_true", help="jobs of HTCondor")
    hosts.add_argument(
        "--wait-for-hosts",
        type=duration,
        default=_WAIT_S,
        metavar="10min",
        help="give up if there is no host after this time",
    )
    jobs = parser.add_argument_group("jobs of a queue; the defaults are those of Dask's jobqueue.yaml")
    jobs.add_argument("--hosts", type=positive_count, default=2, metavar="N", help="jobs at a time (2)")
    jobs.add_argument("--queue", metavar="NAME", help="queue (Slurm: partition)")
    jobs.add_argument(
        "--walltime", type=duration, metavar="8h", help="time limit of a job; its worker ends before that"
    )
    jobs.add_argument("--cores", type=positive_count, default=2, metavar="N", help="cores per job (2)")
    jobs.add_argument("--memory", default="2GiB", metavar="2GiB", help="memory per job")
    jobs.add_argument("--disk", default="2GiB", metavar="2GiB", help="disk per job (HTCondor)")
    jobs.add_argument("--interface", metavar="NAME", help="the network interface of scheduler and workers, such as ib0")
    jobs.add_argument(
        "--directive",
        action="append",
        default=[],
        metavar="TEXT",
        help="a line for the head of the job script; repeatable",
    )


def run(options: argparse.Namespace) -> int:
    """Measure the cells on the hosts; return the exit code."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"soak fleet needs {', '.join(missing)}: pip install 'soak[fleet]'")

    def make_engine(folder: Path, say: Callable[[str], None]) -> AbstractContextManager[Engine]:
        return _engine(options, folder, say)

    return measure_matrix(options, make_engine)


@contextmanager
def _engine(options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> Iterator[Engine]:
    from soak.running.fleet.clusters import dashboard_of
    from soak.running.fleet.dask_engine import DaskEngine

    with _hosts(options, folder) as hosts:
        dashboard = dashboard_of(hosts.client)
        if dashboard:
            without = "" if importlib.util.find_spec("bokeh") else " (needs bokeh where the scheduler runs)"
            say(f"Dask's dashboard: {dashboard}{without}")
        yield DaskEngine(
            hosts,
            folder,
            say,
            wait_for_hosts_s=options.wait_for_hosts,
            one_place_a_host=options.local is None,
        )


def _hosts(options: argparse.Namespace, folder: Path) -> AbstractContextManager[Hosts]:
    from soak.running.fleet.clusters import QueueRequest, connected, local_cluster, queue_cluster
    from soak.store.fleets import scratch_folder

    if options.local is not None:
        return local_cluster(options.local, scratch_folder(folder))
    if options.scheduler is not None:
        return connected(options.scheduler)
    request = QueueRequest(
        options.hosts,
        options.queue,
        options.walltime,
        options.cores,
        options.memory,
        options.disk,
        options.interface,
        tuple(options.directive),
    )
    return queue_cluster("slurm" if options.slurm else "htcondor", request, folder / "logs")
