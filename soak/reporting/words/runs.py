"""The run as a whole in words: its headline, its controls, its parts."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from soak.measurements import SIGNALS
from soak.reporting.outcome import excuse, known_fingerprints, worst_first
from soak.reporting.words.causes.advice import origin_brief
from soak.reporting.words.components import interrupted_sentence, progress_sentence, undecided_words
from soak.reporting.words.growth import growth_words, in_bytes, loss_alone, without_held
from soak.reporting.words.verdicts.failures import failure_words, where_it_failed
from soak.reporting.words.vocabulary import byte_rate, printable, short_number
from soak.results import AT_WORK, ComponentResult, Controls, Part, Parts, RunResult
from soak.units import format_count, format_duration, format_size
from soak.verdict import Verdict

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
_MOST_NAMED = 3
"""More components than this of one verdict are counted in the headline, not named."""
_VERBS = {
    Verdict.FAILED: "failed",
    Verdict.LEAK: "leak",
    Verdict.SETTLING: "are still settling",
    Verdict.INCONCLUSIVE: "could not be decided yet",
}
_PLANTED_WORDS = {
    "object": "objects",
    "fd": "file descriptors",
    "thread": "threads",
    "child": "child processes",
    "mmap": "mappings",
}


def headline(result: RunResult) -> str:
    """Say the run in one sentence, what matters most first; the tolerance bounds what is said of clean components.

    ``numpy conversion grows by 106 B per call; the other five do not grow by more than 1 B per call.``
    """
    if not result.components and result.is_running:
        return "Nothing can be said yet: no component has run for long enough."
    if not result.components and result.finished is None:
        return "Nothing can be said: the run was interrupted before a component had run for long enough."
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
    if result.is_running:
        return "This run is in progress. The report shows what was measured so far."
    if result.finished is not None:
        return None
    measured = "This run was interrupted. The report shows what was measured until then."
    if "components" not in result.settings:
        return measured  # not a run of soak run: nothing can go on with it
    return f"{measured} To go on with it: {shlex.join(['soak', 'resume', result.folder])}"


def waiting_sentence(result: RunResult) -> str | None:
    """Name the components of which a run in progress knows nothing yet; None if there are none."""
    named = result.settings.get("components")
    begun = {component.name for component in result.components}
    waiting = [printable(str(name)) for name in named if name not in begun] if isinstance(named, Mapping) else []
    if not waiting or not result.is_running:
        return None
    more = f" and {_number_word(len(waiting) - _MOST_NAMED)} more" if len(waiting) > _MOST_NAMED else ""
    return f"Still to come: {', '.join(waiting[:_MOST_NAMED])}{more}."


def progress_of(result: RunResult, component: ComponentResult) -> str | None:
    """Say how fast a component at work is, what is left, and what is provisional; None of any other."""
    settings = result.settings.get("components", {}).get(component.name, {})
    if component.stopped_by == AT_WORK and not result.is_running:
        return interrupted_sentence(component)
    return progress_sentence(component, settings.get("budget_s"), settings.get("iterations"))


def memory_limit_sentence(max_rss_bytes: float) -> str:
    """Say at what RSS a component is stopped that is given no limit of its own."""
    return f"A component is stopped when its RSS reaches {format_size(max_rss_bytes)}. --max-rss sets another limit."


def controls_sentence(controls: Controls | None) -> str:
    """Say what the controls showed; a failed one says on what no verdict can rest."""
    if controls is None:
        return "This run has no controls, so the smallest leak that it could have found is not known."
    blank, spike = controls.blank, controls.spike
    if not controls.ok:
        checks = [("blank", blank.ok, blank.detail), ("spike", spike.ok, spike.detail)]
        checks += [(f"spike ({each.kind})", each.ok, each.detail) for each in spike.of_kinds]
        failed = [f"{name}: {detail}" for name, ok, detail in checks if not ok]
        titles = ", ".join(SIGNALS[name].title for name in SIGNALS if name in controls.failed_signals)
        rests = f"verdicts that rest on {titles} are INCONCLUSIVE" if titles else "do not rely on these verdicts"
        return f"The controls failed: {rests}. {' '.join(_closed(text) for text in failed)}"
    limit = blank.limit_of_detection_bytes
    seen = "" if limit is None else f"; a leak of {short_number(limit, up=True)} B per call would have been seen"
    others = ", ".join(planted_words(each.kind) for each in spike.of_kinds)
    found = f" Planted {others} were found too." if others else ""
    passed = "The controls passed"
    if controls.is_kept:
        passed += f" (an earlier run measured them on this machine, at {controls.measured})"
    return f"{passed}: an empty cycle does not grow{seen}. {_spike_words(controls)}{found}"


def parts_sentence(parts: Parts) -> str:
    """Set the full cycle's growth against the sum of its parts, in allocated bytes per cycle, each with its half-width.

    ``get 0 ± 0.3, numpy conversion 106 ± 0.4; full cycle 106.1; unexplained 0.1 (-0.5 to 0.7) B per cycle.``
    """
    each = ", ".join(f"{printable(part.name)} {_with_half_width(part)}" for part in parts.each)
    sum_words = each or f"sum of the parts {short_number(parts.sum)}"
    unexplained = f"{short_number(parts.unexplained)} ({short_number(parts.low)} to {short_number(parts.high)})"
    return f"{sum_words}; full cycle {short_number(parts.full_cycle)}; unexplained {unexplained} B per cycle."


def combination_sentence(parts: Parts) -> str:
    """Say whether the parts explain the full cycle, or whether growth shows only in their combination."""
    if parts.low > 0:
        return f"{byte_rate(parts.unexplained)} per call appear only when the parts work together."
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
    if isinstance(command, Sequence):
        return shlex.join(str(word) for word in command)
    targets = dict.fromkeys(component.target for component in result.components if component.target)
    return shlex.join(["soak", "run", *targets])


def planted_words(kind: str) -> str:
    """Name what was planted as a control, in the plural: ``file descriptors``."""
    return _PLANTED_WORDS.get(kind, kind)


def _group_words(components: Sequence[ComponentResult], known: frozenset[str], planted: frozenset[str]) -> list[str]:
    """Say components that are not clean, verdict by verdict: few by name, of many those that grow most."""
    groups = []
    for verdict, group in groupby(components, key=lambda component: component.verdict):
        members = list(group)
        if len(members) <= _MOST_NAMED:
            groups += [_named_words(component, known, planted) for component in members]
        else:
            named = sorted(members, key=_bytes_rate, reverse=True)[:_MOST_NAMED]
            words = [printable(component.name) + _by_words(component) for component in named]
            names = ", ".join([words[0], *(word.removesuffix(" per call") for word in words[1:])])
            more = f"{names} and {_number_word(len(members) - _MOST_NAMED)} more"
            excused = "" if excuse(members[0], known) is None else " but do not count"
            groups.append(f"{_number_word(len(members))} components {_VERBS[verdict]}{excused} ({more})")
    return groups


def _by_words(component: ComponentResult) -> str:
    """Say after a component's name by how much it grows (`` by 106 B per call``) or where it failed (`` in setup``)."""
    if component.verdict is Verdict.FAILED and component.failure is not None:
        return f" {where_it_failed(component.failure, component.cycle_noun)}"
    if component.verdict is not Verdict.LEAK:
        return ""
    return growth_words(component.growth, component.cycle_noun).removeprefix("grows")


def _bytes_rate(component: ComponentResult) -> float:
    return (component.growth.bytes_per_iteration if component.growth is not None else None) or 0.0


def _named_words(component: ComponentResult, known: frozenset[str], planted: frozenset[str]) -> str:
    name, excused = printable(component.name), excuse(component, known)
    suffix = {"known": " (known)", "gate is off": " (does not count: its gate is off)", None: ""}[excused]
    if component.name in planted and component.verdict is Verdict.LEAK:
        suffix = f" (planted){suffix}"
    if component.verdict is Verdict.FAILED:
        words = failure_words(component.failure, component.cycle_noun, brief=True)
    elif component.verdict is Verdict.LEAK:
        lost, noun = loss_alone(component), component.cycle_noun
        growth = f"loses {lost} per {noun}" if lost else growth_words(component.growth, noun)
        causes = (without_held(component) if lost else component).causes
        words = growth + origin_brief(causes, component.keeper)
    else:
        words = "is still settling" if component.verdict is Verdict.SETTLING else undecided_words(component)
    return f"{name} {words}{suffix}"


def _clean_words(clean: Sequence[ComponentResult], counting: int, tolerance: float, *, excused: bool) -> str:
    proven = [c.growth.high for c in clean if c.growth and in_bytes(c.growth) and c.growth.high is not None]
    bound = f"by more than {short_number(max(tolerance, *proven, 0.0), up=True)} B per call"
    if len(clean) == 1:
        return f"{printable(clean[0].name)} does not grow {bound}"
    if counting > len(clean):
        return f"the other {_number_word(len(clean))} do not grow {bound}"
    if len(clean) == 2:
        return f"neither {printable(clean[0].name)} nor {printable(clean[1].name)} grows {bound}"
    return f"none of the {_number_word(len(clean))} components {'that count ' if excused else ''}grows {bound}"


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


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
