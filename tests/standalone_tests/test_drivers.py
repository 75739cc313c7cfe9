"""The drivers: each sets up, cycles and tears down, imports only what it drives, and together they reach everything."""

from __future__ import annotations

import ast
import ctypes
import gc
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, ModuleType

import psutil
import pytest

import decoder
from decoder.encoder import VideoFormat
from decoder.errors import SourceError
from decoder.sample_frames import sample_block
from decoder.sources import loopback_server
from decoder.sources.recording import RecordingWriter

FOLDER = Path(__file__).parents[2] / "standalone_tests"
NAMES = [
    "decoder",
    "decompressor",
    "display",
    "display_new_figure",
    "full_cycle",
    "get",
    "malformed_frames",
    "numpy_conversion",
]
ADDRESS = "/DESY2/D2JPEG.Webcam/Output"


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch):
    import matplotlib as mpl  # takes long, and every process that runs tests imports this module

    mpl.use("agg")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"drive_{name}", FOLDER / f"drive_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    # A dataclass with postponed annotations looks its module up.
    sys.modules[driver.__name__] = driver
    spec.loader.exec_module(driver)
    return driver


@contextmanager
def set_up(name: str, **settings: object) -> Iterator[Callable[[], None]]:
    """Yield one cycle of the driver as a call without arguments; tear down afterwards."""
    driver = load(name)
    state = driver.setup(**settings)
    try:
        yield lambda: driver.cycle(state)
    finally:
        if hasattr(driver, "teardown"):
            driver.teardown(state)


def test_these_are_the_drivers():
    """The folder holds these and nothing else."""
    assert {f"drive_{name}.py" for name in NAMES} == {path.name for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_cycles_and_leaves_nothing_behind(name: str):
    """Same descriptors, threads and children after teardown as before setup, once libraries have opened their fonts."""
    process = psutil.Process()
    with set_up(name) as cycle:
        cycle()
    gc.collect()  # what tests before left open would be closed in between
    before = process.num_fds(), process.num_threads(), len(process.children())

    with set_up(name) as cycle:
        for _ in range(3):
            cycle()

    assert before == (process.num_fds(), process.num_threads(), len(process.children()))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "display_new_figure"])
def test_a_gated_driver_does_not_grow(name: str):
    """At most one block and 100 bytes in ten cycles, fds and threads as before; soak itself asks for more."""
    cycles = 100
    with set_up(name) as cycle:
        for _ in range(cycles):
            cycle()
        before = counters()
        for _ in range(cycles):
            cycle()
        after = counters()

    heap_bytes, blocks, descriptors, threads = (new - old for new, old in zip(after, before, strict=True))
    assert blocks < cycles / 10
    assert heap_bytes < 10 * cycles
    assert (descriptors, threads) == (0, 0)


class _MallocInfo(ctypes.Structure):
    """glibc's struct mallinfo2: ten sizes, of which the fifth and the eighth are what is in use."""

    _fields_ = [(f"size_{number}", ctypes.c_size_t) for number in range(10)]


def counters() -> tuple[int, int, int, int]:
    """Return heap bytes, Python blocks, descriptors and threads in use, garbage collected."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _MallocInfo
    process = psutil.Process()
    gc.collect()  # first: garbage of other tests may hold descriptors
    descriptors, threads = process.num_fds(), process.num_threads()
    info = mallinfo2()
    return info.size_4 + info.size_7, sys.getallocatedblocks(), descriptors, threads


@pytest.mark.parametrize("video_format", VideoFormat)
def test_the_format_and_size_of_a_driver_can_be_set(video_format: VideoFormat):
    """As `--set decoder.image_format=GRAY16` does."""
    names = ["decoder", "numpy_conversion"] + ["decompressor"] * video_format.startswith("JPEG")
    for name in names:
        with set_up(name, image_format=str(video_format), width=40, height=30) as cycle:
            cycle()


def test_a_driver_can_play_a_recording(tmp_path: Path):
    """No server needed then."""
    with RecordingWriter(tmp_path / "film") as writer:
        writer.append(ADDRESS, "Frame", sample_block(width=16, height=16))

    for name in ("get", "full_cycle", "display"):
        with set_up(name, source=f"recording:{tmp_path / 'film'}") as cycle:
            cycle()


def test_the_driver_of_the_error_path_fails_when_something_is_accepted():
    """Otherwise it would measure nothing."""
    driver = load("malformed_frames")
    state = driver.setup()
    state.attempts.append(lambda: None)

    with pytest.raises(AssertionError, match="was not refused"):
        driver.cycle(state)
    driver.teardown(state)


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_imports_its_component_and_nothing_of_soak(name: str):
    """This holds for the top of the file; the __main__ block may import it."""
    tree = ast.parse((FOLDER / f"drive_{name}.py").read_text(encoding="utf-8"))
    packages = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    allowed = {"decoder"} | ({"matplotlib"} if name.startswith("display") else set())
    assert packages - set(sys.stdlib_module_names) <= allowed


def public_functions() -> dict[CodeType, str]:
    """Return the code of each public function and method of ``decoder``, but for protocols and the server's process."""
    found: dict[CodeType, str] = {}
    for info in pkgutil.walk_packages(decoder.__path__, "decoder."):
        module = importlib.import_module(info.name)
        if module is loopback_server:
            continue
        for name, member in vars(module).items():
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(member):
                found[member.__code__] = f"{info.name}.{name}"
            elif inspect.isclass(member) and not getattr(member, "_is_protocol", False):
                found.update(methods_of(member))
    return found


def methods_of(owner: type) -> dict[CodeType, str]:
    found = {}
    for name, member in vars(owner).items():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function):
            found[function.__code__] = f"{owner.__module__}.{owner.__name__}.{name}"
    return found


def test_every_public_function_of_the_decoder_has_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Some driver reaches it with some settings; functions that only tests and recordings need are listed."""
    not_soaked = {
        "decoder.sources.loopback.LoopbackSource.server_pid",
        "decoder.sources.recording.RecordingWriter.append",
        "decoder.sources.recording.RecordingWriter.close",
        "decoder.sources.pytine.PyTineSource.attach",
        "decoder.sources.pytine.PyTineSource.detach",
        "decoder.sources.pytine.is_installed",
    }
    fake_pytine = ModuleType("PyTine")
    fake_pytine.get = lambda *_: {"data": {}}  # type: ignore[attr-defined]  # a module takes any attribute
    fake_pytine.stop_get = lambda *_: None  # type: ignore[attr-defined]  # likewise
    monkeypatch.setitem(sys.modules, "PyTine", fake_pytine)
    with RecordingWriter(tmp_path / "film") as writer:
        writer.append(ADDRESS, "Frame", sample_block(width=16, height=16))
    runs: list[tuple[str, dict[str, str]]] = [(name, {}) for name in NAMES]
    runs += [("get", {"source": "pytine"}), ("get", {"source": f"recording:{tmp_path / 'film'}"})]
    reached: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            reached.add(frame.f_code)

    sys.setprofile(note)
    try:
        for name, settings in runs:
            with set_up(name, **settings) as cycle:
                cycle()
    finally:
        sys.setprofile(None)

    assert not_soaked == {name for code, name in public_functions().items() if code not in reached}


def test_a_driver_says_what_sources_there_are():
    """A wrong setting is one clear line."""
    with pytest.raises(SourceError, match="there is no source 'radio'"):
        load("get").setup(source="radio")
