"""The template: a process that has started Python and imported what is not measured, and forks when it is asked to.

``python .../soak/inside/__main__.py --template REQUESTS REPLIES``: two descriptors, over which messages go (see
soak.inside.forking.messages). It loads nothing of the program that is measured, and runs one thread. So a process that
it forks is in the state of one that was started and came as far by itself.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal

from soak.inside import child, tracker
from soak.inside.forking import own_pages
from soak.inside.forking.messages import receive, send

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from soak.inside.forking.messages import Message

_DOES_NOT_SURVIVE_FORK = ("libcuda", "libcudart", "libglib-2", "libgobject-2", "libgstreamer", "libgomp", "libtbb")
"""Libraries that start threads, or hold a device, when they are loaded."""


def serve(requests: int, replies: int) -> str | None:
    """Fork as often as the parent asks; return the path of the ring in a child, None when nobody asks any more.

    The first request is what to prepare: ``parent_pid``, ``module`` (to be imported), ``file`` (where it must be),
    ``modules`` (to be imported as well). The reply is why this process cannot be forked, or an empty text. Each further
    one describes a child: ``ring``, ``output`` (the path of what it writes to), ``folder``, ``mark`` and ``changes``
    (of the environment). The replies are its number, or why there is none; and, after its end, its exit status.
    """
    wanted = receive(requests)
    if wanted is None:
        return None
    child.die_with_parent(wanted["parent_pid"])
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    send(replies, {"refused": _prepare(wanted)})
    tracked = tracker.connect()
    while True:
        order = receive(requests)
        _reap()
        if order is None:
            return None
        refused = _why_not_now()
        if refused:
            send(replies, {"refused": refused})
            continue
        output = os.open(order["output"], os.O_WRONLY)
        tracked.go_on_in_children(True)
        pid = os.fork()
        tracked.go_on_in_children(False)
        if not pid:
            os.close(requests)
            os.close(replies)
            _become(order, output)
            return str(order["ring"])
        os.close(output)
        send(replies, {"pid": pid})
        # The child stays in the kernel's table until the next request, so its number is not given to another.
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        send(replies, {"status": status})


def _prepare(wanted: Message) -> str:
    """Import what is asked for; return why this process cannot be forked, or an empty text."""
    try:
        module = importlib.import_module(wanted["module"])
        for name in wanted["modules"]:
            importlib.import_module(name)
    except Exception as error:
        return "%s cannot be imported without the folders of the test (%s)" % (wanted["module"], type(error).__name__)
    if getattr(module, "__file__", None) != wanted["file"]:
        return "%s would be another one" % wanted["module"]
    return own_pages.why_not() or _why_not_now()


def _why_not_now() -> str:
    """Return why this process cannot be forked, or an empty text; a module at the start of Python may be the cause."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "something at the start of Python has started a thread"
    with open("/proc/self/maps", "rb") as listed:
        mapped = listed.read().decode("utf-8", "replace")
    found = [name for name in _DOES_NOT_SURVIVE_FORK if "/" + name in mapped]
    return "something at the start of Python has loaded %s" % found[0] if found else ""


def _reap() -> None:
    """Take the children that have ended, copies of a measured process among them, off the kernel's table."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _become(order: Message, output: int) -> None:
    """Make this forked process what one is that was started by itself."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(order["folder"])
    name, mark = order["mark"]
    _overwrite(name, mark)
    for variable, value in order["changes"].items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value
    importlib.invalidate_caches()  # files may be newer than what the template has seen of their folder
    signal.set_wakeup_fd(-1)
    own_pages.take()


def _overwrite(name: str, mark: str) -> None:
    """Give a variable of the environment another value of the same length, where the kernel shows it as well."""
    before = os.environ[name]
    if len(before) == len(mark):
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        ctypes.memmove(libc.getenv(name.encode()), mark.encode(), len(mark))
    os.environ[name] = mark


def main(requests: str, replies: str) -> str:
    """Serve; return the path of the ring in a child (see `serve`)."""
    ring_path = None
    try:
        ring_path = serve(int(requests), int(replies))
    finally:
        if ring_path is None:
            os._exit(0)  # nothing is left to be done, whether or not the parent is there to be told of an error
    return ring_path
