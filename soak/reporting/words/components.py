"""One component in words: what was found, on how much running that rests, and what would decide it."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace

from soak.grounds import ENOUGH_N_MIN, GroundKind
from soak.measurements import SIGNALS
from soak.reporting.words.causes.advice import origin_brief
from soak.reporting.words.growth import (
    bound_words,
    count_beside,
    growth_until_then,
    growth_words,
    loss_alone,
    lost_part,
    mapped_beside,
    memory_beside,
    other_measure,
    suspected_beside,
    without_held,
)
from soak.reporting.words.so_far import growth_so_far, where_from
from soak.reporting.words.verdicts.failures import failure_words
from soak.reporting.words.verdicts.series import lookalike
from soak.reporting.words.vocabulary import count_words, printable, rate_words, short_number
from soak.results import AT_WORK, ComponentResult, Pacing, Pauses, TrackerState
from soak.units import format_count, format_duration
from soak.verdict import Verdict

SYMBOLS = {
    Verdict.LEAK: "▲",
    Verdict.CLEAN: "●",
    Verdict.SETTLING: "◐",
    Verdict.INCONCLUSIVE: "?",
    Verdict.FAILED: "✕",
}
"""A shape for each verdict, so that none is told by colour alone."""
_CACHE_FITS_INTO_N_MIN = 1.7
_WATCHED_NOUNS = ("sample", "mark")
_DECIDER_WORDS = {"lost-scan": "scan for lost blocks", "ledger": "allocation ledger"}
_NOT_FOLLOWED = (
    " It could not follow objects in reused memory, so soak may name the line of an earlier object in the same place."
)
_FILTERED = (
    " The program filters its system calls (seccomp). From then on the tracker makes none: it captures no stacks, and"
    " it names no line for what is opened or created."
)
_COVERED_WORDS = {"native": "native memory", "python": "Python objects"}
_WORTH_SAYING_S = 1.0
_STOP_WORDS = {
    AT_WORK: "it was still running when this was written",
    "verdict": "it had its verdict",
    "budget": "its budget was used up",
    "signal": "the run was interrupted",
    "failure": "it failed",
}


def component_sentence(component: ComponentResult) -> str:
    """Say in one sentence what was found about a component and on how much running that rests."""
    name, growth, noun = printable(component.name), component.growth, component.cycle_noun
    ran = f"{count_words(component.iterations, noun)} in {format_duration(component.seconds)}"
    if component.verdict is Verdict.FAILED:
        return f"{name} {failure_words(component.failure, noun)}{growth_until_then(growth, noun)}."
    if component.verdict is Verdict.CLEAN:
        return f"{name} {bound_words(component)}: {ran}."
    if component.verdict is Verdict.LEAK and (lost := loss_alone(component)):
        beside = f"{count_beside(component)}{mapped_beside(component)}"
        grew = f"{growth_words(growth, noun).replace('grows', 'grew', 1)}{beside}"
        return (
            f"{name} loses {lost} per {noun}{where_from(without_held(component))}. "
            f"So far it {grew}; the rest may still be freed ({ran})."
        )
    if component.verdict is Verdict.LEAK:
        measured = f"{lost_part(component)}{other_measure(growth)}"
        beside = f"{measured}{count_beside(component)}{memory_beside(component)}{mapped_beside(component)}"
        beside += suspected_beside(component)
        return f"{name} {growth_words(growth, noun)}{beside}{where_from(component)} ({ran})."
    if component.verdict is Verdict.SETTLING:
        fills = any(cause.holder is not None and cause.holder.full_at_cycle for cause in component.causes)
        how = "into a cache that is not full yet" if fills else "but more and more slowly, like a cache that fills"
        return f"{name} {growth_words(growth, noun)}, {how}: {ran}."
    so_far = growth_so_far(component)
    if so_far is not None:
        return f"{name} {undecided_words(component)}, but so far it {so_far} ({ran})."
    return f"{name} {undecided_words(component)}: {ran}."


def undecided_words(component: ComponentResult) -> str:
    """Say that a component has no verdict: at its end that it could not be decided; at work it still may be."""
    return "is not decided yet" if component.stopped_by == AT_WORK else "could not be decided yet"


def progress_sentence(component: ComponentResult, budget_s: float | None, iterations: int | None) -> str | None:
    """Say how fast a component at work is, what is left of its budget, and what is provisional; None of any other."""
    if component.stopped_by != AT_WORK:
        return provisional_sentence(component)
    rate = component.iterations / component.seconds if component.seconds else 0.0
    pace = f"{short_number(rate)} {component.cycle_noun}s per second"
    left_s = time_left_s(component.iterations, component.seconds, budget_s, iterations)
    left = f", {format_duration(left_s)} left." if left_s is not None else "."
    return " ".join(text for text in (f"At work: {pace}{left}", provisional_sentence(component)) if text)


def interrupted_sentence(component: ComponentResult) -> str:
    """Say that a component was at work when its run was killed, and what was provisional."""
    provisional = provisional_sentence(replace(component, stopped_by="signal"))
    return " ".join(filter(None, ("It was at work when the run was interrupted.", provisional)))


def provisional_sentence(component: ComponentResult) -> str | None:
    """Say of a long run what grows before the run itself can decide; None if nothing does."""
    found = component.provisional
    if found is None or found.series is None:
        return None
    rate = rate_words(found.per_iteration or 0.0, found.unit, component.cycle_noun)
    since = f"{component.cycle_noun} {format_count(found.since)}" if found.since else "its start"
    at = origin_brief(component.causes, component.keeper, suspected=True)
    goes_on = component.stopped_by == AT_WORK
    confirms = "The run goes on to confirm it." if goes_on else "The run ended before it could confirm it."
    name = printable(component.name)
    alike = lookalike(found.n_min or 0, component.cycle_noun)
    return f"Provisional: {name} has grown since {since}: {rate}{at}. {confirms} {alike}"


def time_left_s(cycles: int, elapsed_s: float, budget_s: float | None, iterations: int | None) -> float | None:
    """Return the seconds until the budget is used up at the pace so far; None if that is not known."""
    left = [] if budget_s is None else [budget_s - elapsed_s]
    if iterations and cycles:
        left.append((iterations - cycles) * elapsed_s / cycles)
    return max(min(left), 0.0) if left else None


def verdict_words(component: ComponentResult, aside: str | None = None) -> str:
    """Give the verdict with its shape, and what ``asides`` says of it: ``▲ LEAK (gate is off)``."""
    return f"{SYMBOLS[component.verdict]} {component.verdict}" + (f" ({aside})" if aside else "")


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
    command = needed_command(component) if component.stopped_by != AT_WORK else None
    return None if command is None else f"To decide it: {command}"


def needed_command(component: ComponentResult) -> str | None:
    """Give the command that would decide what is open, or None when nothing is or no number of cycles is known.

    It is the run's own, for this component and with another budget, so that it can be typed where that was typed.
    """
    if component.verdict not in (Verdict.INCONCLUSIVE, Verdict.SETTLING) or not component.needed_iterations:
        return None
    options: list[tuple[str, ...]] = [("--iterations", str(component.iterations + component.needed_iterations))]
    full_at = max(
        (cause.holder.full_at_cycle or 0 for cause in component.causes if cause.holder is not None), default=0
    )
    first = component.grounds[0].kind if component.grounds else None
    is_few = first is GroundKind.FEW_CYCLES
    if first is GroundKind.MAYBE_FILLING and not full_at:
        full_at = component.iterations  # as long as has been seen
    if full_at or is_few:
        # Else a cache that still fills is taken for a leak again, and that ends the run.
        fewest = ENOUGH_N_MIN if is_few else component.n_min or 0
        options.append(("--n-min", str(max(math.ceil(_CACHE_FITS_INTO_N_MIN * full_at), fewest))))
    return run_command(component, *options)


def run_command(component: ComponentResult, *options: tuple[str, ...]) -> str | None:
    """Give the command that soaks the target as it was soaked, with ``options`` in place of the run's own.

    None if no command does.
    """
    if component.options is None:
        return None
    replaced = {option for option, *_ in options}
    kept = [option for option in component.options if option[0] not in replaced]
    return shlex.join(["soak", "run", component.target, *(word for option in (*kept, *options) for word in option)])


def excuse_sentence(reason: str) -> str:
    """Say why a component's verdict does not fail the run; ``reason`` as ``outcome.excuse`` gives it."""
    if reason == "known":
        return "Does not fail the run: this growth is listed as known."
    return "Does not fail the run: its gate is off."


def stop_sentence(component: ComponentResult) -> str:
    """Say why the component stopped when it did."""
    guard = component.stopped_by.removeprefix("guard:")
    limit = component.grounds[0].limit if component.grounds else None
    if guard != component.stopped_by and limit is not None and limit.is_reached:
        return f"Stopped because the process ran into its limit on {guard}; soak judged the measurements until then."
    if guard != component.stopped_by:
        return (
            f"Stopped by the guard on {guard}, before the process reached its limit; soak judged the measurements "
            "until then."
        )
    return f"Stopped because {_STOP_WORDS.get(component.stopped_by, component.stopped_by)}."


def pacing_sentence(pacing: Pacing) -> str:
    """Say the pace asked for, the pace held, and the deadlines missed."""
    mean = "" if pacing.mean_period_s is None else f", {format_duration(pacing.mean_period_s)} per call on average"
    if not pacing.interval_s:
        return f"Ran without pauses{mean}."
    held = f"Paced at {format_duration(pacing.interval_s)}{mean}"
    if not pacing.missed_deadlines:
        return f"{held}; no deadline missed, worst lag {format_duration(pacing.worst_lag_s)}."
    missed = count_words(pacing.missed_deadlines, "deadline")
    return f"{held}; {missed} missed, worst lag {format_duration(pacing.worst_lag_s)}."


def pauses_sentence(pauses: Pauses | None, noun: str) -> str:
    """Say for how long cycles waited while soak counted, or threads of a watched program while it was copied.

    Empty if none did. ``noun``: what a cycle is.
    """
    if pauses is None:
        return ""
    if noun in _WATCHED_NOUNS:
        times = "once" if pauses.count == 1 else f"{format_count(pauses.count)} times"
        allowed = "" if pauses.budget_s is None else f" ({format_duration(pauses.budget_s)} allowed)"
        waited = f"{_waited(pauses)}{allowed}"
        return f"soak copied the program {times} for scans. Each time one of its threads waited: {waited}."
    budget = "" if pauses.budget_s is None else f" (a budget of {format_duration(pauses.budget_s)})"
    return f"Checkpoints kept cycles waiting: {_waited(pauses)}{budget}."


def _waited(pauses: Pauses) -> str:
    p50, p99, worst = map(format_duration, (pauses.p50_s, pauses.p99_s, pauses.worst_s))
    return f"median {p50}, 99th percentile {p99}, longest {worst}"


def tracker_sentence(tracker: TrackerState) -> str:
    """Say whether the allocation tracker watched, and if not, why."""
    if tracker.active:
        covered = " and ".join(_COVERED_WORDS.get(name, name) for name in tracker.covers)
        lost = _NOT_FOLLOWED if "python" in tracker.covers and not tracker.follows_objects else ""
        filtered = _FILTERED if tracker.is_filtered else ""
        return f"The allocation tracker watched {covered or 'allocations'}.{lost}{filtered}"
    return f"The allocation tracker did not watch: {tracker.reason or 'it was off'}."


def overhead_sentence(component: ComponentResult) -> str:
    """Say what the measuring took of the time, what it lost, and what it took after the cycles."""
    lost = f"; {count_words(component.lost_rows, 'row')} lost" if component.lost_rows else ""
    taken = f"{component.checkpoint_share * 100:.2g} % of the time"
    after = component.seconds_after
    followed = f" Work after the last cycle took {format_duration(after)}." if after >= _WORTH_SAYING_S else ""
    return f"{count_words(component.checkpoints, 'checkpoint')} took {taken}{lost}.{followed}"
