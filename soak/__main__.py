"""The command line: ``soak COMMAND``."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import difflib
import io
import os
import re
import sys
import threading
import traceback
from collections.abc import Collection
from typing import NoReturn, TextIO

import soak
from soak.commands import COMMANDS, module_of
from soak.errors import SoakError, shortened, starved_words
from soak.running.rare_collections import rare_collections
from soak.running.surroundings import check_memory

EXIT_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. A SoakError becomes one line and code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if "utf" not in (getattr(stream, "encoding", None) or "utf").lower():
            from soak.reporting.plain_characters import use_plain_characters

            use_plain_characters(stream)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may be no Unicode
    try:
        check_memory()
        with rare_collections():
            exit_code = _run_command(given)
        sys.stdout.flush()  # Python flushes as it ends, and can then only say that it failed
        return exit_code
    except SoakError as error:
        return _end_with(shortened(error))
    except KeyboardInterrupt:
        return _end_with("interrupted")
    except BrokenPipeError:
        # The reader of stdout has ended (soak show | head). This is no error, but nothing more can be written.
        _write_no_more(sys.stdout)
        return EXIT_USAGE
    except Exception as error:
        starved = starved_words(error)
        if starved is not None:
            _write_no_more(sys.stdout)  # it may be what is full
            return _end_with(shortened(starved))
        # Python's own exit code here would be 1, which means a leak.
        traceback.print_exc()
        return _end_with("this is an error in soak itself; the measurements are in the run's folder")


def run_and_end() -> NoReturn:
    """Run one command and end the process, without the time that Python takes to free every module before."""
    exit_code = main()
    if threading.active_count() > 1:
        sys.exit(exit_code)  # Python waits for the other threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)


def _end_with(words: str) -> int:
    """Say in one line why soak ends, where that can be said, and return the exit code."""
    try:
        print(f"soak: {words}", file=sys.stderr, flush=True)
    except OSError:
        _write_no_more(sys.stderr)
    return EXIT_USAGE


def _open_missing_streams() -> None:
    """Open the null device in place of each standard stream that was closed (``2>&-``).

    Else the next file that is opened, such as run.db, would become the standard error of each library that writes.
    """
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free descriptor is this one: those below it are open by now.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _write_no_more(stream: TextIO) -> None:
    """Let all that is still to be written to a stream be lost."""
    with contextlib.suppress(OSError, ValueError):  # a test's stream has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Parser(argparse.ArgumentParser):
    """Says in one line what was wrong. argparse writes the names of all options above it, and hides it so."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message.removeprefix('argument ')} (see {self.prog} --help)\n")

    def refuse(self, unknown: list[str]) -> NoReturn:
        """End because of words that mean nothing here; name the option that was perhaps meant."""
        word = next((word for word in unknown if word.startswith("-")), unknown[0])
        if not word.startswith("-"):
            self.error(f"{word!r} is one argument too many")
        options = re.findall(r"--[a-z][a-z-]+", self.format_help())
        self.error(f"there is no option {word}{_perhaps(word.partition('=')[0], options)}")


def _perhaps(word: str, known: Collection[str]) -> str:
    """Return a question about the known word that resembles this one; empty when none does."""
    alike = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"; did you mean {alike[0]}?" if alike else ""


def _run_command(given: list[str]) -> int:
    name = next((word for word in given if not word.startswith("-")), None)
    parser = _Parser(
        prog="soak",
        description=(soak.__doc__ or "").partition("\n\n")[0],
        epilog="Each command has its own --help. For example: soak run my_script.py:cycle",
    )
    parser.add_argument("--version", action="version", version=f"soak {soak.__version__}")
    if name is not None and name not in COMMANDS:
        parser.error(f"there is no command {name!r}{_perhaps(name, COMMANDS)}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    called = parser
    for command, line in COMMANDS.items():
        if command != name:
            subparsers.add_parser(command, help=line, add_help=False)
            continue
        # Only the called command is imported, so that `soak --help` is fast.
        module = module_of(command)
        called = subparsers.add_parser(
            command, help=line, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(called)
        called.set_defaults(run=module.run)
    if not given:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    options, unknown = parser.parse_known_args(given)
    if unknown:
        called.refuse(unknown)
    exit_code: int = options.run(options)
    return exit_code


if __name__ == "__main__":
    run_and_end()
