"""What the name of a column says: memory, a time, a count of cycles, whose reading it is, a unit."""

from __future__ import annotations

import re

from soak.logs.reading.numbers import unit_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEMORY = frozenset(("rss", "vmrss", "res", "resident", "real", "uss", "pss", "heap", "memory", "mem", "workingset",
                     "kbmemused"))  # fmt: skip
_MEMORY_IN_WORDS = (frozenset(("working", "set")), frozenset(("private", "bytes")))
"""The latter two are what Windows counts of a process."""
_NOT_IN_USE = _words(
    "percent pct perc cpu limit max peak hwm total free available avail virtual virt vms vsz vmsize swap shared shr "
    "memfree memavailable cache buff buf buffers cached cach faults flt io text lib data dirty anon locked fraction "
    "ratio rate time file shmem huge"
)
"""With one of these words a name does not mean the memory that a program holds."""
_NEVER_CHOSEN = _words("percent pct perc limit max peak hwm ratio fraction %")
"""A column with one of these words is no choice where another one is left."""
_TIMES = _words(
    "time timestamp ts date datetime epoch elapsed seconds secs sec minutes mins hours days uptime t when at clock "
    "_time"
)
_OF_A_TIME = _words("log sample wall start event local utc run date clock")
_CYCLES = _words("iteration iter iterations cycle cycles call calls loop loops")
_COUNTS = _CYCLES | _words(
    "i n index idx step request requests round sample frame row reading snapshot job task message"
)
_OWNERS = _words(
    "pid component container container_id container-id name metric_name metric series instance pod process type "
    "command cmd node namespace hostname host server service worker worker_id gpu device rank replica pod_name "
    "container_name process_name field _field measurement _measurement table"
)
_NEVER_VALUES = _words(
    "pid ppid tid uid gid user id cpu pr ni state s stat tty pids status code error_code result table"
)
_LEFT = frozenset(("free", "available", "avail", "memfree", "memavailable", "kbmemfree", "kbavail"))
_NOUNS = {"i": "iteration", "n": "iteration", "iter": "iteration", "index": "row", "idx": "row"}


def words_of(name: str) -> list[str]:
    """Split a name into its words in lower case: ``usedHeap_MB`` is used, heap, mb; a percent sign is one.

    The labels of a metric are left out: ``{pod="memory-0"}`` says nothing of what is measured.
    """
    name = name.partition("{")[0] or name
    return re.findall(r"[a-z]+|%", re.sub(r"(?<=[a-z])(?=[A-Z][A-Z]|[A-Z][a-z])", " ", name).lower())


def means_memory(name: str) -> bool:
    """Say whether a column is memory that a program holds: RSS, USS, heap, memory; not its address space or a limit."""
    words = set(words_of(name))
    named = words & _MEMORY or any(pair <= words for pair in _MEMORY_IN_WORDS)
    return bool(named) and "%" not in words and not words & _NOT_IN_USE


def means_left(name: str) -> bool:
    """Say whether a column is memory that is left: where it falls, the use of memory grows."""
    return bool(_LEFT & set(words_of(name))) and "%" not in name


def means_resident(name: str) -> bool:
    """Say whether a column counts resident pages."""
    return means_memory(name) and not set(words_of(name)) & {"heap"}


def means_time(name: str) -> bool:
    """Say whether a column is a time."""
    words = words_of(name)
    if "since" in words and words[0] in _TIMES:
        return True
    if name.lower() in _TIMES or words[-1:] in (["timestamp"], ["datetime"], ["at"]):
        return True
    return 1 <= len(words) <= 2 and (words[0] in _TIMES or (words[-1] == "time" and words[0] in _OF_A_TIME))


def means_count(name: str) -> bool:
    """Say whether a column counts what was done, such as iterations."""
    words = [word for word in words_of(name) if word not in ("number", "no", "count", "id")]
    return len(words) == 1 and words[0] in _COUNTS


def means_cycles(name: str) -> bool:
    """Say whether a column counts cycles: rates are then per cycle, also where there are times."""
    return means_count(name) and bool(set(words_of(name)) & _CYCLES)


def means_owner(name: str) -> bool:
    """Say whether a column says whose reading a row is: of which process, container or metric."""
    return name.lower().replace(" ", "_") in _OWNERS


def may_tell_apart(name: str) -> bool:
    """Say whether a column may name what is measured: not a time, and not what a processor has worked."""
    return not means_time(name) and not {"cpu", "processor"} & set(words_of(name))


def never_a_value(name: str) -> bool:
    """Say whether a column is a name or a number that is no measurement."""
    return means_owner(name) or name.lower() in _NEVER_VALUES


def is_a_bound(name: str) -> bool:
    """Say whether a column is a peak, a limit or a share of something else in the log."""
    return bool(_NEVER_CHOSEN & set(words_of(name)))


def noun_of(name: str) -> str:
    """Return what one step of a counting column is called: ``iterations`` counts iterations."""
    word = next((word for word in words_of(name) if word in _COUNTS), "iteration")
    return _NOUNS.get(word, word.removesuffix("s"))


def bracketed_unit(name: str) -> str | None:
    """Return the unit of memory that a name has in brackets, in whichever language it is: ``Speicher (MB)``."""
    bracketed = re.search(r"[(\[]\s*(\w{2,})\s*[)\]]\s*$", name)
    return unit_of(bracketed.group(1)) if bracketed else None


def unit_in(name: str) -> str | None:
    """Return the unit of memory that a name ends with or has in brackets: ``rss_kb``, ``Real (MB)``, ``mem[bytes]``."""
    if name.lower().endswith("maxrss"):
        return "KiB"  # getrusage on Linux
    if name.startswith("kbmem"):
        return "KiB"  # sar
    if name == "MemoryCurrent":
        return "B"  # systemd
    bracketed = re.search(r"[(\[]\s*(\w+)\s*[)\]]\s*$", name)
    word = bracketed.group(1) if bracketed else re.split(r"[\W_]+", name.strip())[-1]
    if len(word) < 2 and not bracketed:
        return None
    camel = re.search(r"[a-z](KB|MB|GB|KiB|MiB|GiB|Bytes|Kb|Mb)$", word)
    return unit_of(camel.group(1) if camel else word)
