"""Which programs run with the tracker, and which without: each line of the list in docs/transparency.md."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from soak.native import build, preload
from soak.native.programs import why_not_preloadable

pytestmark = pytest.mark.native

DOCUMENT = Path(__file__).parents[2] / "docs" / "transparency.md"
HELLO = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    volatile char *block = malloc(100);
    block[0] = 1;
    free((void *)block);
    return puts(getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "libsoak_tracker") ? "with" : "without") < 0;
}
"""
ALLOCATOR = """
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#define BYTES ((size_t)16 << 20)
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *next;
void *malloc(size_t size)
{
    pthread_mutex_lock(&lock);
    if (!next)
        next = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *block = next;
    next += (size + 31) & ~(size_t)15;
    pthread_mutex_unlock(&lock);
    return block;
}
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *realloc(void *old, size_t size) { return old ? memcpy(malloc(size), old, size) : malloc(size); }
void free(void *block) { (void)block; }
"""
EARLY = """
#include <stdlib.h>
void *kept;
__attribute__((constructor)) static void allocate(void) { kept = malloc(10); }
"""
"""Of a library that allocates before the tracker begins."""
COMPILERS = {
    "glibc": ["cc"],
    "musl": ["musl-gcc"],
    "32-bit": ["cc", "-m32"],
    "static": ["cc", "-static"],
    "static-pie": ["cc", "-static-pie"],
    "AddressSanitizer": ["cc", "-fsanitize=address"],
    "AddressSanitizer, linked statically": ["cc", "-fsanitize=address", "-static-libasan"],
    "LeakSanitizer": ["cc", "-fsanitize=leak"],
    "ThreadSanitizer": ["cc", "-fsanitize=thread"],
    "UndefinedBehaviorSanitizer": ["cc", "-fsanitize=undefined"],
    "an allocator linked in": ["cc", "allocator.c", "-Wl,--no-as-needed", "-L.", "-learly", "-Wl,-rpath,$ORIGIN"],
}
WITH = {"glibc", "ThreadSanitizer", "UndefinedBehaviorSanitizer", "an allocator linked in"}
REASONS = {
    "musl": "it is linked with musl (ld-musl-",
    "32-bit": "it is a 32-bit program",
    "static": "it is a static program",
    "static-pie": "it is a static program",
    "AddressSanitizer": "it is built with a sanitizer (libasan.so), which must be the first library",
    "AddressSanitizer, linked statically": "it is built with a sanitizer (__lsan_), which must be the first library",
    "LeakSanitizer": "it is built with a sanitizer (liblsan.so), which must be the first library",
}
STARTER = """
import ctypes, os, subprocess, sys
program, environment = sys.argv[1], dict(os.environ)
libc = ctypes.CDLL(None, use_errno=True)

def arguments(*words):
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words))

def execute(name, first, *others):
    getattr(libc, name)(first, *others)
    os._exit(9)

def wait(start):
    pid = os.fork()
    if pid == 0:
        start()
        os._exit(9)
    return os.waitpid(pid, 0)[1]

path, folder, name = os.fsencode(program), os.path.dirname(program), os.path.basename(program)
os.environ["PATH"] = folder
alone = arguments(program)
given = arguments(*(f"{key}={value}" for key, value in environment.items()))
file = os.open(program, os.O_RDONLY)
os.set_inheritable(file, True)
statuses = [
    subprocess.run([program], env=environment).returncode,
    os.waitpid(os.posix_spawn(program, [program], environment), 0)[1],
    os.waitpid(os.posix_spawnp(name, [name], environment), 0)[1],
    wait(lambda: execute("execv", path, alone)),
    wait(lambda: execute("execvp", os.fsencode(name), alone)),
    wait(lambda: execute("execvpe", os.fsencode(name), alone, given)),
    wait(lambda: execute("execve", path, alone, given)),
    wait(lambda: execute("execl", path, path, None)),
    wait(lambda: execute("execlp", os.fsencode(name), path, b"a", None)),
    wait(lambda: execute("execle", path, path, b"a", None, given)),
    wait(lambda: execute("fexecve", file, alone, given)),
    wait(lambda: execute("execveat", file, b"", alone, given, 0x1000)),
]
sys.exit(any(statuses) and str(statuses))
"""
WAYS = 12


SMALL_STACK = """
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static char *arguments[] = {"true", NULL};
static void *start(void *unused)
{
    volatile char used[4096];
    memset((char *)used, 1, sizeof used);
    int status = -1, failed = posix_spawnp(&(pid_t){0}, "true", NULL, NULL, arguments, environ);
    if (failed || wait(&status) < 0 || status)
        return (void *)1;
    pid_t child = vfork();
    if (child == 0) {
        execvp("true", arguments);
        _exit(9);
    }
    return (void *)(long)(waitpid(child, &status, 0) != child || status || !used[5]);
}
int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *failed = (void *)1;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    return pthread_create(&thread, &attributes, start, NULL) || pthread_join(thread, &failed) || failed;
}
"""


@pytest.fixture(scope="session")
def program(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Give a function that builds a program of one kind; it skips the test where this machine cannot."""
    folder = tmp_path_factory.mktemp("programs")
    source = folder / "hello.c"
    source.write_text(HELLO)
    (folder / "allocator.c").write_text(ALLOCATOR)
    (folder / "early.c").write_text(EARLY)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "libearly.so", "early.c"], cwd=folder, check=True)

    def made(kind: str) -> str:
        target = folder / re.sub(r"\W+", "_", kind)
        command = [compiler if word == "cc" else word for word in COMPILERS[kind]]
        if not target.exists():
            if shutil.which(command[0]) is None:
                pytest.skip(f"{command[0]} is not installed")
            command += ["-o", str(target), str(source)]
            if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
                pytest.skip(f"{' '.join(command)} does not work here")
        if subprocess.run([target], capture_output=True, check=False).returncode:
            pytest.skip(f"a program of {' '.join(command)} does not run here")
        return str(target)

    return made


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_program_runs_with_the_tracker_or_the_reason_why_not_is_known(
    kind: str, program: Callable[[str], str]
) -> None:
    why = why_not_preloadable(program(kind))

    assert why is None if kind in WITH else why is not None and why.startswith(REASONS[kind])


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_child_of_a_tracked_program_loads_the_library_only_where_it_can(
    kind: str, program: Callable[[str], str], library: Path
) -> None:
    """By each function that starts a program."""
    with preload.preloading(library, os.environ) as environment:
        command = [sys.executable, "-c", STARTER, program(kind)]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    expected = ("with\n" if kind in WITH else "without\n") * WAYS
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, "")


def test_a_script_is_what_its_interpreter_is(program: Callable[[str], str], tmp_path: Path, library: Path) -> None:
    """The loader that counts is that of the interpreter."""
    script = tmp_path / "script"
    script.write_text(f"#! {program('static')}\n")
    script.chmod(0o755)

    with preload.preloading(library, os.environ) as environment:
        command = [sys.executable, "-c", STARTER, str(script)]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert why_not_preloadable(str(script)) == "it is a static program"
    # fexecve closes the file before the interpreter opens it; so do shells of a script.
    assert set(result.stdout.split()) == {"without"}


def test_other_preloads_of_a_child_stay(library: Path, tmp_path: Path, program: Callable[[str], str]) -> None:
    """Only the tracker's library is taken out."""
    echo = tmp_path / "echo.c"
    echo.write_text(
        '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv("LD_PRELOAD")) < 0; }'
    )
    static = tmp_path / "echo"
    program("static")
    subprocess.run(["cc", "-static", "-o", static, echo], check=True)
    command = [sys.executable, "-c", "import os, sys; os.execv(sys.argv[1], ['echo'])", static]

    with preload.preloading(library, {**os.environ, "LD_PRELOAD": "libm.so.6 libdl.so.2"}) as environment:
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)

    assert result.stdout == "libm.so.6:libdl.so.2\n"


def test_a_preloaded_sanitizer_stays_the_first_library() -> None:
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": "/usr/lib/libasan.so.8:/x/liby.so"}

    why = why_not_preloadable("sh", environment)

    assert why == "LD_PRELOAD has libasan.so.8, which must be the first library"


@pytest.mark.parametrize("order", ["{sanitizer}:{tracker}", "{tracker}:{sanitizer}"])
def test_a_child_with_a_preloaded_sanitizer_does_not_load_the_library(
    order: str, compiler: str, program: Callable[[str], str], library: Path
) -> None:
    """As of a script that adds one to the preloads that it has."""
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    sanitizer = Path(found.stdout.strip())
    if not sanitizer.is_absolute():
        pytest.skip("no libasan.so here")
    start = "import os, sys; os.execve(sys.argv[1], sys.argv[1:2], {**os.environ, 'LD_PRELOAD': sys.argv[2]})"

    with preload.preloading(library, os.environ) as environment:
        listed = order.format(sanitizer=sanitizer.resolve(), tracker=environment["LD_PRELOAD"])
        command = [sys.executable, "-c", start, program("glibc"), listed]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "without\n", "")


OUT_OF_REACH = {
    "the file is gone": "os.unlink(library)",
    "another user": "os.chmod(os.path.dirname(library), 0o700); os.setgroups([]); os.setgid(65534); os.setuid(65534)",
    "little address space": "resource.setrlimit(resource.RLIMIT_AS, (6000 << 10,) * 2)",
}


@pytest.mark.parametrize("where", OUT_OF_REACH)
def test_a_program_is_started_without_the_library_where_that_is_out_of_reach(
    where: str, library: Path, tmp_path: Path
) -> None:
    """The loader would print an error for each program, or not find room for libc."""
    folder = tmp_path / "library"
    folder.mkdir()
    moved = Path(shutil.copy(library, folder))
    last = 'os.execv("/bin/sh", ["sh", "-c", "echo ${LD_PRELOAD-without}"])'
    script = f"import os, resource\nlibrary = os.environ['LD_PRELOAD']\n{OUT_OF_REACH[where]}\n{last}"

    with preload.preloading(moved, os.environ) as environment:
        command = [sys.executable, "-c", script]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    if "PermissionError" in result.stderr:
        pytest.skip("only root may do that")
    assert (result.returncode, result.stdout, result.stderr) == (0, "without\n", "")


def test_a_thread_with_the_smallest_stack_starts_programs(compiler: str, library: Path, tmp_path: Path) -> None:
    """The library reads each of them first."""
    (tmp_path / "small.c").write_text(SMALL_STACK)
    command = [compiler, "-O1", "-w", "-o", tmp_path / "small", tmp_path / "small.c", "-lpthread"]
    subprocess.run(command, check=True)
    if subprocess.run([tmp_path / "small"], check=False).returncode:
        pytest.skip("the stack is too small for this libc itself")

    with preload.preloading(library, os.environ) as environment:
        result = subprocess.run([tmp_path / "small"], capture_output=True, env=environment, check=False)

    assert result.returncode == 0


def test_what_the_system_refuses_is_refused_as_without_the_tracker(library: Path) -> None:
    """Execveat of no path at all, in a folder of its own: the system answers EFAULT."""
    call = "ctypes.CDLL(None, use_errno=True).execveat(5, None, None, None, 0), ctypes.get_errno()"
    with preload.preloading(library, os.environ) as environment:
        command = [sys.executable, "-c", f"import ctypes; print({call})"]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, f"-1 {errno.EFAULT}\n", "")


def test_a_setuid_program_is_said_to_be_one(program: Callable[[str], str], tmp_path: Path) -> None:
    copy = Path(shutil.copy(program("glibc"), tmp_path / "setuid"))
    try:
        os.chown(copy, 12345, 12345)
    except PermissionError:
        pytest.skip("only root can give a file to another user")
    copy.chmod(0o4755)

    assert why_not_preloadable(str(copy)) == "it is a setuid program"


@pytest.mark.parametrize(
    "content", [b"", b"#!", b"#!\n", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + bytes(58)]
)
def test_a_damaged_program_is_no_error(content: bytes, tmp_path: Path) -> None:
    """Starting it gives the message."""
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    damaged.chmod(0o755)

    assert why_not_preloadable(str(damaged)) in (None, "it is built for another processor", "it is a static program")


def test_the_list_of_the_documentation_is_that_of_the_tests() -> None:
    listed = re.findall(r"^\| ([\w, -]+) \| (yes|no)", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert {kind: answer == "yes" for kind, answer in listed if kind in COMPILERS} == {
        kind: kind in WITH for kind in COMPILERS
    }


def test_the_library_and_the_parent_know_the_same_sanitizers() -> None:
    source = (build.SOURCE_FOLDER / "openings" / "loadable.c").read_text()
    parent = Path(build.__file__).with_name("programs.py").read_text()

    names = set(re.findall(r'"((?:lib\w+san\.so|libclang_rt\.\w+|__\w+san_))"', source))

    assert len(names) == 10
    assert names == set(re.findall(r'"((?:lib\w+san\.so|libclang_rt\.\w+|__\w+san_))"', parent))
