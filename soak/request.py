"""What a command line asks for, read from its options and written back as options."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar

from soak.errors import UsageError
from soak.units import exact_duration, exact_size, parse_size_bytes

INJECTED_KINDS = ("native", "object", "cycle", "fd", "thread", "child", "mmap", "lost-reference")

OVERNIGHT_INTERVAL_S = 0.1
Option = tuple[str, ...]
"""An option of ``soak run`` and its value, if it takes one."""
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Injection:
    """A leak to plant: ``size`` (bytes; a count for fd and thread) after every ``every``-th cycle."""

    kind: str
    size: int
    every: int = 1

    def __str__(self) -> str:
        """Return it as a user writes it: ``native:106/10``."""
        return f"{self.kind}:{self.size}" + (f"/{self.every}" if self.every != 1 else "")


@dataclass(frozen=True)
class Request:
    """What the command line asks for; None or empty means that it says nothing."""

    targets: tuple[str, ...] = ()
    iterations: int | None = None
    duration_s: float | None = None
    interval_s: float | None = None
    overnight: bool = False
    quick: bool = False
    early_stop: bool = True
    tolerance_bytes: float | None = None
    n_min: int | None = None
    checkpoint_every: int | None = None
    track: bool = True
    follow: bool = True
    jobs: int | None = None
    python: str | None = None
    driver_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    injections: dict[str, Injection] = field(default_factory=dict)
    cycle_timeout_s: float | None = None
    max_rss_bytes: float | None = None
    max_pause_s: float | None = None
    max_temperature_c: float | None = None
    nice: int = 0
    out: Path | None = None
    on_verdict: str | None = None


def parse_injection(text: str) -> tuple[str, Injection]:
    """Parse ``NAME=KIND:SIZE[/EVERY]``; return the name of the component and what to plant."""
    name, equals, rest = text.partition("=")
    kind, colon, amount = rest.partition(":")
    size_text, slash, every_text = amount.partition("/")
    if not (name and equals and colon and size_text) or (slash and not every_text.isdecimal()):
        raise UsageError(f"--inject {text!r} is not NAME=KIND:SIZE[/EVERY], for example decoder=native:106/10")
    if kind not in INJECTED_KINDS:
        raise UsageError(f"--inject {text!r}: unknown kind {kind!r}; known are {', '.join(INJECTED_KINDS)}")
    size, every = round(parse_size_bytes(size_text)), int(every_text) if slash else 1
    if size < 1 or every < 1:
        raise UsageError(f"--inject {text!r}: size and every must be at least 1")
    return name, Injection(kind, size, every)


def parse_driver_settings(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse settings as `parse_driver_setting` does; return them by component. Later ones replace earlier ones."""
    settings: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, key, value = parse_driver_setting(text)
        settings.setdefault(name, {})[key] = value
    return settings


def parse_driver_setting(text: str) -> tuple[str, str, Any]:
    """Parse ``NAME.key=value``. The value is parsed as TOML (numbers, true, lists); if it is not TOML, it is text."""
    place, equals, value_text = text.partition("=")
    name, dot, key = place.rpartition(".")
    if not (equals and dot and name and key.isidentifier()):
        raise UsageError(f"--set {text!r} is not NAME.key=value, for example decoder.image_format=JPEG")
    try:
        value = tomllib.loads(f"value = {value_text}")["value"]
    except (ValueError, RecursionError):
        value = value_text
    return name, key, value


def run_options(python: str | None, *, track: bool) -> tuple[Option, ...]:
    """Return the options that give the interpreter of a run and switch off its tracker."""
    given: tuple[Option, ...] = (("--python", python),) if python else ()
    return given if track else (*given, ("--no-track",))


def typed_options(request: Request, name: str) -> tuple[Option, ...]:
    """Return the options of ``soak run`` by which ``request`` asks for the component ``name``, but for its budget.

    The interpreter and the tracker are those of the run (see `soak.settings.options_of`). ``--overnight`` is written
    as the pace and the early stop that it stands for, and ``--quick`` is all budget.
    """
    return tuple(_typed_options(request, name))


def _typed_options(request: Request, name: str) -> Iterator[Option]:
    interval_s = request.interval_s
    if interval_s is None and request.overnight:
        interval_s = OVERNIGHT_INTERVAL_S
    yield from _given("--interval", interval_s, exact_duration)
    yield from _given("--tolerance", request.tolerance_bytes, exact_size)
    yield from _given("--n-min", request.n_min)
    yield from _given("--checkpoint-every", request.checkpoint_every)
    yield from _given("--jobs", request.jobs)
    yield from _given("--cycle-timeout", request.cycle_timeout_s, exact_duration)
    yield from _given("--max-rss", request.max_rss_bytes, exact_size)
    yield from _given("--max-pause", request.max_pause_s, exact_duration)
    yield from _given("--max-temperature", request.max_temperature_c)
    yield from _given("--nice", request.nice or None)
    yield from _given("--out", request.out)
    yield from _given("--on-verdict", request.on_verdict)
    if request.overnight or not request.early_stop:
        yield ("--no-early-stop",)
    if not request.follow:
        yield ("--no-follow",)
    for key, setting in request.driver_settings.get(name, {}).items():
        yield "--set", f"{name}.{key}={_setting_text(setting)}"
    if name in request.injections:
        yield "--inject", f"{name}={request.injections[name]}"


def _given(option: str, value: _Value | None, write: Callable[[_Value], str] = str) -> Iterator[Option]:
    if value is not None:
        yield option, write(value)


def _setting_text(value: Any) -> str:
    """Write a value of a setting so that `parse_driver_setting` reads it again."""
    if isinstance(value, str) and parse_driver_setting(f"name.key={value}")[2] == value:
        return value
    return _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(str(key))} = {_toml(item)}' for key, item in value.items())}}}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    # A JSON string is one of TOML too, but for the one control character that JSON lets pass.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)
