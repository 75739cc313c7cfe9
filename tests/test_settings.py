"""Settings: what the command line, the configuration and the driver say, and who wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soak.documents import with_finite_numbers
from soak.errors import UsageError
from soak.request import INJECTED_KINDS, Injection, Request, parse_driver_setting, parse_injection
from soak.settings import ComponentPlan, RunPlan, make_plan, read_configuration

WriteFile = Callable[[str, str], Path]


@pytest.fixture
def plan_of(tmp_path: Path, write: WriteFile) -> Callable[..., RunPlan]:
    """Give a function that plans a run of two drivers, ``get`` (INTERVAL 20ms) and ``decoder``."""
    write("drivers/drive_get.py", "INTERVAL = '20ms'\ndef setup(**settings): pass\ndef cycle(state): pass\n")
    write("drivers/drive_decoder.py", "def setup(**settings): pass\ndef cycle(state): pass\n")

    def plan(configuration: str = "", **request: Any) -> RunPlan:
        write("pyproject.toml", f"[tool.soak]\n{configuration}")
        return make_plan(Request(**{"targets": ("drivers",), **request}), tmp_path)

    return plan


def named(plan: RunPlan, name: str) -> ComponentPlan:
    return next(component for component in plan.components if component.name == name)


def refusal_of(text: str, folder: Path) -> str:
    """Return the message with which a pyproject.toml of this text is refused."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / "case.py").write_text("def cycle(): pass\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        make_plan(Request(targets=("case.py:cycle",)), folder)
    message = str(refused.value)
    assert "\n" not in message
    assert "pyproject.toml" in message
    return message


def test_without_any_setting_the_defaults_hold(plan_of: Callable[..., RunPlan], tmp_path: Path):
    """Flat out, a minute, ended early, 1 B, one at a time, under reports/."""
    plan = plan_of()
    decoder = named(plan, "decoder")

    assert [component.name for component in plan.components] == ["decoder", "get"]
    assert (decoder.interval_s, decoder.budget_s, decoder.iterations, decoder.tolerance_bytes) == (0, 60, None, 1)
    assert (decoder.n_min, decoder.cycle_timeout_s, decoder.gate, decoder.settings) == (None, 60, True, {})
    assert (decoder.early_stop, decoder.full_budget, decoder.checkpoint_every) == (True, False, None)
    assert (plan.jobs, plan.out, plan.base) == (1, tmp_path / "reports", tmp_path)


def test_for_the_interval_the_nearest_to_the_user_wins(plan_of: Callable[..., RunPlan]):
    """Command line, then the component's table, then the driver, then [tool.soak], then flat out."""
    component = "\n[tool.soak.component.get]\ninterval = '3ms'\n"

    assert named(plan_of("interval = '9ms'" + component, interval_s=0.0), "get").interval_s == 0
    assert named(plan_of("interval = '9ms'" + component), "get").interval_s == pytest.approx(0.003)
    assert named(plan_of("interval = '9ms'"), "get").interval_s == pytest.approx(0.02)
    assert named(plan_of("interval = '9ms'"), "decoder").interval_s == pytest.approx(0.009)


@pytest.mark.parametrize(
    ("key", "field", "texts", "asked"),
    [
        ("tolerance", "tolerance_bytes", ("'2B'", "'3B'"), 5.0),
        ("n_min", "n_min", ("2", "3"), 5),
        ("budget", "budget_s", ("'2s'", "3"), 5.0),
    ],
)
def test_the_command_line_wins_over_the_components_table_over_the_run_s(
    plan_of: Callable[..., RunPlan], key: str, field: str, texts: tuple[str, str], asked: float
):
    table = f"{key} = {texts[0]}\n[tool.soak.component.decoder]\n{key} = {texts[1]}\n"
    option = {"budget": "duration_s", "tolerance": "tolerance_bytes", "n_min": "n_min"}[key]

    assert getattr(named(plan_of(table, **{option: asked}), "decoder"), field) == 5
    assert getattr(named(plan_of(table), "decoder"), field) == 3
    assert getattr(named(plan_of(table), "get"), field) == 2


def test_a_components_table_sets_what_only_it_can(plan_of: Callable[..., RunPlan]):
    decoder = named(
        plan_of(
            "[tool.soak.component.decoder]\ngate = false\ncycle_timeout = '5s'\nmax_pause = '9ms'\niterations = 9\n"
            "parts = ['get']\nsettings = {width = 640, name = 'a'}\n"
        ),
        "decoder",
    )

    assert (decoder.gate, decoder.cycle_timeout_s, decoder.iterations, decoder.parts) == (False, 5, 9, ("get",))
    assert decoder.settings == {"width": 640, "name": "a"}
    assert decoder.max_pause_s == pytest.approx(0.009)
    assert decoder.full_budget is False


def test_a_setting_of_the_command_line_wins_key_by_key(plan_of: Callable[..., RunPlan]):
    table = "[tool.soak.component.decoder]\nsettings = {width = 640, name = 'a'}\n"

    decoder = named(plan_of(table, driver_settings={"decoder": {"width": 8}}), "decoder")

    assert decoder.settings == {"width": 8, "name": "a"}


def test_dates_among_the_settings_become_text(plan_of: Callable[..., RunPlan]):
    """TOML has dates; a driver's settings are plain values, because they go to another interpreter."""
    table = "[tool.soak.component.decoder]\nsettings = {day = 2026-11-20, times = [07:30:00], at = {t = 2026-11-20}}\n"

    assert named(plan_of(table), "decoder").settings == {
        "day": "2026-11-20",
        "times": ["07:30:00"],
        "at": {"t": "2026-11-20"},
    }


def test_a_budget_that_the_user_names_is_a_full_one(plan_of: Callable[..., RunPlan]):
    """Then CLEAN is "clean so far" until its end; iterations alone leave the time open."""
    by_iterations = named(plan_of("budget = '2s'", iterations=500), "decoder")
    by_time = named(plan_of("budget = '2s'", duration_s=7.0), "decoder")

    assert (by_iterations.iterations, by_iterations.budget_s, by_iterations.full_budget) == (500, None, True)
    assert (by_time.iterations, by_time.budget_s, by_time.full_budget) == (None, 7, True)


def test_overnight_is_a_preset_that_can_be_changed(plan_of: Callable[..., RunPlan]):
    """100 ms, twelve hours, to the end, all components at once; a preset, so named values win."""
    plan = plan_of(overnight=True)
    changed = named(plan_of(overnight=True, interval_s=0.0, duration_s=9.0), "get")

    get = named(plan, "get")
    assert (get.interval_s, get.budget_s, get.early_stop, get.full_budget, plan.jobs) == (0.1, 43200, False, True, 2)
    assert (changed.interval_s, changed.budget_s) == (0, 9)
    assert plan_of(overnight=True, jobs=1).jobs == 1


def test_quick_shares_a_few_seconds_among_all_components(plan_of: Callable[..., RunPlan]):
    plan = plan_of("budget = '60s'", quick=True)

    assert sum(component.budget_s or 0 for component in plan.components) == pytest.approx(6)
    assert not any(component.full_budget for component in plan.components)


def test_targets_come_from_the_configuration_when_none_is_named(
    plan_of: Callable[..., RunPlan], tmp_path: Path, write: WriteFile
):
    """They start at the project's root, from whatever folder below it soak is called."""
    plan_of("targets = ['drivers']\nout = 'kept'")
    below = write("below/it/file", "").parent

    plan = make_plan(Request(), below)

    assert [component.name for component in plan.components] == ["decoder", "get"]
    assert (plan.base, plan.out) == (tmp_path, tmp_path / "kept")


def test_targets_that_are_named_start_at_the_working_folder(tmp_path: Path, write: WriteFile):
    write("pyproject.toml", "[tool.soak]\ntargets = ['gone']\n")
    below = write("below/case.py", "def cycle(): pass\n").parent

    plan = make_plan(Request(targets=("case.py:cycle",), out=Path("kept")), below)

    assert (plan.base, plan.out) == (below, below / "kept")


def test_nothing_to_soak_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing to soak: name a target, or set targets"):
        make_plan(Request(), tmp_path)


def test_a_pyproject_without_a_table_for_soak_is_passed_over(tmp_path: Path, write: WriteFile):
    """The nearest one that has the table counts."""
    write("pyproject.toml", "[tool.soak]\nn_min = 7\n")
    below = write("below/pyproject.toml", "[tool.ruff]\n").parent

    assert read_configuration(below) == (tmp_path, {"n_min": 7})


def test_a_folder_above_that_may_not_be_read_has_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root is never refused, so the refusal is scripted."""

    def refuse(file: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "is_file", refuse)

    assert read_configuration(tmp_path) == (tmp_path, {})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[tool.soak]\ntarget = ['x']\n", "target"),
        ("[tool.soak]\niterations = 5\n", "iterations"),
        ("[tool.soak.component.cycle]\nintervall = '1s'\n", "intervall"),
        ("[tool.soak.component.other]\nout = 'x'\n", "out"),
    ],
)
def test_an_unknown_key_is_named_with_its_table(tmp_path: Path, text: str, key: str):
    """Also in the table of a component that is not run this time, and a run's key in a component's table."""
    message = refusal_of(text, tmp_path)

    assert message.startswith(f"unknown key {key!r} in [tool.soak")
    assert "known keys are" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.soak]\ntargets = 'x'\n", "targets = 'x' in [tool.soak]"),
        ("[tool.soak]\nknown = [1]\n", "must be a list of strings"),
        ("[tool.soak]\nn_min = 0\n", "must be a whole number above 0"),
        ("[tool.soak]\nn_min = true\n", "must be a whole number above 0"),
        ("[tool.soak]\nn_min = 2.5\n", "must be a whole number above 0"),
        ("[tool.soak]\nbudget = ['1s']\n", "must be a string or a number"),
        ("[tool.soak]\nbudget = 'long'\n", "budget in [tool.soak]"),
        ("[tool.soak]\ninterval = -1\n", "interval in [tool.soak]"),
        ("[tool.soak]\ntolerance = 'none'\n", "tolerance in [tool.soak]"),
        ("[tool.soak]\nout = 3\n", "must be a string"),
        ("[tool.soak]\ncomponent = 3\n", "must be a table"),
        ("[tool.soak.component]\ncycle = 3\n", "must be a table"),
        ("[tool.soak.component.cycle]\ngate = 'no'\n", "must be true or false"),
        ("[tool.soak.component.cycle]\nsettings = 3\n", "must be a table"),
        ("[tool.soak.component.cycle]\ncycle_timeout = 'long'\n", "cycle_timeout in [tool.soak.component.cycle]"),
        ("[tool]\nsoak = 3\n", "[tool.soak]"),
        ("[tool.soak\n", "cannot be read"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_table(tmp_path: Path, text: str, expected: str):
    assert expected in refusal_of(text, tmp_path)


def test_a_tool_entry_that_is_no_table_is_ignored(tmp_path: Path, write: WriteFile):
    write("pyproject.toml", "tool = 3\n")

    assert read_configuration(tmp_path)[1] == {}


@pytest.mark.parametrize("tolerance_bytes", [0.0, -1.0])
def test_a_tolerance_that_can_never_be_met_is_refused(plan_of: Callable[..., RunPlan], tolerance_bytes: float):
    with pytest.raises(UsageError, match="can never be met"):
        plan_of(tolerance_bytes=tolerance_bytes)


def test_settings_and_leaks_for_a_component_that_is_not_there_are_refused(plan_of: Callable[..., RunPlan]):
    """The message names those that are."""
    with pytest.raises(UsageError, match="--set decodre: no such component; this run has decoder, get"):
        plan_of(driver_settings={"decodre": {"a": 1}})
    with pytest.raises(UsageError, match="--inject decodre: no such component; this run has decoder, get"):
        plan_of(injections={"decodre": Injection("native", 1)})


def test_settings_for_a_function_are_refused(tmp_path: Path, write: WriteFile):
    """A function takes none, and ignoring them would measure something other than requested."""
    write("case.py", "def read(): pass\n")

    with pytest.raises(UsageError, match=r"read is a function and takes no settings \(size\)"):
        make_plan(Request(targets=("case.py:read",), driver_settings={"read": {"size": 3}}), tmp_path)


@pytest.mark.parametrize(("size", "fits"), [(7_000, True), (8_000, False)])
def test_settings_that_have_no_room_are_refused(plan_of: Callable[..., RunPlan], size: int, fits: bool):
    """They go through a few pages of shared memory; larger data belong in a file."""
    asked = {"decoder": {"text": "ä" * size}}

    if fits:
        assert named(plan_of(driver_settings=asked), "decoder").settings == asked["decoder"]
    else:
        with pytest.raises(UsageError, match="the settings of decoder have 8,012 characters, and 8,000 are allowed"):
            plan_of(driver_settings=asked)


@pytest.mark.parametrize(
    ("text", "name", "injection"),
    [
        ("decoder=native:106", "decoder", Injection("native", 106, 1)),
        ("decoder=fd:1/10", "decoder", Injection("fd", 1, 10)),
        ("a.b=lost-reference:2KiB/3", "a.b", Injection("lost-reference", 2048, 3)),
        ("x=object:34", "x", Injection("object", 34, 1)),
        ("x=cycle:200", "x", Injection("cycle", 200, 1)),
        ("x=thread:2", "x", Injection("thread", 2, 1)),
        ("x=mmap:4KiB", "x", Injection("mmap", 4096, 1)),
    ],
)
def test_a_planted_leak_is_read(text: str, name: str, injection: Injection):
    assert parse_injection(text) == (name, injection)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "decoder",
        "decoder=",
        "decoder=native",
        "decoder=native:",
        "=native:1",
        "decoder=native:1/",
        "decoder=native:1/x",
        "decoder=native:1/-2",
        "decoder=native:1/²",
    ],
)
def test_a_planted_leak_of_another_form_is_refused(text: str):
    with pytest.raises(UsageError, match=r"is not NAME=KIND:SIZE\[/EVERY\], for example"):
        parse_injection(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=memory:5", f"unknown kind 'memory'; known are {', '.join(INJECTED_KINDS)}"),
        ("x=native:0", "size and every must be at least 1"),
        ("x=native:0.2B", "size and every must be at least 1"),
        ("x=native:5/0", "size and every must be at least 1"),
        ("x=native:-5", "'-5' is not a size"),
        ("x=native:big", "'big' is not a size"),
    ],
)
def test_a_planted_leak_of_an_impossible_kind_or_size_is_refused(text: str, message: str):
    with pytest.raises(UsageError) as refused:
        parse_injection(text)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("decoder.image_format=JPEG", ("decoder", "image_format", "JPEG")),
        ("decoder.width=640", ("decoder", "width", 640)),
        ("decoder.rate=0.5", ("decoder", "rate", 0.5)),
        ("decoder.on=true", ("decoder", "on", True)),
        ("decoder.sizes=[1, 2]", ("decoder", "sizes", [1, 2])),
        ("decoder.name='640'", ("decoder", "name", "640")),
        ("decoder.address=/TEST/Z41L.R2J/Output", ("decoder", "address", "/TEST/Z41L.R2J/Output")),
        ("decoder.empty=", ("decoder", "empty", "")),
        ("decoder.equation=a=b", ("decoder", "equation", "a=b")),
        ("a.b.key=1", ("a.b", "key", 1)),
    ],
)
def test_a_setting_is_read_as_toml_where_it_is_and_as_text_elsewhere(text: str, setting: tuple[str, str, Any]):
    assert parse_driver_setting(text) == setting


def test_numbers_that_json_does_not_have_are_text_in_documents():
    settings = {"rate": float("nan"), "sizes": [1, float("-inf"), 2.5], "name": "nan"}

    assert with_finite_numbers(settings) == {"rate": "nan", "sizes": [1, "-inf", 2.5], "name": "nan"}


@pytest.mark.parametrize("text", ["", "decoder", "decoder.width", "width=3", ".width=3", "decoder.=3", "decoder.a-b=3"])
def test_a_setting_of_another_form_is_refused(text: str):
    with pytest.raises(UsageError, match=r"is not NAME\.key=value, for example"):
        parse_driver_setting(text)
