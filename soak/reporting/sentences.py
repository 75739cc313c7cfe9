"""What is found, in plain words: the sentences that terminal, HTML, Markdown and JUnit share.

Pure functions of the results. In sentences a cycle is "a call"; tables and axes say "cycle". Rates are shortened to
what a person needs; the exact numbers stand in the tables. Nothing here is escaped: whoever puts a sentence into
HTML, Markdown or a terminal escapes it there.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from soak.measurements import SIGNALS
from soak.reporting.files import library_file, own_frame, short_file, short_frame
from soak.reporting.outcome import excuse, known_fingerprints, worst_first
from soak.results import (
    Cause,
    ComponentResult,
    Controls,
    Failure,
    Growth,
    Opened,
    Pacing,
    Part,
    Parts,
    Place,
    RunResult,
    SignalResult,
    TrackerState,
)
from soak.units import format_count, format_duration, format_number
from soak.verdict import Verdict

SYMBOLS = {
    Verdict.LEAK: "▲",
    Verdict.CLEAN: "●",
    Verdict.SETTLING: "◐",
    Verdict.INCONCLUSIVE: "?",
    Verdict.FAILED: "✕",
}
"""A shape for each verdict, so that none is told by colour alone."""

_NUMBER_WORDS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_CACHE_FITS_INTO_N_MIN = 1.7
_LONGEST_FAILURE = 60
"""Characters of a failure in a table; the whole stands below it."""
_OWN_FRAME = re.compile(r'File "[^"]*/soak/inside/')
_MOST_NAMED = 3
"""More components than this of one verdict are counted in the headline, not named."""

_VERBS = {
    Verdict.FAILED: "failed",
    Verdict.LEAK: "leak",
    Verdict.SETTLING: "are still settling",
    Verdict.INCONCLUSIVE: "could not be decided yet",
}
_UNIT_WORDS = {
    "fds": ("file descriptor", "file descriptors"),
    "threads": ("thread", "threads"),
    "processes": ("child process", "child processes"),
    "blocks": ("Python block", "Python blocks"),
    "objects": ("object", "objects"),
}
_OPENED_UNITS = ("fds", "threads", "processes")
_KIND_WORDS = {
    "native": "native memory",
    "python-object": "Python objects",
    "reference-cycle": "a reference cycle",
    "lost-reference": "a reference that is never dropped",
    "file-descriptor": "file descriptors that are not closed",
    "thread": "threads that do not end",
    "child-process": "child processes that are not reaped",
    "mapping": "mappings that are not unmapped",
    "fragmentation": "fragmentation: memory in use stays flat while resident memory grows",
}
_STATE_WORDS = {
    "lost": "nothing points to it any more, so it can never be given back",
    "held": "something still holds it",
}
_PLANTED_WORDS = {
    "object": "objects",
    "fd": "file descriptors",
    "thread": "threads",
    "child": "child processes",
    "mmap": "mappings",
}
_DECIDER_WORDS = {"lost-scan": "scan for lost blocks", "ledger": "allocation ledger"}
_COVERED_WORDS = {"native": "native memory", "python": "Python objects"}
_STOP_WORDS = {
    "verdict": "its verdict stood",
    "budget": "its budget was used up",
    "signal": "the run was interrupted",
    "failure": "it failed",
}
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


# The run as a whole


def headline(result: RunResult) -> str:
    """Say the run in one sentence, what matters most first; the tolerance bounds what is said of clean components.

    ``numpy conversion grows by 106 B per call; the other five do not grow by more than 1 B per call.``
    """
    if not result.components:
        return "Nothing was soaked: this run has no components."
    known = known_fingerprints(result)
    ordered = worst_first(result)
    counting = [component for component in ordered if excuse(component, known) is None]
    excused = ordered[len(counting) :]
    clean = [component for component in counting if component.verdict is Verdict.CLEAN]
    planted = planted_components(result)
    groups = _group_words(counting[: len(counting) - len(clean)], known, planted)
    if clean:
        groups.append(_clean_words(clean, len(counting), tolerance_bytes(result), excused=bool(excused)))
    return "; ".join(groups + _group_words(excused, known, planted)) + "."


def tolerance_bytes(result: RunResult) -> float:
    """Give the largest growth in bytes per cycle that the run accepts of a component that counts."""
    return max((component.tolerance_bytes for component in result.components if component.gate), default=1.0)


def when_words(result: RunResult) -> str:
    """Say when a run began and how long it took; times that are no ISO times are given as they are."""
    try:
        started = datetime.fromisoformat(result.started)
        took = None if result.finished is None else datetime.fromisoformat(result.finished) - started
    except ValueError:
        return result.started
    began = started.strftime("%Y-%m-%d %H:%M %Z").rstrip()
    return began if took is None else f"{began}, {format_duration(took.total_seconds())}"


def state_sentence(result: RunResult) -> str | None:
    """Say that a run has not come to its end, or None when it has."""
    if result.finished is not None:
        return None
    return "This run has not finished; what stands here is what was measured so far."


def controls_sentence(controls: Controls | None) -> str:
    """Say what the controls showed; a failed one says on what no verdict can rest."""
    if controls is None:
        return "This run has no controls: how small a leak it could have seen is not known."
    blank, spike = controls.blank, controls.spike
    if not controls.ok:
        checks = [("blank", blank.ok, blank.detail), ("spike", spike.ok, spike.detail)]
        checks += [(f"spike ({each.kind})", each.ok, each.detail) for each in spike.of_kinds]
        failed = [f"{name}: {detail}" for name, ok, detail in checks if not ok]
        titles = ", ".join(SIGNALS[name].title for name in SIGNALS if name in controls.failed_signals)
        rests = f"what rests on {titles} is INCONCLUSIVE" if titles else "do not rely on these verdicts"
        return f"The controls failed, {rests}. {' '.join(_closed(text) for text in failed)}"
    limit = blank.limit_of_detection_bytes
    seen = "" if limit is None else f"; a leak of {short_number(limit, up=True)} B per call would have been seen"
    others = ", ".join(planted_words(each.kind) for each in spike.of_kinds)
    found = f" So were planted {others}." if others else ""
    return f"The controls passed: an empty cycle does not grow{seen}. {_spike_words(controls)}{found}"


def parts_sentence(parts: Parts) -> str:
    """Set the full cycle's growth against the sum of its parts, in allocated bytes per cycle, each with its half-width.

    ``get 0 ± 0.3, numpy conversion 106 ± 0.4; full cycle 106.1; unexplained 0.1 (-0.5 to 0.7) B per cycle.``
    """
    each = ", ".join(f"{spoken(part.name)} {_with_half_width(part)}" for part in parts.each)
    sum_words = each or f"sum of the parts {short_number(parts.sum)}"
    unexplained = f"{short_number(parts.unexplained)} ({short_number(parts.low)} to {short_number(parts.high)})"
    return f"{sum_words}; full cycle {short_number(parts.full_cycle)}; unexplained {unexplained} B per cycle."


def combination_sentence(parts: Parts) -> str:
    """Say whether the parts explain the full cycle, or whether growth shows only in their combination."""
    if parts.low > 0:
        return f"{byte_rate(parts.unexplained)} per call show only when the parts work together."
    if parts.high < 0:
        return f"The full cycle grows by {byte_rate(-parts.unexplained)} per call less than its parts do alone."
    return "The parts explain the growth of the full cycle."


def planted_components(result: RunResult) -> frozenset[str]:
    """Name the components into which the run planted a leak (``--inject``): their growth is no news."""
    components = result.settings.get("components")
    if not isinstance(components, Mapping):
        return frozenset()
    return frozenset(
        str(name) for name, its in components.items() if isinstance(its, Mapping) and its.get("inject") is not None
    )


def asides(component: ComponentResult, known: Collection[str], planted: Collection[str]) -> str | None:
    """Say what a reader must know beside a verdict: that its growth is planted, or does not count; None for nothing."""
    reasons = ("planted" if component.name in planted else None, excuse(component, known))
    return ", ".join(reason for reason in reasons if reason) or None


def command_line(result: RunResult) -> str:
    """Give the command that makes this run again: the setting ``command``, else the components' targets."""
    command = result.settings.get("command")
    if isinstance(command, str):
        return command
    if command:
        return shlex.join(str(word) for word in command)
    targets = dict.fromkeys(component.target for component in result.components if component.target)
    return shlex.join(["soak", "run", *targets])


# One component


def component_sentence(component: ComponentResult) -> str:
    """Say in one sentence what was found about a component and on how much running that rests."""
    name, growth = spoken(component.name), component.growth
    ran = f"{count_words(component.iterations, 'call')} in {format_duration(component.seconds)}"
    if component.verdict is Verdict.FAILED:
        return f"{name} {_failure_words(component.failure)}{_growth_until_then(growth)}."
    if component.verdict is Verdict.CLEAN:
        return f"{name} {_bound_words(component)}: {ran}."
    if component.verdict is Verdict.LEAK:
        return f"{name} {growth_words(growth)}{_other_measure(growth)}{_memory_beside(component)}: {ran}."
    if component.verdict is Verdict.SETTLING:
        fills = any(cause.holder is not None and cause.holder.full_at_cycle for cause in component.causes)
        how = "into a cache that is not full yet" if fills else "but ever more slowly, like a cache that fills"
        return f"{name} {growth_words(growth)}, {how}: {ran}."
    return f"{name} could not be decided yet: {ran}."


def verdict_words(component: ComponentResult, aside: str | None = None) -> str:
    """Give the verdict with its shape, and what ``asides`` says of it: ``▲ LEAK (gate is off)``."""
    return f"{SYMBOLS[component.verdict]} {component.verdict}" + (f" ({aside})" if aside else "")


def growth_words(growth: Growth | None) -> str:
    """Say the growth itself: ``grows by 106 B per call``; requested bytes where they are known.

    Of descriptors, threads and processes their number, not the memory that goes with them.
    """
    if growth is None:
        return "grows"
    if growth.unit in _OPENED_UNITS and growth.per_iteration is not None:
        return f"grows by {rate_words(growth.per_iteration, growth.unit)}"
    requested = growth.requested_bytes_per_iteration
    if requested is not None:
        return f"grows by {byte_rate(requested)} per call"
    if growth.bytes_per_iteration is not None:
        return f"grows by {byte_rate(growth.bytes_per_iteration)} per call"
    if growth.per_iteration is not None:
        return f"grows by {rate_words(growth.per_iteration, growth.unit)}"
    return "grows"


def growth_cell(component: ComponentResult, *, brief: bool = False) -> str:
    """Give the deciding growth for a table: ``128 B/cycle [127.9, 128.2]``, for CLEAN the bound ``≤ 0.21 B/cycle``.

    Where both requested and allocated bytes are known and differ, the other one follows: ``(106 requested)``.
    Of a component that failed it says how. ``brief``: the rate, or the place, alone.
    """
    growth = component.growth
    if component.verdict is Verdict.FAILED and component.failure is not None:
        words = _failure_words(component.failure, brief=brief)
        return words if len(words) <= _LONGEST_FAILURE else f"{words[: _LONGEST_FAILURE - 1]}…"
    if growth is None:
        return "–"
    rate, low, high = _measured(component, growth)
    unit = "B" if _in_bytes(growth) else growth.unit
    if component.verdict is Verdict.CLEAN and high is not None:
        return f"≤ {short_number(max(high, 0.0), up=True)} {unit}/cycle"
    if rate is None:
        return "–"
    if brief:
        return f"{format_number(rate)} {unit}/cycle"
    if growth.unit == "blocks" and growth.per_iteration is not None and low is not None and low <= 0:
        # The number of blocks decided; their bytes come in leaps, as of a table that doubles.
        decider = component.signals.get(growth.signal)
        interval = interval_words(decider.low, decider.high) if decider is not None else ""
        return f"{format_number(growth.per_iteration)} blocks/cycle{interval} ({format_number(rate)} B)"
    return f"{format_number(rate)} {unit}/cycle{interval_words(low, high)}{_aside(growth)}"


def signal_cell(signal: SignalResult) -> str:
    """Give one signal's rate with its interval: ``0.1 fds/cycle [0.1, 0.1]``, for CLEAN the bound."""
    if signal.per_iteration is None:
        return "–"
    unit = "B" if signal.unit == "bytes" else signal.unit
    if signal.verdict is Verdict.CLEAN and signal.high is not None:
        return f"≤ {short_number(max(signal.high, 0.0), up=True)} {unit}/cycle"
    return f"{format_number(signal.per_iteration)} {unit}/cycle{interval_words(signal.low, signal.high)}"


def interval_words(low: float | None, high: float | None) -> str:
    """Give an interval after a rate (`` [127.9, 128.2]``), or nothing when it is not known."""
    return "" if low is None or high is None else f" [{format_number(low)}, {format_number(high)}]"


def decided_cell(component: ComponentResult) -> str:
    """Name what decided, for a table; a failure was not decided by a signal."""
    return "–" if component.verdict is Verdict.FAILED else decided_words(component.decided_by)


def decided_words(decided_by: str | None) -> str:
    """Name what decided: ``counter:heap`` is ``malloc heap in use``."""
    if decided_by is None:
        return "–"
    name = decided_by.removeprefix("counter:")
    if name in SIGNALS:
        return SIGNALS[name].title
    return _DECIDER_WORDS.get(name, name)


def needed_sentence(component: ComponentResult) -> str | None:
    """Say with which command to decide what is open; None when nothing is, or no number of cycles is known."""
    command = needed_command(component)
    return None if command is None else f"To decide it: {command}"


def needed_command(component: ComponentResult) -> str | None:
    """Give the command that would decide what is open, or None when nothing is or no number of cycles is known."""
    if component.verdict not in (Verdict.INCONCLUSIVE, Verdict.SETTLING) or not component.needed_iterations:
        return None
    total = component.iterations + component.needed_iterations
    command = ["soak", "run", component.target, "--iterations", str(total)]
    full_at = max(
        (cause.holder.full_at_cycle or 0 for cause in component.causes if cause.holder is not None), default=0
    )
    if full_at:
        # Else a cache that still fills is taken for a leak again, and that ends the run.
        command += ["--n-min", str(max(math.ceil(_CACHE_FITS_INTO_N_MIN * full_at), component.n_min or 0))]
    return shlex.join(command)


def added_why(component: ComponentResult) -> str:
    """Give what ``why`` says beyond the component's sentence: of a failure, what comes after its detail."""
    detail = component.failure.detail if component.failure is not None else ""
    if not detail or detail not in component.why:
        return component.why
    return component.why.partition(detail)[2].lstrip(". ")


def caveat_sentence(component: ComponentResult) -> str | None:
    """Say what would look the same as this leak; None for no leak, for what is proven lost, or when ``why`` says it."""
    lost = component.decided_by == "lost-scan" or any(c.confirmed and c.state == "lost" for c in component.causes)
    said = "would look the same" in component.why
    if component.verdict is not Verdict.LEAK or component.n_min is None or lost or said:
        return None
    period = format_count(round(0.6 * component.n_min))
    return f"A bounded cache or a period of more than about {period} calls would look the same."


def excuse_sentence(reason: str) -> str:
    """Say why a component's verdict does not fail the run; ``reason`` as ``outcome.excuse`` gives it."""
    if reason == "known":
        return "Does not fail the run: this growth is listed as known."
    return "Does not fail the run: its gate is off."


def stop_sentence(component: ComponentResult) -> str:
    """Say why the component stopped when it did."""
    guard = component.stopped_by.removeprefix("guard:")
    if guard != component.stopped_by:
        return f"Stopped by the guard on {guard}, before the process hit its limit; what was measured is judged."
    return f"Stopped because {_STOP_WORDS.get(component.stopped_by, component.stopped_by)}."


def pacing_sentence(pacing: Pacing) -> str:
    """Say the pace asked for, the pace held, and the deadlines missed."""
    mean = "" if pacing.mean_period_s is None else f", {format_duration(pacing.mean_period_s)} per call on average"
    if not pacing.interval_s:
        return f"Ran flat out{mean}."
    held = f"Paced at {format_duration(pacing.interval_s)}{mean}"
    if not pacing.missed_deadlines:
        return f"{held}; no deadline missed, worst lag {format_duration(pacing.worst_lag_s)}."
    missed = count_words(pacing.missed_deadlines, "deadline")
    return f"{held}; {missed} missed, worst lag {format_duration(pacing.worst_lag_s)}."


def tracker_sentence(tracker: TrackerState) -> str:
    """Say whether the allocation tracker watched, and if not, why."""
    if tracker.active:
        covered = " and ".join(_COVERED_WORDS.get(name, name) for name in tracker.covers)
        return f"The allocation tracker watched {covered or 'allocations'}."
    return f"The allocation tracker did not watch: {tracker.reason or 'it was off'}."


def overhead_sentence(component: ComponentResult) -> str:
    """Say what the measuring took of the time and what it lost."""
    lost = f"; {count_words(component.lost_rows, 'row')} lost" if component.lost_rows else ""
    taken = f"{component.checkpoint_share * 100:.2g} % of the time"
    return f"{count_words(component.checkpoints, 'checkpoint')} took {taken}{lost}."


def telling_frames(failure: Failure, most: int) -> tuple[str, ...]:
    """Give the lines of a failure's stack that tell most: a traceback's last, of any other dump the first.

    Soak's own frames, below the component's, are left out; so is how a process that hung was ended to get its stack.
    """
    lines = [line for line in failure.stack if not _OWN_FRAME.search(line)]
    if failure.reason == "hang" and lines and lines[0].startswith("Fatal Python error"):
        lines = lines[1:]
    while lines and not lines[0].strip():
        lines = lines[1:]
    return tuple(lines[-most:] if failure.reason == "exception" else lines[:most])


def last_written(component: ComponentResult, most: int) -> list[str]:
    """Give the last lines that a component wrote, without the stack that was made of it when it was ended."""
    lines = component.output_tail.rstrip().splitlines()
    if component.failure is not None and component.failure.stack and component.failure.stack[0] in lines:
        lines = lines[: lines.index(component.failure.stack[0])]
    return lines[-most:]


# One cause


def cause_sentence(cause: Cause) -> str:
    """Say what grows, by how much, from where, and whether it is lost or held; of what stays open, what it is."""
    if cause.count_per_iteration is not None:
        return _opened_sentence(cause)
    rate = "" if cause.bytes_per_iteration is None else f", {byte_rate(cause.bytes_per_iteration)} per call"
    every = _every_words(cause)
    where = f" in {place_words(cause.where)}" if cause.where is not None else ""
    if cause.python_where is not None:
        where += f"{', called' if where else ''} from {place_words(cause.python_where)}"
    where += _reached_from(cause)
    state = _STATE_WORDS.get(cause.state)
    certain = "" if cause.confirmed else "Suspected: "
    kind = _KIND_WORDS.get(cause.kind, cause.kind)
    words = f"{certain}{kind}{rate}{every}{where}{'; ' + state if state else ''}."
    return _capital(words)


def where_lines(cause: Cause, most: int) -> tuple[str, ...]:
    """Give a cause's stack and who holds it, a line each; no more than ``most`` of either."""
    frames = tuple(short_frame(printable(frame)) for frame in cause.stack)
    holders = tuple(f"held by {holder}" for holder in cause.held_by)
    return frames[:most] + holders[:most]


def more_causes_sentence(causes: Sequence[Cause]) -> str | None:
    """Say that there are more causes than are shown, and what they come to; None where there are none."""
    if not causes:
        return None
    rate = sum(cause.bytes_per_iteration or 0.0 for cause in causes)
    together = f", {byte_rate(rate)} per call{'' if len(causes) == 1 else ' together'}" if rate else ""
    suspected = " suspected" if not any(cause.confirmed for cause in causes) else ""
    return f"… and {format_count(len(causes))} more{suspected} cause{'' if len(causes) == 1 else 's'}{together}."


def cause_facts(cause: Cause) -> list[str]:
    """Give what is known of a cause beyond its sentence: bytes and blocks per cycle, since when, type, fingerprint."""
    facts = []
    if cause.bytes_per_iteration is not None:
        measured = f"{format_number(cause.bytes_per_iteration)} B/cycle"
        allocated = cause.allocated_bytes_per_iteration
        facts.append(measured if allocated is None else f"{measured} asked for, {format_number(allocated)} B allocated")
    if cause.blocks_per_iteration:  # none come with a buffer that grows
        blocks = format_number(cause.blocks_per_iteration)
        facts.append(f"{blocks} {'block' if blocks == '1' else 'blocks'}/cycle")
    if cause.since is not None:
        facts.append(f"since cycle {format_count(cause.since)} at the latest")
    facts += [f"{name} {value}" for name, value in (("type", cause.type), ("fingerprint", cause.fingerprint)) if value]
    return facts


def planted_words(kind: str) -> str:
    """Name what was planted as a control, in the plural: ``file descriptors``."""
    return _PLANTED_WORDS.get(kind, kind)


def opened_words(opened: Opened) -> str:
    """Name what stays open and is alike: ``1,020 × file /tmp/x/log-*.txt``."""
    return f"{format_count(opened.count)} × {opened.kind} {printable(opened.name)}".rstrip()


def stack_title(cause: Cause) -> str:
    """Say what the cause's stack shows."""
    if cause.count_per_iteration is None:
        return "Allocated at"
    return "Opened at" if cause.kind == "file-descriptor" else "Started at"


def place_words(place: Place) -> str:
    """Name a line of code: ``to_numpy (convert.py:42, numpy 2.3.1)``; what is not known is left out.

    Files are named without their folders (``files.short_file``).
    """
    file = None if place.file is None else short_file(place.file)
    file = file if file is None or place.line is None else f"{file}:{place.line}"
    module = None if place.module is None else place.module.rpartition("/")[2]
    if module is not None and (place.function or "").startswith(f"{module}+"):
        module = None  # libz.so.1+0x12ab has said it
    parts = [part for part in (file or module, place.package) if part]
    if place.function is None:
        return ", ".join(parts) or "an unknown place"
    return f"{place.function} ({', '.join(parts)})" if parts else place.function


# Words and numbers


def spoken(name: str) -> str:
    """Turn a component's name into words: ``numpy_conversion`` is ``numpy conversion``."""
    return printable(name).replace("_", " ").strip() or name


def printable(text: str) -> str:
    """Drop terminal escape sequences and replace characters that neither XML nor a terminal should be given."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def count_words(count: int, noun: str) -> str:
    """Count things: ``1 call``, ``20,480 calls``."""
    return f"{format_count(count)} {noun}{'' if count == 1 else 's'}"


def rate_words(rate: float, unit: str) -> str:
    """Say a rate per call in its unit; counts below one per call as ``1 file descriptor every 10 calls``."""
    if unit == "bytes":
        return f"{byte_rate(rate)} per call"
    one, many = _UNIT_WORDS.get(unit, (unit, unit))
    if 0 < rate < 0.95:
        return f"1 {one} every {period_words(1 / rate)} calls"
    number = short_number(rate)
    return f"{number} {one if number == '1' else many} per call"


def period_words(cycles: float) -> str:
    """Write how many calls apart something happens: whole where that is within 1 % (``10`` for 9.96)."""
    whole = round(cycles, 1 - math.floor(math.log10(cycles))) if cycles >= 10 else float(round(cycles))
    return short_number(whole if abs(whole - cycles) < 0.01 * cycles else cycles)


def byte_rate(rate: float) -> str:
    """Write a growth in bytes for a sentence: ``106 B``, ``1,024 B``, ``52.3 KiB``."""
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if abs(rate) >= 10 * size:
            return f"{short_number(rate / size)} {unit}"
    return f"{short_number(rate)} B"


def short_number(value: float, *, up: bool = False) -> str:
    """Write a number with about three significant digits; ``up`` rounds upwards, as a bound must be."""
    if value == 0:
        return "0"
    decimals = max(0, min(6, 2 - math.floor(math.log10(abs(value)))))
    if abs(value) < 1:
        decimals = max(0, decimals - 1)
    scale = 10.0**decimals
    rounded = (math.ceil(value * scale - 1e-9) if up else round(value * scale)) / scale
    if rounded == 0:
        return "0"
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _group_words(components: Sequence[ComponentResult], known: frozenset[str], planted: frozenset[str]) -> list[str]:
    """Say components that are not clean, verdict by verdict: few by name, of many those that grow most."""
    groups = []
    for verdict, group in groupby(components, key=lambda component: component.verdict):
        members = list(group)
        if len(members) <= _MOST_NAMED:
            groups += [_named_words(component, known, planted) for component in members]
        else:
            named = sorted(members, key=_bytes_rate, reverse=True)[:_MOST_NAMED]
            words = [spoken(component.name) + _by_words(component) for component in named]
            names = ", ".join([words[0], *(word.removesuffix(" per call") for word in words[1:])])
            more = f"{names} and {_number_word(len(members) - _MOST_NAMED)} more"
            excused = "" if excuse(members[0], known) is None else " but do not count"
            groups.append(f"{_number_word(len(members))} components {_VERBS[verdict]}{excused} ({more})")
    return groups


def _by_words(component: ComponentResult) -> str:
    """Say after a component's name by how much it grows (`` by 106 B per call``) or where it failed (`` in setup``)."""
    if component.verdict is Verdict.FAILED and component.failure is not None:
        return f" in {_phase_words(component.failure)}"
    return growth_words(component.growth).removeprefix("grows") if component.verdict is Verdict.LEAK else ""


def _bytes_rate(component: ComponentResult) -> float:
    return (component.growth.bytes_per_iteration if component.growth is not None else None) or 0.0


def _named_words(component: ComponentResult, known: frozenset[str], planted: frozenset[str]) -> str:
    name, excused = spoken(component.name), excuse(component, known)
    suffix = {"known": " (known)", "gate is off": " (does not count: its gate is off)", None: ""}[excused]
    if component.name in planted and component.verdict is Verdict.LEAK:
        suffix = f" (planted){suffix}"
    if component.verdict is Verdict.FAILED:
        words = _failure_words(component.failure, brief=True)
    elif component.verdict is Verdict.LEAK:
        words = growth_words(component.growth)
    else:
        words = "is still settling" if component.verdict is Verdict.SETTLING else "could not be decided yet"
    return f"{name} {words}{suffix}"


def _clean_words(clean: Sequence[ComponentResult], counting: int, tolerance: float, *, excused: bool) -> str:
    proven = [c.growth.high for c in clean if c.growth and _in_bytes(c.growth) and c.growth.high is not None]
    bound = f"by more than {short_number(max(tolerance, *proven, 0.0), up=True)} B per call"
    if len(clean) == 1:
        return f"{spoken(clean[0].name)} does not grow {bound}"
    if counting > len(clean):
        return f"the other {_number_word(len(clean))} do not grow {bound}"
    if len(clean) == 2:
        return f"neither {spoken(clean[0].name)} nor {spoken(clean[1].name)} grows {bound}"
    return f"none of the {_number_word(len(clean))} components {'that count ' if excused else ''}grows {bound}"


def _bound_words(component: ComponentResult) -> str:
    growth = component.growth
    high = None if growth is None else _measured(component, growth)[2]
    if growth is None or high is None or high <= 0:
        return "does not grow"
    if _in_bytes(growth):
        return f"does not grow by more than {short_number(high, up=True)} B per call"
    return f"does not grow by more than {rate_words(high, growth.unit)}"


def _in_bytes(growth: Growth) -> bool:
    return growth.unit == "bytes" or (growth.unit == "blocks" and growth.bytes_per_iteration is not None)


def _measured(component: ComponentResult, growth: Growth) -> tuple[float | None, float | None, float | None]:
    """Give rate, low and high in bytes where the growth is known in bytes, else as the deciding signal counts."""
    if _in_bytes(growth):
        return growth.bytes_per_iteration, growth.low, growth.high
    signal = component.signals.get(growth.signal)
    return growth.per_iteration, signal.low if signal else None, signal.high if signal else None


def _failure_words(failure: Failure | None, *, brief: bool = False) -> str:
    if failure is None:
        return "failed"
    verb = "hung" if failure.reason == "hang" else "failed"
    lines = printable(failure.detail).strip().splitlines()
    return f"{verb} in {_phase_words(failure)}" + ("" if brief or not lines else f": {lines[-1].rstrip('.')}")


def _phase_words(failure: Failure) -> str:
    return f"call {format_count(failure.cycle)}" if failure.phase == "cycle" else failure.phase


def _growth_until_then(growth: Growth | None) -> str:
    if growth is None or growth.per_iteration is None:
        return ""
    if short_number(growth.per_iteration) == "0":
        return "; until then it did not grow"
    return f"; until then it {growth_words(growth).replace('grows', 'grew')}"


def _other_measure(growth: Growth | None) -> str:
    if growth is None or growth.requested_bytes_per_iteration is None or growth.allocated_bytes_per_iteration is None:
        return ""
    if growth.unit in _OPENED_UNITS:
        return ""
    requested = byte_rate(growth.requested_bytes_per_iteration)
    allocated = byte_rate(growth.allocated_bytes_per_iteration)
    return "" if requested == allocated else f" (the allocator makes {allocated} of it)"


def _memory_beside(component: ComponentResult) -> str:
    """Say the memory that grows beside descriptors, threads or processes, where that was decided too."""
    growth, memory = component.growth, component.signals.get("tracked")
    if growth is None or growth.unit not in _OPENED_UNITS or memory is None or memory.per_iteration is None:
        return ""
    return f", and by {byte_rate(memory.per_iteration)} of memory" if memory.verdict is Verdict.LEAK else ""


def _aside(growth: Growth) -> str:
    measures = {
        "requested": ("allocated", growth.allocated_bytes_per_iteration),
        "allocated": ("requested", growth.requested_bytes_per_iteration),
    }
    name, other = measures.get(growth.measures or "", ("", None))
    if other is None or growth.bytes_per_iteration is None or byte_rate(other) == byte_rate(growth.bytes_per_iteration):
        return ""
    return f" ({format_number(other)} {name})"


def _opened_sentence(cause: Cause) -> str:
    rate = cause.count_per_iteration or 0.0
    often = f"1 every {period_words(1 / rate)} calls" if 0 < rate < 0.95 else f"{short_number(rate)} per call"
    places = [place_words(place) for place in (cause.where, cause.python_where) if place is not None]
    verb = "opened" if cause.kind == "file-descriptor" else "started"
    where = f", {verb} in {', called from '.join(places)}{_reached_from(cause)}" if places else ""
    what = "; ".join(map(opened_words, cause.opened[:_MOST_NAMED]))
    return _capital(f"{_KIND_WORDS.get(cause.kind, cause.kind)}, {often}{where}{': ' if what else ''}{what}.")


def _reached_from(cause: Cause) -> str:
    """Name the line of a person's own that leads into a library: there something can be done."""
    own, place = own_frame(cause.stack), cause.python_where
    if own is None or place is None or place.file is None or library_file(place.file) is None:
        return ""
    function, _, line = own.rpartition(" at ")
    file, _, number = line.rpartition(":")
    return f", reached from {function} ({short_file(file)}:{number})"


def _every_words(cause: Cause) -> str:
    if cause.every is None:
        return ""
    blocks = round(cause.blocks_per_iteration or 1.0)
    what = f"{format_count(blocks)} blocks" if blocks > 1 else "one"
    if cause.requested_size is not None:
        size = f"{format_count(cause.requested_size)} B"
        what = f"{what} of {size}" if blocks > 1 else f"a block of {size}"
    return f" ({what} every {'call' if cause.every == 1 else f'{period_words(cause.every)} calls'})"


def _spike_words(controls: Controls) -> str:
    spike = controls.spike
    planted = f"A planted leak of {format_count(spike.planted_requested)} B was found"
    if spike.recovered_requested is not None:
        return f"{planted} as {short_number(spike.recovered_requested)} B."
    if spike.recovered_allocated is not None:
        allocated = f"{short_number(spike.recovered_allocated)} B allocated"
        return f"{planted} as {allocated} ({format_count(spike.planted_allocated)} B expected)."
    return f"{planted}."


def _with_half_width(part: Part) -> str:
    half_width = max(part.high - part.rate, part.rate - part.low, 0.0)
    return f"{short_number(part.rate)} ± {short_number(half_width, up=True)}"


def _number_word(number: int) -> str:
    return _NUMBER_WORDS[number] if number < len(_NUMBER_WORDS) else format_count(number)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
