"""The clusters of Dask that a fleet runs on: on this machine, of a queueing system, or one that is there already."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.versions import VersionMismatchWarning

from soak.errors import UsageError

RESOURCE = "soak"
"""A worker with ``--resources soak=1`` measures cells, one at a time."""
_CONNECT_S = 5
_SUBMITS = {"slurm": "sbatch", "htcondor": "condor_submit"}
"""What submits a job of a queueing system."""
_LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?([^/:\s]+|\[[\da-fA-F:]+\]):\d+")
_SETTINGS = {
    # The fleet itself decides how often a cell is tried, and where.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Dask would change the allocator and the threads of the program.
    "distributed.nanny.pre-spawn-environ": {},
    # A job that holds gigabytes is the measurement, not a fault of the worker.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # A worker only waits for the process of its cell. Dask's profile and monitors of it cost 4 % of a processor.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}
_SCRATCH = "soak_scratch"
_SCRIPT_OF_SCRATCH = (
    f"{_SCRATCH}=$(mktemp -d)",
    # When the job is ended, the worker still writes there: so the script waits for the worker's own end.
    "trap : TERM",
    f"trap 'rm -rf \"${_SCRATCH}\"' EXIT",
)
"""What a job does so that its worker leaves nothing in the temporary folder of its node.

Dask's workers make a folder there that stays. HTCondor itself removes the temporary folder of a job.
"""


@dataclass(frozen=True)
class QueueRequest:
    """What a job of a queueing system is asked for; None leaves it to Dask's configuration (jobqueue.yaml)."""

    hosts: int
    queue: str | None = None
    walltime_s: float | None = None
    cores: int = 2
    memory: str = "2GiB"
    disk: str = "2GiB"
    interface: str | None = None
    directives: tuple[str, ...] = ()
    """Lines for the head of the job script, as the system writes them."""


@dataclass(frozen=True)
class Hosts:
    """A cluster, and how jobs of a queue that have ended are asked for again."""

    client: Client
    renew: Callable[[], None] = lambda: None


@contextlib.contextmanager
def local_cluster(workers: int, scratch: Path) -> Iterator[Hosts]:
    """Give a cluster on this machine's loopback; what it writes goes below ``scratch``."""
    with dask.config.set({**_SETTINGS, "temporary-directory": str(scratch)}), _quiet():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=_LOOPBACK,
            dashboard_address=f"{_LOOPBACK}:0",
            worker_dashboard_address=None,
            memory_limit=0,
            resources={RESOURCE: 1},
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster) as client:
            yield Hosts(client)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Hosts]:
    """Give the cluster of a scheduler that runs already. Raises UsageError when there is none."""
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--scheduler {address}: this is not an address such as tcp://10.0.0.1:8786")
    with _quiet():
        try:
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"--scheduler {address}: no scheduler of Dask answers there ({reason})") from error
        with client:
            yield Hosts(client)


@contextlib.contextmanager
def queue_cluster(system: str, request: QueueRequest, logs: Path) -> Iterator[Hosts]:
    """Give a cluster whose workers are jobs of ``slurm`` or ``htcondor``. Raises UsageError when none can be had."""
    # Without it Dask waits ten seconds at the end for a cluster that has never been there.
    if shutil.which(_SUBMITS[system]) is None:
        raise UsageError(f"--{system}: there is no {_SUBMITS[system]} on this machine")
    logs.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        dask.config.set({**_SETTINGS, "temporary-directory": scratch}),
        _quiet(),
    ):
        try:
            cluster = make_queue_cluster(system, request, logs)
        except (ValueError, OSError, RuntimeError) as error:
            raise UsageError(f"--{system}: {str(error).splitlines()[0]}") from error
        try:
            _submit_jobs(cluster, system, request.hosts)
            with Client(cluster) as client:
                yield Hosts(client, lambda: cluster.scale(jobs=request.hosts))
        finally:
            # A job that could not be submitted is one that its cluster cannot close.
            with contextlib.suppress(AssertionError, RuntimeError):
                cluster.close()


def _submit_jobs(cluster: Any, system: str, jobs: int) -> None:
    """Submit the first jobs and wait until the queue has taken them. Raises UsageError with what it says otherwise."""

    async def submit() -> None:
        cluster.scale(jobs=jobs)
        await cluster

    try:
        cluster.sync(submit)
    except (OSError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UsageError(f"--{system}: no job can be submitted: {lines[-1] if lines else repr(error)}") from error


def make_queue_cluster(system: str, request: QueueRequest, logs: Path) -> Any:
    """Make the cluster of a queueing system, without jobs yet."""
    from dask_jobqueue import HTCondorCluster, SLURMCluster

    options: dict[str, Any] = {
        "cores": request.cores,
        "processes": 1,
        "memory": request.memory,
        "python": sys.executable,
        "nanny": True,
        "log_directory": str(logs),
        "worker_extra_args": worker_arguments(request.walltime_s),
        "job_extra_directives": list(request.directives),
        # By default it is open to the network, at a port that another cluster on this host may have.
        "scheduler_options": {"dashboard_address": f"{_LOOPBACK}:0"},
        "silence_logs": "critical",
    }
    if request.interface:
        options["interface"] = request.interface
    if system == "htcondor":
        longest = {"+MaxRuntime": str(int(request.walltime_s))} if request.walltime_s else {}
        options["job_extra_directives"] = {**longest, **_pairs(request.directives)}
        return HTCondorCluster(**options, disk=request.disk)
    if dask.config.get("jobqueue.slurm.local-directory") is None:  # otherwise the user has chosen a folder
        before = dask.config.get("jobqueue.slurm.job-script-prologue") or []
        options["job_script_prologue"] = [*before, *_SCRIPT_OF_SCRATCH]
        options["local_directory"] = f'"${_SCRATCH}"'
    if request.queue:
        options["queue"] = request.queue
    if request.walltime_s:
        options["walltime"] = _clock(request.walltime_s)
    return SLURMCluster(**options)


def worker_arguments(walltime_s: float | None) -> list[str]:
    """Return the options of a job's worker: one cell at a time, and an end of its own before the queue ends it."""
    arguments = ["--nthreads", "1", "--resources", f"{RESOURCE}=1", "--memory-limit", "0", "--no-dashboard"]
    if walltime_s is None:
        return arguments
    spare_s = min(300.0, walltime_s / 10)
    return [*arguments, "--lifetime", f"{walltime_s - spare_s:.0f}s", "--lifetime-stagger", f"{spare_s / 2:.0f}s"]


def dashboard_of(client: Client) -> str:
    """Return the address of Dask's own page on the cluster; empty if it has none."""
    return str(client.dashboard_link or "")


def _pairs(directives: Sequence[str]) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in directives)}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest:02d}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal: what matters of it the fleet says itself."""
    loggers = [logging.getLogger(name) for name in ("distributed", "dask_jobqueue", "tornado.application")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            # It takes another port for its page then.
            warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
            # A table of many lines; each worker that does not fit is named in one.
            warnings.filterwarnings("ignore", category=VersionMismatchWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
