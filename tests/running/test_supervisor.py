"""The supervisor over scripted children: what it stops for, what it makes of a pace, of lost rows and of a bad end."""

from __future__ import annotations

import itertools
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from running_builder import CYCLES, N_MIN, soak_planted
from supervisor_builder import AT_REST, LEDGER_SITE, ScriptedLedger, a_course, supervise

from soak.inside import ring
from soak.inside.child import EXIT_FAILED
from soak.measurements import Reading
from soak.results import Failure
from soak.running.clock import ScriptedClock
from soak.running.component import deciding
from soak.running.component.observations import ComponentProgress
from soak.running.scanning import proving
from soak.targets import Target
from soak.verdict import SeriesState, SeriesVerdict, Verdict

ENDLESS = 10**9
LIMITS = {"fds": 1000.0, "threads": 500.0, "rss": 2e9, "children": 500.0, "mapped": 1e12}


def test_a_checkpoint_within_a_period_is_not_judged():
    """A run may end there; all readings are kept, and those that can be compared decide."""

    def in_teeth(reading: Reading) -> Reading:
        """Return a reading whose heap is high but at the end of each sixth cycle."""
        heap = AT_REST["heap"] + (10**6 if reading.cycle % 6 else 0)
        return replace(reading, values={**reading.values, "heap": heap})

    course = (in_teeth(reading) for reading in a_course(1000))
    observed = supervise(course, target=Target("songs", "driver", period=6), n_min=384)

    assert observed.observed.judge.last["heap"] == AT_REST["heap"]
    assert observed.readings[-1].values["heap"] > AT_REST["heap"]
    assert observed.observed.judge.readings["heap"] == sum(not r.cycle % 6 for r in observed.readings)


# --- what it stops for ----------------------------------------------------------------------------------------------


def test_a_leak_stops_as_soon_as_its_verdict_stands():
    """Long before the budget; asked to stop, the child ends in order."""
    supervised = supervise(a_course(ENDLESS, heap=106.0), budget_s=60.0)

    observed = supervised.observed
    assert (observed.stopped_by, observed.failure) == ("verdict", None)
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "heap")
    assert observed.decision.series["heap"].rate == pytest.approx(106.0, rel=1e-3)
    assert observed.seconds < 20.0
    assert supervised.child.exit_status() == 0


def test_a_verdict_that_ended_the_run_is_not_judged_by_the_cycles_that_follow():
    """A busy machine runs some more until the process has ended, and how many is chance."""
    supervised = supervise(a_course(4096, heap=106.0), child={"obeys": False}, budget_s=60.0, n_min=256)

    observed = supervised.observed
    assert (observed.stopped_by, observed.decision.verdict) == ("verdict", Verdict.LEAK)
    assert supervised.readings[-1].cycle == 4096
    assert observed.evidence.cycles < 2048


@pytest.mark.parametrize("clock_ahead_s", [1.5e9, -900.0, 0.0])
def test_a_budget_is_kept_by_the_clock_of_the_parent(clock_ahead_s: float):
    """A component may have replaced the clock of its own process."""
    supervised = supervise(
        a_course(ENDLESS, cycle_s=0.1, every=1),
        child={"setup_s": 2.0, "clock_ahead_s": clock_ahead_s},
        budget_s=60.0,
        early_stop=False,
    )

    observed = supervised.observed
    assert observed.stopped_by == "budget"
    assert observed.seconds == pytest.approx(60.0, abs=0.5)
    assert observed.loop_ended_s == pytest.approx(1062.0, abs=0.5)


def test_a_component_that_does_not_grow_stops_too():
    """The twin."""
    observed = supervise(a_course(ENDLESS), budget_s=60.0).observed

    assert (observed.stopped_by, observed.decision.verdict) == ("verdict", Verdict.CLEAN)
    assert observed.seconds < 20.0


@pytest.mark.parametrize("longest_budget_s", [None, 60.0])
def test_what_the_budget_does_not_decide_goes_on_where_it_may(longest_budget_s: float | None):
    course = a_course(ENDLESS, cycle_s=0.05, every=1)
    observed = supervise(course, budget_s=3.0, full_budget=False, longest_budget_s=longest_budget_s).observed

    goes_on = longest_budget_s is not None
    assert observed.is_extended is goes_on
    assert (observed.seconds > 10.0) is goes_on
    assert observed.decision.verdict is (Verdict.CLEAN if goes_on else Verdict.INCONCLUSIVE)


def test_a_named_budget_is_used_up_by_what_does_not_grow():
    """A leak may begin late; one that is found stops all the same."""
    clean = supervise(a_course(ENDLESS), budget_s=20.0, full_budget=True).observed
    leaking = supervise(a_course(ENDLESS, heap=106.0), budget_s=20.0, full_budget=True).observed

    assert (clean.stopped_by, clean.decision.verdict) == ("budget", Verdict.CLEAN)
    assert clean.seconds == pytest.approx(20.0, abs=0.1)
    assert (leaking.stopped_by, leaking.decision.verdict) == ("verdict", Verdict.LEAK)


def test_the_budget_stops_what_is_not_decided():
    """A cache that still fills."""
    supervised = supervise(a_course(ENDLESS, every=64, heap=lambda cycle: 1e4 * cycle**0.5), budget_s=20.0)

    assert supervised.observed.stopped_by == "budget"
    assert supervised.observed.seconds == pytest.approx(20.0, abs=0.1)
    assert supervised.observed.decision.verdict is not Verdict.LEAK


def test_a_budget_in_cycles_ends_by_itself():
    """The child knows it; nobody asks it to stop."""
    supervised = supervise(a_course(2048), iterations=2048, early_stop=False)

    observed = supervised.observed
    assert (observed.stopped_by, observed.iterations, observed.failure) == ("budget", 2048, None)
    assert not supervised.child.ring.is_asked_to_stop
    assert [reading.cycle for reading in supervised.readings] == list(range(0, 2049, 16))


def test_a_signal_stops_at_once_and_what_was_measured_is_judged():
    def stop_after_3_s(progress: ComponentProgress, _: ScriptedClock, stopping: threading.Event) -> None:
        if progress.elapsed_s > 3.0:
            stopping.set()

    supervised = supervise(
        a_course(ENDLESS, heap=106.0), on_progress=stop_after_3_s, budget_s=3600.0, n_min=512, early_stop=False
    )

    observed = supervised.observed
    assert (observed.stopped_by, observed.failure) == ("signal", None)
    assert observed.decision.verdict is Verdict.LEAK
    assert observed.seconds == pytest.approx(3.0, abs=0.1)
    assert supervised.child.ring.more_cycles == 0


def test_a_signal_that_comes_before_any_verdict():
    observed = supervise(
        a_course(ENDLESS, heap=106.0), on_progress=lambda _, __, stopping: stopping.set(), budget_s=60.0
    ).observed

    assert (observed.stopped_by, observed.failure) == ("signal", None)
    assert observed.decision.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("name", "rate", "plan"),
    [
        ("fds", 1.0, {}),
        ("threads", 1.0, {}),
        ("children", 1.0, {}),
        ("rss", 1e6, {}),
        ("mapped", 1e9, {}),
        ("rss", 1e4, {"max_rss_bytes": 4e7}),
    ],
)
def test_each_guard_stops_before_the_limit(name: str, rate: float, plan: dict[str, float]):
    """Below the limit, in order, and what grew until then is a leak, though it is too early for the rule."""
    supervised = supervise(
        a_course(ENDLESS, every=1, **{name: rate}),
        child={"limits": LIMITS},
        budget_s=3600.0,
        n_min=100_000,
        early_stop=False,
        **plan,
    )

    observed = supervised.observed
    assert (observed.stopped_by, observed.failure) == (f"guard:{name}", None)
    assert observed.judge.last[name] <= plan.get("max_rss_bytes", LIMITS[name])
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, name)
    assert observed.decision.series[name].rate == pytest.approx(rate, rel=0.05)


def test_a_guard_that_is_not_obeyed_ends_the_child():
    """After the time of a cycle, though its cycles go on; that is no hang, and no failure."""
    supervised = supervise(
        a_course(ENDLESS, every=1, cycle_s=0.01, fds=1.0),
        child={"limits": LIMITS, "obeys": False},
        budget_s=3600.0,
        n_min=100_000,
        early_stop=False,
        cycle_timeout_s=5.0,
    )

    observed = supervised.observed
    assert supervised.child.was_aborted
    assert (observed.stopped_by, observed.failure, observed.decision.verdict) == ("guard:fds", None, Verdict.LEAK)
    guarded_s = 0.01 * (0.8 * LIMITS["fds"] - AT_REST["fds"])
    assert observed.seconds - guarded_s == pytest.approx(5.0, abs=0.1)


# --- ends that are none ---------------------------------------------------------------------------------------------


def test_a_cycle_that_does_not_end_is_ended_and_told():
    supervised = supervise(
        a_course(2048, heap=106.0),
        child={"exit_status": None, "output": "Fatal Python error: Aborted\n  File it.py, line 5 in wait\n"},
        iterations=ENDLESS,
        n_min=512,
        early_stop=False,
        cycle_timeout_s=10.0,
    )

    observed = supervised.observed
    assert supervised.child.was_aborted
    assert (observed.stopped_by, observed.iterations) == ("failure", 2048)
    assert observed.failure is not None
    assert (observed.failure.phase, observed.failure.cycle, observed.failure.reason) == ("cycle", 2049, "hang")
    assert observed.failure.stack[-1].endswith("line 5 in wait")
    assert observed.decision.verdict is Verdict.LEAK
    assert 2.0 + 10.0 < observed.seconds < 2.0 + 11.0


def test_a_setup_that_does_not_end_is_ended_and_told():
    supervised = supervise(a_course(2048), child={"setup_s": float("inf")}, budget_s=60.0, cycle_timeout_s=10.0)

    failure = supervised.observed.failure
    assert failure is not None
    assert (failure.phase, failure.cycle, failure.reason) == ("setup", 0, "hang")
    assert (supervised.observed.iterations, supervised.observed.checkpoints) == (0, 0)


def test_a_long_setup_is_no_part_of_the_budget():
    observed = supervise(a_course(ENDLESS), child={"setup_s": 50.0}, budget_s=20.0, full_budget=True).observed

    assert (observed.stopped_by, observed.failure) == ("budget", None)
    assert observed.seconds == pytest.approx(20.0, abs=0.1)


def test_a_child_that_is_killed_in_the_middle():
    """It fails in the cycle that it was in; what it had counted until then is judged."""
    supervised = supervise(
        a_course(2048, heap=106.0),
        child={"exit_status": -signal.SIGKILL},
        iterations=ENDLESS,
        n_min=512,
        early_stop=False,
    )

    observed = supervised.observed
    assert observed.failure is not None
    assert (observed.failure.phase, observed.failure.cycle) == ("cycle", 2049)
    assert (observed.failure.reason, observed.failure.detail) == ("signal", "SIGKILL")
    assert (observed.stopped_by, observed.iterations, len(supervised.readings)) == ("failure", 2048, 129)
    assert (observed.decision.verdict, observed.evidence.failed) == (Verdict.LEAK, True)


def test_a_child_that_raises_in_the_middle():
    supervised = supervise(
        a_course(96),
        child={"exit_status": EXIT_FAILED, "error": 'ValueError: seven\nFile "it.py", line 5, in cycle'},
        iterations=ENDLESS,
        n_min=512,
    )

    assert supervised.observed.failure == Failure(
        "cycle", 97, "exception", "ValueError: seven", ('File "it.py", line 5, in cycle',)
    )
    assert supervised.observed.stopped_by == "failure"


def test_a_child_that_runs_out_of_what_it_leaks_between_two_checkpoints_has_leaked():
    """The guard was not quick enough: it is the leak all the same, and no fault of the driver."""
    observed = supervise(
        a_course(750, every=50, fds=1.0),
        child={"limits": LIMITS, "exit_status": EXIT_FAILED, "error": "OSError: [Errno 24] Too many open files"},
        iterations=ENDLESS,
        n_min=100_000,
    ).observed

    assert (observed.stopped_by, observed.failure) == ("guard:fds", None)
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "fds")


def test_a_child_that_raises_the_same_without_having_grown_has_failed():
    """The twin: it asked for too much at once."""
    observed = supervise(
        a_course(750, every=50),
        child={"limits": LIMITS, "exit_status": EXIT_FAILED, "error": "OSError: [Errno 24] Too many open files"},
        iterations=ENDLESS,
        n_min=100_000,
    ).observed

    assert observed.stopped_by == "failure"
    assert observed.failure is not None


# --- the pace -------------------------------------------------------------------------------------------------------


def test_n_min_is_told_once_the_pace_is_known():
    """To the store and to the child, whose checkpoints must not become too rare for it."""
    supervised = supervise(a_course(ENDLESS), budget_s=60.0)

    assert supervised.n_mins == [7500]
    assert supervised.observed.judge.n_min == 7500
    assert supervised.child.ring.checkpoint_spacing == 7500 // 256


def test_n_min_is_lowered_at_half_time_where_the_cycles_became_slower():
    """From 1 ms to 100 ms: an eighth of what seemed to fit would never be reached, and nothing be judged."""
    course = a_course(ENDLESS, at_s=lambda cycle: 1e-3 * cycle + 0.1 * max(0, cycle - 2000), heap=106.0)

    supervised = supervise(course, budget_s=60.0)

    chosen, lowered = supervised.n_mins
    assert chosen == 7500
    assert lowered == pytest.approx(2000 + (30 - 2) / 0.101, abs=20)
    assert supervised.observed.judge.n_min == lowered


def test_the_users_n_min_is_told_at_once_and_never_lowered():
    supervised = supervise(a_course(ENDLESS, cycle_s=0.5, every=1), budget_s=60.0, n_min=5000)

    assert supervised.n_mins == [5000]


@pytest.mark.parametrize("rate", [0.0, 106.0])
def test_the_same_rows_give_the_same_verdict_at_any_pace(rate: float):
    """Ten times slower and ten times faster: the rule counts cycles, and time only says how often it is looked at."""
    found = []
    for cycle_s in (1e-4, 1e-3, 1e-2):
        course = a_course(4096, every=8, cycle_s=cycle_s, heap=rate)
        observed = supervise(course, iterations=4096, n_min=512, early_stop=False).observed
        heap = observed.decision.series["heap"]
        found.append((observed.decision.verdict, heap.verdict, heap.rate, heap.low, heap.high, heap.decided_at))

    assert found[0] == found[1] == found[2]
    assert found[0][0] is (Verdict.LEAK if rate else Verdict.CLEAN)


def test_deciding_takes_no_more_than_a_quarter_of_the_time(monkeypatch: pytest.MonkeyPatch):
    """Where one decision takes a second, because many sites grow, rows are still read in between."""
    clocks: list[ScriptedClock] = []
    decided_at: list[float] = []
    decide = deciding.decide

    def slow_decide(evidence):
        if clocks:
            decided_at.append(clocks[0].now_s())
            clocks[0].advance(1.0)
        return decide(evidence)

    monkeypatch.setattr(deciding, "decide", slow_decide)
    # What other programs take of the processor does not count, so it is the processor time that is scripted.
    monkeypatch.setattr(deciding.time, "thread_time", lambda: clocks[0].now_s() if clocks else 1000.0)
    observed = supervise(
        a_course(ENDLESS), on_progress=lambda _, clock, __: clocks.append(clock), budget_s=60.0, early_stop=False
    ).observed

    gaps = [later - earlier for earlier, later in itertools.pairwise(decided_at[:-1])]
    assert min(gaps) >= 4.0 - 1e-6
    assert len(decided_at) >= 12
    assert observed.lost_rows == 0


# --- rows -----------------------------------------------------------------------------------------------------------


def test_rows_that_nobody_read_in_time_are_counted_and_the_others_judged():
    """Soak itself is held up for 3 s: of the rows that came meanwhile the last 1,024 are there."""
    held_up: list[float] = []

    def hold_up(progress: ComponentProgress, clock: ScriptedClock, _: threading.Event) -> None:
        if progress.elapsed_s > 2.0 and not held_up:
            held_up.append(progress.elapsed_s)
            clock.advance(3.0)

    supervised = supervise(
        a_course(8192, every=1, heap=106.0), on_progress=hold_up, iterations=8192, n_min=1024, early_stop=False
    )

    observed = supervised.observed
    assert observed.lost_rows == pytest.approx(3000 - ring.ROW_CAPACITY, abs=2)
    assert len(supervised.readings) + observed.lost_rows == observed.checkpoints == 8193
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "heap")
    assert observed.decision.series["heap"].rate == pytest.approx(106.0, rel=1e-3)


def test_every_row_is_acknowledged():
    """A child that flies flat out waits for that at each of its checkpoints."""
    supervised = supervise(a_course(2048), iterations=2048, early_stop=False)

    assert supervised.child.ring.rows_acknowledged == supervised.child.ring.rows_written == 129


def test_a_child_whose_pauses_have_a_budget_goes_on_before_the_ledger_is_read():
    """At all checkpoints but the last, at which its memory may be looked at."""
    hurried, patient = ScriptedLedger(), ScriptedLedger()

    supervised = supervise(a_course(2048), iterations=2048, early_stop=False, ledger=hurried, max_pause_s=0.01)
    supervise(a_course(2048), iterations=2048, early_stop=False, ledger=patient)

    assert hurried.waited == [False] * 128 + [True]
    assert patient.waited == [True] * 129
    assert supervised.child.ring.rows_acknowledged == supervised.child.ring.rows_written == 129
    assert {"tracked", "tracked_blocks"} <= supervised.readings[-1].values.keys()


def test_what_is_read_from_outside_stands_in_every_reading():
    """One reading of it for each row, for the child waits."""
    supervised = supervise(a_course(2048, fds=0.0, rss=512.0), iterations=2048, early_stop=False)

    assert [reading.values["rss"] for reading in supervised.readings] == [
        3e7 + 512.0 * cycle for cycle in range(0, 2049, 16)
    ]


def test_what_grows_fast_enough_to_run_out_wants_dense_checkpoints():
    """Without growth they are wanted only when the cycles are over to which no look reaches back."""
    growing = supervise(a_course(400, every=1, fds=0.1), budget_s=2.0, early_stop=False)
    still = supervise(a_course(400, every=1), budget_s=2.0, early_stop=False)
    longer = supervise(a_course(800, every=1), budget_s=2.0, early_stop=False)

    assert growing.child.ring.early_s == 0.0
    assert still.child.ring.early_s > 0.0
    assert longer.child.ring.early_s == 0.0


def test_the_ledger_is_asked_while_the_child_waits_and_no_cycle_follows_what_it_proves():
    """Nothing of what past cycles allocated is alive: the checkpoint that shows it was the last one."""
    supervised = supervise(a_course(ENDLESS, every=8), ledger=ScriptedLedger(), budget_s=60.0)

    observed = supervised.observed
    assert (observed.stopped_by, observed.decision.verdict) == ("verdict", Verdict.CLEAN)
    assert observed.decision.decided_by == "tracked"
    assert supervised.readings[-1].cycle == observed.iterations == observed.decision.decided_at
    assert observed.tracked.state.active
    assert {"tracked", "tracked_blocks"} <= supervised.readings[-1].values.keys()


def test_blocks_that_stay_are_a_leak_at_their_site():
    """The twin: the ledger's site grows, and what the ledger says stands beside what the counters say."""
    ledger = ScriptedLedger(bytes_per_cycle=48)

    supervised = supervise(a_course(ENDLESS, every=8, heap=64.0), ledger=ledger, budget_s=60.0)

    observed = supervised.observed
    assert observed.decision.verdict is Verdict.LEAK
    assert observed.decision.series["tracked"].rate == pytest.approx(48.0, rel=1e-3)
    assert [site.suspect.site for site in observed.tracked.sites] == [LEDGER_SITE]
    assert ledger.flagged == [LEDGER_SITE]
    assert supervised.readings[-1].values["mapped"] == AT_REST["mapped"] - ledger.OWN_BYTES


def test_a_ledger_that_is_not_complete_proves_nothing():
    """It lost blocks for want of room: what grows it still shows, but that nothing else does it does not."""
    supervised = supervise(a_course(4096, every=8), ledger=ScriptedLedger(lost_blocks=1), iterations=4096, n_min=512)

    assert supervised.observed.evidence.distrusted >= {"tracked", "tracked_blocks"}
    assert supervised.observed.decision.decided_by != "tracked"
    assert not supervised.observed.tracked.complete


# --- what it tells --------------------------------------------------------------------------------------------------


def test_a_component_stands_still_while_it_is_too_hot_and_goes_on():
    """The pause is no part of its time, and nothing is stopped for it."""
    temperatures = iter([50.0, 95.0, 95.0, 60.0])

    supervised = supervise(
        a_course(20_000),
        read_temperature_c=lambda: next(temperatures, 60.0),
        iterations=20_000,
        early_stop=False,
        max_temperature_c=90.0,
    )

    observed = supervised.observed
    assert (observed.failure, observed.iterations, observed.hottest_c) == (None, 20_000, 95.0)
    assert observed.paused_s == pytest.approx(4.0, abs=0.2)
    assert observed.seconds == pytest.approx(20.0, abs=0.2)
    assert "too hot, waiting" in supervised.notes


def test_a_component_that_never_cools_down_is_stopped_by_a_signal_all_the_same():
    observed = supervise(
        a_course(ENDLESS),
        on_progress=lambda seen, _, stopping: stopping.set() if seen.note == "too hot, waiting" else None,
        read_temperature_c=lambda: 99.0,
        max_temperature_c=90.0,
        budget_s=60.0,
    ).observed

    assert (observed.stopped_by, observed.failure) == ("signal", None)


def test_progress_says_what_goes_on():
    supervised = supervise(a_course(ENDLESS, heap=106.0), child={"setup_s": 1.0}, budget_s=60.0)

    told = [note for number, note in enumerate(supervised.notes) if note not in supervised.notes[:number]]
    assert told[:2] == ["setup", "INCONCLUSIVE"]
    assert {"scanning its memory", "LEAK", "finding what holds the blocks"} <= set(told)
    assert told[-1] == "done"


def test_of_a_paced_component_the_mean_period_is_told():
    """From the first start to the last; flat out, what a cycle took."""
    observed = supervise(a_course(2048), iterations=2048, early_stop=False).observed

    assert observed.pacing.interval_s is None
    assert observed.pacing.mean_period_s == pytest.approx(1e-3, rel=0.05)


# --- the twin -------------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_a_scripted_child_that_replays_a_real_one_is_judged_alike(tmp_path: Path):
    """To the last figure: what the twin leaves out is nothing that a verdict rests on."""
    real = soak_planted(tmp_path, "native", 106)

    replayed = supervise(iter(real.readings), iterations=CYCLES, n_min=N_MIN, early_stop=False)

    assert replayed.readings == [
        Reading(reading.cycle, pytest.approx(reading.at_s), reading.values)  # type: ignore[arg-type]
        for reading in real.readings
    ]
    decisions = (replayed.observed.decision, real.observed.decision)
    # The twin has no audit of RSS, which is a weaker ground here.
    replay, original = (replace(decision, grounds=decision.grounds[:1]) for decision in decisions)
    assert replay == original
    assert replayed.observed.iterations == real.observed.iterations
    for observed in (replayed.observed, real.observed):  # what the last checkpoint takes depends on the machine
        assert observed.seconds >= real.readings[-1].at_s - 0.001


@pytest.mark.parametrize(
    ("low", "high", "is_narrow"),
    [(106.0, 106.0, True), (105.0, 107.0, True), (104.0, 107.0, False), (None, None, False)],
)
def test_a_rate_is_known_when_its_quarters_are_within_two_percent(
    low: float | None, high: float | None, is_narrow: bool
):
    """Then a run with lost blocks need not go on to tell by how much it leaks."""
    growth = SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, 106.0, low, high)

    assert proving.is_narrow(growth) is is_narrow
