"""Targets: what may be named, what it is called, and what is refused with one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from soak.errors import UsageError
from soak.targets import find_targets

WriteFile = Callable[[str, str], Path]
DRIVER = '''
"""A driver."""

def cycle(state):
    pass
'''


def refusal(specifications: list[str], base: Path) -> str:
    """Return the message with which the specifications are refused."""
    with pytest.raises(UsageError) as refused:
        find_targets(specifications, base)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_folder_gives_its_drivers_by_name(tmp_path: Path, write: WriteFile):
    """A driver is drive_*.py and is named without the prefix; other files and folders below are left alone."""
    for name in ("drive_get.py", "drive_decoder.py", "helper.py", "below/drive_hidden.py"):
        write(f"drivers/{name}", DRIVER)

    targets = find_targets(["drivers"], tmp_path)

    assert [target.name for target in targets] == ["decoder", "get"]
    assert (targets[0].kind, targets[0].path) == ("driver", str(tmp_path / "drivers/drive_decoder.py"))


def test_the_four_forms_of_a_target(tmp_path: Path, write: WriteFile):
    """Driver file, function of a file, method of a class in a file, function of a module."""
    file = str(write("case.py", "class Camera:\n    def read(self=None): pass\n\ndef cycle(state=None): pass\n"))

    targets = find_targets(["case.py", "case.py:Camera.read", "os.path:getcwd"], tmp_path)

    found = [(target.name, target.kind, target.path, target.module, target.function) for target in targets]
    assert found == [
        ("case", "driver", file, None, None),
        ("read", "function", file, None, "Camera.read"),
        ("getcwd", "module", None, "os.path", "getcwd"),
    ]


def test_targets_stay_in_the_order_in_which_they_were_named(tmp_path: Path, write: WriteFile):
    write("b.py", DRIVER)
    write("a.py", DRIVER)

    assert [target.name for target in find_targets(["b.py", "a.py"], tmp_path)] == ["b", "a"]


def test_a_driver_outside_the_prefix_is_called_by_its_stem(tmp_path: Path, write: WriteFile):
    write("my_script.py", DRIVER)

    assert find_targets(["my_script.py"], tmp_path)[0].name == "my_script"


def test_nothing_of_a_target_is_imported(tmp_path: Path, write: WriteFile):
    """Only the measured process imports a target; a module that would raise can still be named."""
    write("drive_loud.py", "raise RuntimeError('imported')\ndef cycle(state): pass\n")

    assert find_targets(["drive_loud.py"], tmp_path)[0].name == "loud"


@pytest.mark.parametrize(
    "binding",
    [
        "cycle = print",
        "cycle: object = print",
        "from builtins import print as cycle",
        "from builtins import *",
        "if True:\n    def cycle(state): pass",
        "try:\n    import cycle\nexcept ImportError:\n    def cycle(state): pass",
        "async def cycle(state): pass",
        "class cycle: pass",
        "other, (cycle, more) = 1, (print, 3)",
    ],
)
def test_cycle_may_be_bound_in_any_way_at_top_level(tmp_path: Path, write: WriteFile, binding: str):
    write("drive_it.py", binding)

    assert find_targets(["drive_it.py"], tmp_path)[0].kind == "driver"


@pytest.mark.parametrize(
    ("interval", "interval_s"),
    [("'100ms'", 0.1), ("0.5", 0.5), ("2", 2.0), ("0", 0.0), ("None", None), ("'10min'", 600.0)],
)
def test_a_drivers_interval_is_read_unrun(tmp_path: Path, write: WriteFile, interval: str, interval_s: float | None):
    write("drive_paced.py", f"INTERVAL = {interval}\n{DRIVER}")

    assert find_targets(["drive_paced.py"], tmp_path)[0].interval_s == interval_s


def test_a_drivers_longest_pause_is_read_unrun(tmp_path: Path, write: WriteFile):
    write("drive_paced.py", f"MAX_PAUSE = '10ms'\n{DRIVER}")
    write("drive_free.py", DRIVER)

    paced, free = find_targets(["drive_paced.py", "drive_free.py"], tmp_path)

    assert (paced.max_pause_s, free.max_pause_s) == (0.01, None)


def test_an_annotated_interval_is_read_too(tmp_path: Path, write: WriteFile):
    write("drive_paced.py", f"INTERVAL: str = '20ms'\n{DRIVER}")

    assert find_targets(["drive_paced.py"], tmp_path)[0].interval_s == pytest.approx(0.02)


@pytest.mark.parametrize(("line", "period"), [("PERIOD = 6", 6), ("PERIOD: int = 1", 1), ("", 1)])
def test_a_drivers_period_is_read_unrun(tmp_path: Path, write: WriteFile, line: str, period: int):
    write("drive_songs.py", f"{line}\n{DRIVER}")

    assert find_targets(["drive_songs.py"], tmp_path)[0].period == period


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "'6'", "True", "None", "len(SONGS)", "100000"])
def test_a_period_that_is_no_number_of_cycles_is_refused(tmp_path: Path, write: WriteFile, value: str):
    write("drive_songs.py", f"PERIOD = {value}\n{DRIVER}")

    assert "drive_songs.py: PERIOD must be a number from 1 to 1,024" in refusal(["drive_songs.py"], tmp_path)


@pytest.mark.parametrize(("words", "read"), [("('server',)", ("server",)), ("['a b', 'c']", ("a b", "c")), ("()", ())])
@pytest.mark.parametrize("target", ["drive_it.py", "drive_it.py:cycle"])
def test_the_children_to_be_left_out_are_read_unrun(
    tmp_path: Path, write: WriteFile, words: str, read: tuple[str, ...], target: str
):
    write("drive_it.py", f"IGNORED_CHILDREN = {words}\ndef cycle(state=None): pass\n")

    assert find_targets([target], tmp_path)[0].ignored_children == read


@pytest.mark.parametrize("words", ["'server'", "None", "(1,)", "('',)", "(name(),)", "('a', b)"])
def test_children_to_be_left_out_that_are_no_words_are_refused(tmp_path: Path, write: WriteFile, words: str):
    """A text alone would leave out by its letters."""
    write("drive_it.py", f"IGNORED_CHILDREN = {words}\n{DRIVER}")

    assert "drive_it.py: IGNORED_CHILDREN must be a tuple of words" in refusal(["drive_it.py"], tmp_path)


def test_a_driver_without_interval_has_none(tmp_path: Path, write: WriteFile):
    write("drive_free.py", DRIVER)

    assert find_targets(["drive_free.py"], tmp_path)[0].interval_s is None


@pytest.mark.parametrize("interval", ["1 + 1", "True", "seconds(3)", "-1", "['1s']"])
def test_an_interval_that_must_be_run_is_refused(tmp_path: Path, write: WriteFile, interval: str):
    write("drive_paced.py", f"INTERVAL = {interval}\n{DRIVER}")

    assert "drive_paced.py: INTERVAL must be a plain value" in refusal(["drive_paced.py"], tmp_path)


@pytest.mark.parametrize("interval", ["'often'", "'-1s'", "b'1s'", "..."])
def test_an_interval_that_is_no_duration_is_refused(tmp_path: Path, write: WriteFile, interval: str):
    write("drive_paced.py", f"INTERVAL = {interval}\n{DRIVER}")

    message = refusal(["drive_paced.py"], tmp_path)

    assert message.startswith("drive_paced.py: INTERVAL: ")
    assert "is not a duration" in message


@pytest.mark.parametrize("text", ["nothing", "no/such/folder", "README", "", "case.txt"])
def test_an_unknown_target_is_refused_with_the_forms_there_are(tmp_path: Path, text: str):
    if text == "":  # the base itself, a folder, but one without drivers
        assert "no drivers in ''" in refusal([text], tmp_path)
        return
    message = refusal([text], tmp_path)

    assert message.startswith(f"unknown target {text!r}")
    assert "file.py:function or package.module:function" in message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    assert refusal(["gone.py"], tmp_path) == f"there is no file {tmp_path / 'gone.py'}"
    assert refusal(["gone.py:cycle"], tmp_path) == f"there is no file {tmp_path / 'gone.py'}"


def test_a_folder_without_drivers_is_refused(tmp_path: Path, write: WriteFile):
    write("empty/helper.py", DRIVER)

    assert refusal(["empty"], tmp_path) == "no drivers in 'empty': none of its files is named drive_*.py"


def test_a_driver_without_cycle_is_refused_with_what_it_has(tmp_path: Path, write: WriteFile):
    write("drive_odd.py", "def read_image(): pass\n")

    message = refusal(["drive_odd.py"], tmp_path)

    assert message.startswith("drive_odd.py has no function cycle(state), so it is not a driver")
    assert message.endswith("drive_odd.py:read_image")


@pytest.mark.parametrize(
    ("source", "is_refused"),
    [
        ("def cycle(): pass\n", True),
        ("def cycle(*, size=3): pass\n", True),
        ("def cycle(*state): pass\n", False),
        ("@given\ndef cycle(): pass\n", False),
        ("cycle = make()\n", False),
    ],
)
def test_a_cycle_that_takes_no_state_is_refused_with_what_to_write(
    tmp_path: Path, write: WriteFile, source: str, is_refused: bool
):
    write("my_script.py", source)

    if not is_refused:
        assert find_targets(["my_script.py"], tmp_path)
        return
    assert refusal(["my_script.py"], tmp_path) == (
        "cycle() in my_script.py takes no state, so it is not a driver; name the function: my_script.py:cycle"
    )


def test_a_cycle_inside_a_function_does_not_count(tmp_path: Path, write: WriteFile):
    write("drive_odd.py", "def outer():\n    def cycle(state): pass\n")

    assert "has no function cycle(state)" in refusal(["drive_odd.py"], tmp_path)


def test_two_components_of_one_name_are_refused_with_both_places(tmp_path: Path, write: WriteFile):
    write("one/drive_same.py", DRIVER)
    write("other/drive_same.py", DRIVER)

    message = refusal(["one", "other"], tmp_path)

    assert message.startswith("two components are named 'same'")
    assert "one/drive_same.py and " in message
    assert "other/drive_same.py; rename one" in message


def test_a_driver_and_a_function_of_one_name_are_refused(tmp_path: Path, write: WriteFile):
    write("drive_read.py", DRIVER)
    write("case.py", "def read(): pass\n")

    assert "two components are named 'read'" in refusal(["drive_read.py", "case.py:read"], tmp_path)


def test_a_function_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, write: WriteFile):
    write("case.py", "def read(): pass\ndef write(): pass\ndef _hidden(): pass\n")

    assert refusal(["case.py:raed"], tmp_path) == "'case.py:raed': case.py defines no 'raed'; it defines read, write"


@pytest.mark.parametrize("signature", ["state", "a, b=1", "a, /", "*, a", "a, *rest"])
def test_a_function_that_takes_arguments_is_refused(tmp_path: Path, write: WriteFile, signature: str):
    write("case.py", f"def read({signature}): pass\n")

    assert "'case.py:read' needs arguments" in refusal(["case.py:read"], tmp_path)


@pytest.mark.parametrize("signature", ["", "a=1", "*rest", "*, a=1", "**rest"])
def test_a_function_that_can_be_called_without_arguments_is_taken(tmp_path: Path, write: WriteFile, signature: str):
    write("case.py", f"def read({signature}): pass\n")

    assert find_targets(["case.py:read"], tmp_path)[0].function == "read"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case.py:", "names no function; write case.py:FUNCTION"),
        ("a/b:read", "is neither a Python file nor the name of a module"),
        ("a-b:read", "is neither a Python file nor the name of a module"),
        (":read", "is neither a Python file nor the name of a module"),
    ],
)
def test_an_incomplete_target_is_refused(tmp_path: Path, text: str, message: str):
    assert message in refusal([text], tmp_path)


@pytest.mark.parametrize("text", ["def cycle(state:\n", "\0", "def cycle(state):\nreturn 1\n"])
def test_a_file_that_is_no_python_is_refused(tmp_path: Path, write: WriteFile, text: str):
    write("drive_torn.py", text)

    assert "drive_torn.py is not valid Python" in refusal(["drive_torn.py"], tmp_path)


def test_of_a_file_that_is_no_driver_the_functions_defined_there_are_listed(tmp_path: Path):
    """What it imports, and its other names, are no function to soak."""
    (tmp_path / "app.py").write_text(
        "from json import loads\nLIMIT = 3\ndef _own(): ...\ndef read(): ...\ndef write(): ...\n", encoding="utf-8"
    )

    message = refusal(["app.py"], tmp_path)

    assert message.endswith("name a function instead: app.py:read (also defined there: write)")


def test_a_function_that_is_not_there_is_answered_with_the_names_defined_there(tmp_path: Path):
    (tmp_path / "app.py").write_text("from json import loads\ndef read(): ...\n", encoding="utf-8")

    assert refusal(["app.py:raed"], tmp_path) == "'app.py:raed': app.py defines no 'raed'; it defines read"
