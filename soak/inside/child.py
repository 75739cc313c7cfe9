"""One component from import to teardown, and the report of what went wrong."""

import faulthandler
import marshal
import os
import sys

from soak.inside import injection, loading, loop, ring

EXIT_FAILED = 70
"""Exit status of a driver that raised; the ring's text says what."""


def run(ring_path):
    """Soak the component described in the ring at ``ring_path``; return the exit status (0, or EXIT_FAILED)."""
    area = ring.Ring(ring_path)
    os.unlink(ring_path)  # both ends have it mapped now, so nothing is left behind whoever dies first
    settings = marshal.loads(area.read_text())
    area.write_text(b"")
    area.touch()
    _die_with_parent(settings["parent_pid"])
    # A crash in native code, and the abort by which a hang is ended, then print the Python stack to stderr.
    faulthandler.enable()
    sys.path[0:0] = settings["path"]
    sys.argv[:] = [settings["target"]["path"] or settings["target"]["module"]]
    try:
        _soak(area, settings)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        _report(area, error)
        return EXIT_FAILED
    return 0


def _soak(area, settings):
    words = area.words
    tracemalloc = None
    if settings["tracemalloc_frames"]:
        import tracemalloc

        tracemalloc.start(settings["tracemalloc_frames"])
    words[ring.WORD_PHASE] = ring.PHASE_SETUP
    component = loading.load(settings["target"], settings["settings"])
    arguments = component.setup(settings["settings"])
    leak = injection.make_leak(settings["inject"][0], settings["inject"][1]) if settings["inject"] else None
    soaking = loop.Loop(
        area,
        settings["interval_s"],
        settings["iterations"],
        settings["checkpoint_every"],
        settings["checkpoint_share"],
        leak,
        settings["inject"][2] if settings["inject"] else 1,
        tracemalloc and (lambda: tracemalloc.get_traced_memory()[0]),
    )
    words[ring.WORD_PHASE] = ring.PHASE_CYCLES
    if tracemalloc is None:
        soaking.run(component.cycle, arguments)
    else:
        from soak.inside import snapshots

        snapshots.run_between(soaking, component.cycle, arguments, settings["tracemalloc_file"])
    words[ring.WORD_PHASE] = ring.PHASE_TEARDOWN
    component.teardown(*arguments)
    words[ring.WORD_PHASE] = ring.PHASE_DONE


def _report(area, error):
    """Put the failure into the ring: first line type and message, then the frames, innermost last.

    Without the traceback module: a component that has used up its descriptors could not import it any more.
    """
    lines = [("%s: %s" % (type(error).__name__, error)).split("\n")[0]]
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append('File "%s", line %d, in %s' % (code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    area.write_text("\n".join(lines).encode("utf-8", "replace"))
    area.words[ring.WORD_FAILED_PHASE] = area.words[ring.WORD_PHASE]
    area.words[ring.WORD_PHASE] = ring.PHASE_FAILED


def _die_with_parent(parent_pid):
    """Ask Linux for SIGKILL when the parent is gone, so that no orphan goes on."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal, kill_signal = 1, 9
    ctypes.CDLL(None).prctl(set_parent_death_signal, kill_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(EXIT_FAILED)
