"""Commands that soak tells a person to type: they parse, they mean what they followed from, and they run."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builder import an_undecided
from hypothesis import given
from hypothesis import strategies as st

from soak.commands.measuring import run as run_command
from soak.reporting import words as say
from soak.request import Request, typed_options
from soak.results import ComponentResult
from soak.settings import RunPlan, make_plan, options_of

DRIVER = "INTERVAL = '7ms'\ndef setup(**settings): return settings\ndef cycle(state): pass\n"
OPTIONS = [
    "",
    "--quick",
    "--duration 20s",
    "--overnight",
    "--interval 0",
    "--interval 250ms --jobs 2 --nice 3",
    "--no-track --no-early-stop",
    "--tolerance 0.01B --n-min 333 --checkpoint-every 5",
    "--cycle-timeout 90s --max-rss 2GiB --max-pause 10ms --max-temperature 81.5",
    f"--python {shlex.quote(sys.executable)} --out 'my reports'",
    "--set it.size=3 --set it.name='a b' --set it.quoted='\"5\"' --set other.size=4 --set it.list=[1,'x']",
    "--inject it=native:106/10 --inject other=fd:1",
    "--on-verdict 'mail -s leak me'",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with two drivers, called it and other, and a configuration of its own."""
    (tmp_path / "drivers").mkdir()
    for name in ("it", "other"):
        (tmp_path / "drivers" / f"drive_{name}.py").write_text(DRIVER, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.soak]\ntargets = ['drivers']\ninterval = '3ms'\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    return tmp_path


def planned(command: str, folder: Path) -> RunPlan:
    """Return what a command line of ``soak run`` plans when it is typed in ``folder``."""
    program, verb, *words = shlex.split(command)
    assert (program, verb) == ("soak", "run")
    parser = argparse.ArgumentParser(exit_on_error=False)
    run_command.add_arguments(parser)
    return make_plan(run_command.request_of(parser.parse_args(words)), folder)


def an_undecided_result_of(plan: RunPlan, position: int = 0) -> ComponentResult:
    component = plan.components[position]
    options = options_of(plan, component)
    return an_undecided(component.name, target=str(component.target), options=options)


def without_budget(plan: RunPlan) -> tuple[Any, ...]:
    (component,) = plan.components
    unbudgeted = replace(component, iterations=None, budget_s=None, full_budget=True, checkpoint_share=None, options=())
    return unbudgeted, plan.out, plan.python, plan.track, plan.on_verdict, plan.base


@pytest.mark.parametrize("typed", OPTIONS)
@pytest.mark.parametrize("targets", ["drivers/drive_it.py", "drivers", ""])
def test_what_decides_an_open_verdict_is_the_same_run_with_another_budget(project: Path, typed: str, targets: str):
    """From options to a plan to the command to a plan: all the same, but for the cycles."""
    if targets == "drivers/drive_it.py":
        typed = re.sub(r"--(set|inject) other\S+", "", typed)
    plan = planned(f"soak run {targets} {typed}", project)

    command = say.needed_command(an_undecided_result_of(plan))

    assert command is not None
    again = planned(command, project)
    alone = replace(plan, components=plan.components[:1])
    assert without_budget(again) == without_budget(alone)
    assert [again.components[0].iterations, again.components[0].budget_s] == [16_000, None]
    assert not any(word in command for word in ("--quick", "--overnight", "--duration", "other"))


def test_a_command_says_nothing_that_nobody_typed(project: Path):
    """The driver's INTERVAL and the configuration hold for it as well."""
    plan = planned("soak run drivers/drive_it.py --quick", project)

    expected = "soak run drivers/drive_it.py --iterations 16000"
    assert expected == say.needed_command(an_undecided_result_of(plan))


def test_targets_of_the_configuration_are_named_from_where_the_user_is(project: Path):
    plan = planned("soak run", project / "below")

    command = say.needed_command(an_undecided_result_of(plan, position=1))

    assert command == "soak run ../drivers/drive_other.py --iterations 16000"
    assert planned(command, project / "below").components[0].target.path == plan.components[1].target.path


def test_an_n_min_that_is_raised_replaces_the_one_typed(project: Path):
    """Only once on the command line."""
    plan = planned("soak run drivers/drive_it.py --n-min 20 --tolerance 2B", project)

    command = say.run_command(an_undecided_result_of(plan), ("--n-min", "3400"))

    assert command == "soak run drivers/drive_it.py --tolerance 2B --n-min 3400"


def test_where_no_command_soaks_the_same_none_is_told():
    """A whole test, a function of the caller's own process."""
    assert say.needed_command(an_undecided(options=None)) is None


keys = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
plain = st.text(st.characters(blacklist_categories=("Cs",))) | st.integers() | st.booleans()
plain |= st.floats(allow_nan=False) | st.dates() | st.just(datetime(2026, 3, 1, 2, 30, tzinfo=UTC))
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@given(st.dictionaries(keys, values, min_size=1, max_size=3))
def test_settings_come_back_as_they_were(settings: dict[str, Any]):
    """Whatever TOML can say."""
    options = typed_options(Request(driver_settings={"it": settings}), "it")

    texts = [value for option, value in options if option == "--set"]
    assert run_command.parse_driver_settings(texts) == {"it": settings}
    # 1 == True == 1.0, but a driver may tell them apart.
    assert repr(settings) == repr(run_command.parse_driver_settings(texts)["it"])
