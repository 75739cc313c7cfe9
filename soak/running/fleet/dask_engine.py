"""Cells as tasks of Dask: one at a time on each host."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from distributed import Future
from distributed.scheduler import KilledWorker

from soak.matrix.cells import Cell
from soak.running.fleet.clusters import RESOURCE, Hosts
from soak.running.fleet.dask_worker import WorkerFacts, measure_on_worker, own_facts
from soak.running.fleet.engine import Ended, EngineLostError
from soak.store.fleets import ask_to_stop, has_begun
from soak.units import format_duration

_LOOK_EVERY_S, _RENEW_EVERY_S, _STOP_WITHIN_S = 1.0, 20.0, 40.0
WORKER_LOST = "the worker was lost"


@dataclasses.dataclass
class _Task:
    cell: Cell
    avoid: frozenset[str]
    attempt: int
    future: Future[Any]
    worker: str


class DaskEngine:
    """An engine on the workers of a Dask cluster.

    Each host has one task, and gets the next when that has ended. So a cell goes to the host that is free first, also
    to one that comes late, without work stealing; and what is lost with a host is one cell.
    """

    def __init__(
        self,
        hosts: Hosts,
        folder: Path,
        say: Callable[[str], None],
        *,
        wait_for_hosts_s: float,
        one_place_a_host: bool = True,
    ) -> None:
        """Measure into the folder of a fleet. ``one_place_a_host``: use one worker of each machine only.

        ``say`` writes a line for the user. ``wait_for_hosts_s``: how long it goes on without any host.
        """
        self._client = hosts.client
        self._renew = hosts.renew
        self._folder = folder
        self._say = say
        self._wait_for_hosts_s = wait_for_hosts_s
        self._one_place_a_host = one_place_a_host
        self._waiting: deque[tuple[Cell, frozenset[str]]] = deque()
        self._tasks: dict[str, _Task] = {}
        self._attempts: dict[str, int] = {}
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._facts: dict[str, WorkerFacts] = {}
        self._workers: dict[str, str] = {}
        """Host by address, of the workers that can be given cells."""
        self._unfit: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._looked_at_s = float("-inf")
        self._had_hosts_at_s = self._renewed_at_s = time.monotonic()

    def submit(self, cell: Cell, avoid: Collection[str] = ()) -> None:
        """See Engine."""
        self._waiting.append((cell, frozenset(avoid)))

    def next_ended(self, timeout_s: float) -> Ended | None:
        """See Engine."""
        self._look()
        self._feed()
        try:
            key = self._changed.get(timeout=timeout_s)
        except queue.Empty:
            return None
        task = self._tasks.pop(key, None)
        ended = None if task is None else self._ended(task)
        if ended is not None and ended.cause is None:
            # The host need not wait until the caller has seen to what it measured.
            self._feed()
        return ended

    def at_work(self) -> Mapping[str, str]:
        """See Engine."""
        return {self._place_of(task.worker): task.cell.id for task in self._tasks.values()}

    def leave_out(self, host: str) -> bool:
        """See Engine."""
        if host in self._left_out or not set(self._workers.values()) - {host}:
            return False
        self._left_out.add(host)
        self._looked_at_s = float("-inf")
        return True

    def stop(self) -> None:
        """See Engine."""
        self._waiting.clear()
        with contextlib.suppress(OSError):
            ask_to_stop(self._folder)
        end = time.monotonic() + _STOP_WITHIN_S
        while self._tasks and time.monotonic() < end and self._client.status == "running":
            with contextlib.suppress(queue.Empty):
                self._tasks.pop(self._changed.get(timeout=0.5), None)

    def _ended(self, task: _Task) -> Ended | None:
        future, place = task.future, self._place_of(task.worker)
        if future.status == "finished":
            host, cause = future.result()
            return Ended(task.cell.id, host if self._one_place_a_host else place, cause)
        if self._client.status != "running":
            raise EngineLostError(self._lost_scheduler())
        if future.status == "pending":
            future.cancel()
            return self._lost_with_worker(task)
        if future.status == "cancelled":
            return Ended(task.cell.id, place, "its task was cancelled")
        error = future.exception()
        if not isinstance(error, KilledWorker):
            return Ended(task.cell.id, place, f"its task failed ({error})")
        return self._lost_with_worker(task)

    def _lost_with_worker(self, task: _Task) -> Ended | None:
        """See to a task whose worker is gone; one that had not begun is no loss and goes to another worker."""
        if has_begun(self._folder, task.cell.id, task.attempt):
            return Ended(task.cell.id, self._place_of(task.worker), WORKER_LOST)
        self._waiting.appendleft((task.cell, task.avoid))
        return None

    def _look(self) -> None:
        """See which workers there are now, and what they are at."""
        now = time.monotonic()
        if now - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now
        if self._client.status != "running":
            raise EngineLostError(self._lost_scheduler())
        try:
            there = self._client.scheduler_info()["workers"]
        except (OSError, TimeoutError) as error:
            raise EngineLostError(self._lost_scheduler()) from error
        offering = [address for address, worker in there.items() if worker.get("resources", {}).get(RESOURCE)]
        self._greet([address for address in offering if address not in self._facts and address not in self._unfit])
        self._workers = self._usable(offering)
        self._see_to_stranded(set(there))
        if now - self._renewed_at_s >= _RENEW_EVERY_S:
            self._renewed_at_s = now
            self._renew()
        self._check_for_hosts(now, there)

    def _greet(self, addresses: list[str]) -> None:
        """Ask new workers who they are; those that cannot measure cells are named and left alone."""
        if not addresses:
            return
        own = own_facts()
        for address, facts in self._client.run(own_facts, workers=addresses, on_error="return").items():
            if not isinstance(facts, WorkerFacts):
                if not isinstance(facts, OSError):  # it is gone again
                    self._refuse(address, f"the worker {address} cannot measure cells: {facts}")
                continue
            other = [name for name, version in own.versions.items() if facts.versions.get(name) != version]
            if other:
                theirs, ours = ([f"{n} {f.versions.get(n)}" for n in other] for f in (facts, own))
                self._refuse(
                    address, f"the worker {address} on {facts.host} has {', '.join(theirs)}; here is {', '.join(ours)}"
                )
            else:
                self._facts[address] = facts

    def _refuse(self, address: str, reason: str) -> None:
        self._unfit[address] = reason
        self._say(reason)

    def _usable(self, offering: list[str]) -> dict[str, str]:
        """Return the workers that can be given cells, by address, with their hosts."""
        usable: dict[str, str] = {}
        for address in sorted(offering):
            if address in self._facts:
                host = self._place_of(address)
                if host not in self._left_out and not (self._one_place_a_host and host in usable.values()):
                    usable[address] = host
        return usable

    def _place_of(self, address: str) -> str:
        """Name where a worker is: its host, or on a host with several its port too."""
        facts = self._facts.get(address)
        if facts is None:
            return address
        return facts.host if self._one_place_a_host else f"{facts.host}:{address.rpartition(':')[2]}"

    def _see_to_stranded(self, there: set[str]) -> None:
        """End the tasks of workers that went away in order: their scheduler waits for them to come back."""
        for key, task in self._tasks.items():
            if task.future.status == "pending" and task.worker not in there:
                self._changed.put(key)

    def _check_for_hosts(self, now: float, there: Mapping[str, Any]) -> None:
        if self._workers:
            self._had_hosts_at_s = now
            return
        if self._unfit and set(self._unfit) >= set(there) and there:
            raise EngineLostError("; ".join(self._unfit[address] for address in there))
        if now - self._had_hosts_at_s >= self._wait_for_hosts_s:
            hint = f"; no worker offers the resource (dask worker ADDRESS --resources {RESOURCE}=1)" if there else ""
            raise EngineLostError(f"there was no host for {format_duration(self._wait_for_hosts_s)}{hint}")

    def _feed(self) -> None:
        """Give each free host a cell that it may have."""
        taken = {self._place_of(task.worker) for task in self._tasks.values()}
        for worker, host in self._workers.items():
            cell_for_host = None if host in taken else self._next_for(host)
            if cell_for_host is None:
                continue
            cell, avoid = cell_for_host
            attempt = self._attempts[cell.id] = self._attempts.get(cell.id, 0) + 1
            key = f"{cell.component}-{cell.id}-{attempt}"
            future = self._client.submit(
                measure_on_worker,
                str(self._folder),
                dataclasses.asdict(cell),
                attempt,
                key=key,
                workers=[worker],
                resources={RESOURCE: 1},
                pure=False,
                retries=0,
            )
            self._tasks[key] = _Task(cell, avoid, attempt, future, worker)
            future.add_done_callback(lambda done: self._changed.put(str(done.key)))

    def _next_for(self, host: str) -> tuple[Cell, frozenset[str]] | None:
        """Take the first cell that need not avoid a host, or must avoid all hosts; None when there is none."""
        hosts = set(self._workers.values())
        for position, (_, avoid) in enumerate(self._waiting):
            if host not in avoid or hosts <= avoid:
                found = self._waiting[position]
                del self._waiting[position]
                return found
        return None

    def _lost_scheduler(self) -> str:
        return f"the scheduler was lost; soak fleet --resume {self._folder} goes on"
