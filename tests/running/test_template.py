"""A process that a template forks: measured, ended and marked like one that was started by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from running_builder import Soaked, a_plan, context

from soak.measurements import Reading
from soak.request import Injection
from soak.running.child.process import MeasuredProcess, start_component
from soak.running.child.template import MARK_VARIABLE, Template, new_mark
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.settings import ComponentPlan
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")]

EXCLUSIVE, PRESENT, PAGE_BYTES = 1 << 56, 1 << 63, os.sysconf("SC_PAGE_SIZE")


def make_template() -> Template:
    """Return a template that has loaded json."""
    return Template(find_library()[0], "json", str(json.__file__))


@pytest.fixture
def template() -> Iterator[Template]:
    made = make_template()
    yield made
    made.close()


def start_forked(template: Template, folder: Path, plan: ComponentPlan) -> MeasuredProcess:
    """Start a process that is forked, and check that it was."""
    child = start_component(plan, tracked_context(folder), template=template)
    assert Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1] == str(
        template.pid
    )
    return child


def tracked_context(folder: Path) -> RunContext:
    return replace(context(folder), tracker_library=find_library()[0])


def soak_forked(template: Template, folder: Path, plan: ComponentPlan) -> Soaked:
    child = start_forked(template, folder, plan)
    readings: list[Reading] = []
    return Soaked(soak_component(plan, tracked_context(folder), on_readings=readings.extend, process=child), readings)


def test_two_processes_of_one_template_one_leaking_and_one_clean_are_both_judged(template: Template, tmp_path: Path):
    """The repaired twin comes second: nothing of the first process is in it."""
    leaking = soak_forked(template, tmp_path, a_plan(iterations=1500, injection=Injection("native", 106, 1)))
    clean = soak_forked(template, tmp_path, a_plan(iterations=600, checkpoint_every=1))

    assert leaking.observed.decision.verdict is Verdict.LEAK
    assert clean.observed.decision.verdict is Verdict.CLEAN
    for name in ("heap", "python_blocks", "heap_free", "mapped", "fds", "threads"):
        assert set(clean.values(name)[1:]) == {clean.values(name)[1]}, name


def test_what_it_prints_and_how_it_ends_is_told(template: Template, tmp_path: Path):
    driver = "import os\ndef cycle(_):\n    print('here', flush=True)\n    os.abort()"
    (tmp_path / "drive_it.py").write_text(driver, encoding="utf-8")
    plan = a_plan(find_targets(["drive_it.py"], tmp_path)[0])
    observed = soak_forked(template, tmp_path, plan).observed

    assert observed.failure is not None
    assert "SIGABRT" in observed.failure.detail
    assert observed.output.startswith("here")


def marks_of(pid: int) -> list[bytes]:
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return [line for line in environment if line.startswith(MARK_VARIABLE.encode())]


def test_all_its_memory_is_its_own_from_the_beginning(template: Template, tmp_path: Path):
    """Pages that it shared with the template would become its own one after the other, which looks like growth."""
    (tmp_path / "drive_it.py").write_text("import time\ndef cycle(_): time.sleep(60)", encoding="utf-8")
    child = start_forked(template, tmp_path, a_plan(find_targets(["drive_it.py"], tmp_path)[0]))
    try:
        while not child.ring.rows_written:
            child.wait_for_row(0, 0.05)
        maps = Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8").splitlines()
        heap = next(line for line in maps if line.endswith("[heap]"))
        start, end = (int(bound, 16) for bound in heap.split()[0].split("-"))
        with Path(f"/proc/{child.pid}/pagemap").open("rb", 0) as pages:
            pages.seek(start // PAGE_BYTES * 8)
            entries = memoryview(pages.read((end - start) // PAGE_BYTES * 8)).cast("Q")
        assert all(entry & EXCLUSIVE for entry in entries if entry & PRESENT)
    finally:
        child.close()


def test_it_has_its_own_mark_in_its_environment_and_ends_when_it_is_killed(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    child = start_forked(template, tmp_path, a_plan(iterations=None))
    while child.ring.phase_name != "cycle":
        child.wait_for_row(0, 0.05)
    (mark,) = marks_of(child.pid)
    (mark_of_template,) = marks_of(template.pid)
    child.kill()

    assert mark != mark_of_template
    assert child.exit_status() == -signal.SIGKILL
    child.close()
    following = start_forked(template, tmp_path, a_plan(iterations=None))
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", no_such_group)
        following.kill()
    assert following.exit_status() == -signal.SIGKILL
    following.close()


def no_such_group(group: int, number: int) -> None:
    """Answer as the kernel does while a process that was just forked has no group of its own."""
    raise ProcessLookupError(group, number)


def test_a_changed_environment_starts_a_process_anew(template: Template, monkeypatch: pytest.MonkeyPatch):
    """What a process takes over when it starts would be missing in a forked one."""
    library = find_library()[0]
    assert template.can_fork(library)
    monkeypatch.setenv("SOMETHING", "else")
    assert not template.can_fork(library)
    monkeypatch.delenv("SOMETHING")
    assert template.can_fork(library)
    assert not template.can_fork(None)


def test_a_template_with_a_thread_or_another_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = Template(None, "json", "/elsewhere/json.py")
    assert not other.can_fork(None)
    assert other.refused == "json would be another one"
    other.close()
    starting = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    (tmp_path / "sitecustomize.py").write_text(starting, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    threaded = Template(None, "json", str(json.__file__))
    assert not threaded.can_fork(None)
    assert "thread" in threaded.refused
    threaded.close()


def test_a_template_that_is_killed_is_refused_and_takes_its_process_along(tmp_path: Path):
    template = make_template()
    plan = a_plan()
    child = start_forked(template, tmp_path, plan)
    os.kill(template.pid, signal.SIGKILL)
    assert child._process.wait(10) == -signal.SIGKILL
    child.close()

    afterwards = start_component(plan, tracked_context(tmp_path), template=template)
    assert isinstance(afterwards._process, subprocess.Popen)
    afterwards.close()
    template.close()


def test_marks_are_equally_long():
    """A forked process writes its own over the template's."""
    assert len(new_mark()) == len(new_mark())
