"""The profile of a component contains exactly its cycles and nothing else, in every version."""

from __future__ import annotations

import pstats
from collections.abc import Callable
from pathlib import Path

import pytest
from profile_builder import VERSIONS, calls, interpreter, only, profile, statistics

from soak.__main__ import main
from soak.errors import UsageError

pytestmark = pytest.mark.integration
WriteFile = Callable[[str, str], Path]

WORK = """
    import zlib

    def work(number):
        return zlib.crc32(bytes(number))

    def cycle():
        work(100)
        work(200)
"""
THREADS = """
    import threading

    def heavy(number):
        total = 0
        for part in range(number):
            total += part
        return total

    def in_thread():
        for _ in range(4):
            heavy(500)

    def cycle():
        thread = threading.Thread(target=in_thread)
        thread.start()
        heavy(300)
        heavy(300)
        thread.join()
"""
POOL = """
    from concurrent.futures import ThreadPoolExecutor

    def heavy(number):
        return sum(part for part in [number])

    def setup():
        pool = ThreadPoolExecutor(1)
        pool.submit(heavy, 1).result()
        return pool

    def cycle(pool):
        pool.submit(heavy, 2).result()

    def teardown(pool):
        pool.shutdown()
"""


def test_merged_totals_equal_the_sum_of_the_parts_exactly(write: WriteFile, tmp_path: Path):
    """Calls and seconds of the whole, of each function and of each caller are equal to the last bit."""
    write("drivers/drive_one.py", WORK.replace("cycle()", "cycle(state)"))
    write("drivers/drive_two.py", WORK.replace("cycle()", "cycle(state)").replace("200", "30000"))

    run = profile(str(tmp_path / "drivers"), out=tmp_path / "out", iterations=400)

    parts = [statistics(run, "one"), statistics(run, "two")]
    merged = statistics(run, "merged")
    assert set(merged) == set(parts[0]) | set(parts[1])
    for key, (*totals, callers) in merged.items():
        entries = [part[key] for part in parts if key in part]
        assert totals == [sum(numbers) for numbers in zip(*(entry[:4] for entry in entries), strict=True)]
        for caller, share in callers.items():
            shares = [entry[4][caller] for entry in entries if caller in entry[4]]
            assert list(share) == [sum(numbers) for numbers in zip(*shares, strict=True)]
    read = [pstats.Stats(str(Path(run.folder, f"{name}.prof"))) for name in ("merged", "one", "two")]
    for total in ("total_calls", "prim_calls", "total_tt"):
        whole, one, two = (getattr(profile, total) for profile in read)
        assert whole == one + two
    assert run.merged is not None
    assert run.merged.own_s == sum(part.totals.own_s for part in run.components if part.totals)


def test_exactly_the_cycles_asked_for_are_profiled_and_the_warm_up_is_not(write: WriteFile, tmp_path: Path):
    """N cycles are N calls in the profile, though more cycles ran in the warm-up and without the profiler."""
    target = write("work.py", WORK)

    run = profile(f"{target}:cycle", out=tmp_path / "out", iterations=150, warm_up_s=0.05)

    component = only(run)
    assert component.failure is None
    assert component.cycles == 150
    assert component.warm_up_cycles > 1
    seen = calls(statistics(run, "cycle"))
    assert (seen["cycle"], seen["work"]) == (150, 300)


def test_functions_in_c_are_named(write: WriteFile, tmp_path: Path):
    """What the interpreter calls built-in, and what Cython compiled, which cProfile by itself does not see."""
    target = write("work.py", WORK)

    built_in = profile(f"{target}:cycle", out=tmp_path / "out")
    cython = profile("standalone_tests/drive_decompressor.py", out=tmp_path / "out")

    assert calls(statistics(built_in, "cycle"))["<built-in method zlib.crc32>"] == 40
    assert calls(statistics(cython, "decompressor"))["<cython function simplejpeg._jpeg.decode_jpeg>"] == 20


def test_the_cost_of_profiling_is_stated(write: WriteFile, tmp_path: Path):
    """A cycle of many small calls is much slower under the profiler, one of a single long one hardly at all."""
    small = write("small.py", "def nothing():\n    pass\n\ndef cycle():\n    for _ in range(200):\n        nothing()\n")
    long = write("long.py", "import zlib\nDATA = bytes(10**6)\n\ndef cycle():\n    zlib.crc32(DATA)\n")

    small_calls = only(profile(f"{small}:cycle", out=tmp_path / "out", iterations=None, duration_s=0.4))
    long_call = only(profile(f"{long}:cycle", out=tmp_path / "out", iterations=None, duration_s=0.4))

    assert small_calls.slowdown is not None
    assert long_call.slowdown is not None
    assert small_calls.slowdown > 1.5
    assert long_call.slowdown < small_calls.slowdown
    assert small_calls.pairs >= 1  # more where the machine is not busy


def test_one_function_is_profiled_separately(write: WriteFile, tmp_path: Path):
    """With --function the profile holds its calls and what they call, and not the cycle around them."""
    target = write("work.py", WORK)

    run = profile(f"{target}:cycle", out=tmp_path / "out", function="work")

    assert calls(statistics(run, "cycle")) == {"work": 40, "<built-in method zlib.crc32>": 40}
    assert only(run).function_calls == 40


def test_a_method_is_profiled_by_its_qualified_name(tmp_path: Path):
    """In a module or without naming it: both mean the same method."""
    for name in ("Decompressor.decompress", "decoder.decompressor:Decompressor.decompress"):
        run = profile("standalone_tests/drive_decompressor.py", out=tmp_path / "out", function=name)
        seen = calls(statistics(run, "decompressor"))
        assert seen["decompress"] == 20
        assert "cycle" not in seen


def test_a_function_that_is_not_there_or_not_one_is_refused(write: WriteFile, tmp_path: Path):
    """The component fails with a line that says what to write."""
    target = write("work.py", WORK + "\n    async def later():\n        pass\n")

    missing = only(profile(f"{target}:cycle", out=tmp_path / "out", function="nosuch"))
    coroutine = only(profile(f"{target}:cycle", out=tmp_path / "out", function="later"))

    assert missing.failure is not None
    assert "no function nosuch is loaded here; write package.module:function" in missing.failure.detail
    assert coroutine.failure is not None
    assert "a call of it does not do its work" in coroutine.failure.detail


@pytest.mark.parametrize("version", VERSIONS)
def test_threads_that_start_are_counted_call_by_call(version: str, write: WriteFile, tmp_path: Path):
    """Six calls a cycle, two in its own thread and four in another: none lost, none under a wrong caller."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here; pyenv install {version}")
    target = write("threads.py", THREADS)

    run = profile(f"{target}:cycle", out=tmp_path / "out", python=python)

    component = only(run)
    assert component.failure is None
    found = statistics(run, "cycle")
    assert calls(found)["heavy"] == 6 * 20
    (callers,) = [entry[4] for key, entry in found.items() if key[2] == "heavy"]
    assert {caller[2]: share[0] for caller, share in callers.items()} == {"cycle": 40, "in_thread": 80}
    assert "20 threads that started meanwhile" in component.coverage


@pytest.mark.parametrize("version", VERSIONS)
def test_threads_that_ran_before_are_covered_or_named_as_not_covered(version: str, write: WriteFile, tmp_path: Path):
    """From 3.12 on the profile has a pool made in setup; before it cannot, and the output says so."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here; pyenv install {version}")
    target = write("drive_pool.py", POOL)

    run = profile(str(target), out=tmp_path / "out", python=python)

    seen = calls(statistics(run, "pool"))
    coverage = only(run).coverage
    if version in ("3.8", "3.11"):
        assert "heavy" not in seen
        assert f"Not covered: 1 thread that ran before, because Python {version} can" in coverage
    else:
        assert seen["heavy"] == 20
        assert coverage.startswith("All threads are covered, each on its own: the cycle's own, 1 thread that ran")


def test_a_driver_that_raises_fails_alone(write: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Exit code 4, the exception in the output, and the other component's profile all the same."""
    write("drivers/drive_bad.py", "def cycle(state):\n    raise ValueError('torn frame')\n")
    write("drivers/drive_good.py", "def cycle(state):\n    sorted([2, 1])\n")

    code = main(
        ["profile", str(tmp_path / "drivers"), "--iterations", "5", "--warm-up", "0", "--out", str(tmp_path / "o")]
    )

    output = capsys.readouterr().out
    folder = Path(output.splitlines()[-1])
    assert code == 4
    assert "bad  failed in cycle 1: ValueError: torn frame" in output
    assert sorted(file.name for file in folder.glob("*.prof")) == ["good.prof", "merged.prof"]
    assert (folder / "report.html").is_file()


def test_the_pace_is_held_between_blocks_and_not_in_the_profile(write: WriteFile, tmp_path: Path):
    """No cycle starts before its interval, so a real server is not overloaded, and no sleep is in the profile."""
    # Counted from a moment before the first cycle is due: one that a busy machine holds up is followed sooner.
    target = write(
        "paced.py",
        "import time\nLOADED_S = time.monotonic()\nSTARTS = []\n\ndef cycle():\n"
        "    assert time.monotonic() - LOADED_S >= 0.02 * len(STARTS)\n    STARTS.append(None)\n",
    )

    run = profile(f"{target}:cycle", out=tmp_path / "out", iterations=5, interval_s=0.02)

    assert only(run).failure is None
    assert "<built-in method time.sleep>" not in calls(statistics(run, "cycle"))


def test_a_component_named_merged_is_refused(write: WriteFile, tmp_path: Path):
    """Its file would take the place of the sum."""
    target = write("drive_merged.py", "def cycle(state):\n    pass\n")

    with pytest.raises(UsageError, match=r"would take the place of merged\.prof"):
        profile(str(target), out=tmp_path / "out")
