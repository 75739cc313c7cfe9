"""List what a process has open (descriptors, threads, child processes), and what is new since an earlier list.

All of it is read from outside, from /proc. On systems without /proc the lists are empty.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

MOST_LISTED = 16_384
"""How many descriptors and threads are listed: the newest. Reading one takes some microseconds."""

_MOST_ASKED = 1024
"""For how many threads the children are read: a leak of threads must not make this slow."""

DESCRIPTOR, THREAD, CHILD = "file-descriptor", "thread", "child-process"
"""The kinds of open items, which are also the kinds of causes."""

_PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
_INODE_COLUMN, _LISTENING, _NOWHERE = 9, "0A", 0
_ANONYMOUS = {"eventpoll": "epoll"}
_LONGEST_COMMAND = 120


@dataclass(frozen=True)
class Inventory:
    """What was open at one moment."""

    descriptors: Mapping[int, str] = field(default_factory=dict)
    """By number, what /proc says that the descriptor points to."""
    threads: frozenset[int] = frozenset()
    children: frozenset[int] = frozenset()


@dataclass(frozen=True)
class OpenItem:
    """One descriptor, thread or child process."""

    kind: str
    number: int
    """The number of the descriptor, or the kernel's number of the thread or process."""
    type: str
    """What it is: ``file``, ``tcp socket``, ``pipe``, ``thread``, ``zombie process``, …"""
    name: str
    """Its path, its addresses, the name of the thread or the command; empty when it has none."""


def read_inventory(pid: int) -> Inventory:
    """List what process ``pid`` has open now, without what cannot be read."""
    folder = f"/proc/{pid}"
    threads = _numbers(f"{folder}/task")
    children: set[int] = set()
    for thread in {pid, *threads[-_MOST_ASKED:]}:
        with contextlib.suppress(OSError):
            children.update(map(int, Path(f"{folder}/task/{thread}/children").read_bytes().split()))
    return Inventory(_links(pid, _numbers(f"{folder}/fd")), frozenset(threads), frozenset(children))


def describe_new(
    pid: int, before: Inventory, reopened: Iterable[int] = (), thread_names: Mapping[int, str] | None = None
) -> tuple[OpenItem, ...]:
    """Return what process ``pid`` has open now and did not have open ``before``.

    ``reopened``: descriptors that were opened since, although they point to the same as before. ``thread_names``: by
    the kernel's number, where a better name than the kernel's is known.
    """
    now, again = read_inventory(pid), frozenset(reopened)
    links = {n: link for n, link in now.descriptors.items() if before.descriptors.get(n) != link or n in again}
    inodes = {_inode_of(link) for link in links.values() if link.startswith("socket:")}
    sockets = _sockets(pid, inodes) if inodes else {}
    return (
        *(_descriptor(pid, number, link, sockets) for number, link in sorted(links.items())),
        *(_thread(pid, number, thread_names or {}) for number in sorted(now.threads - before.threads)),
        *(_child(number) for number in sorted(now.children - before.children)),
    )


def _numbers(folder: str) -> list[int]:
    with contextlib.suppress(OSError):
        return sorted(map(int, os.listdir(folder)))[-MOST_LISTED:]
    return []


def _links(pid: int, descriptors: Iterable[int]) -> dict[int, str]:
    links = {}
    for number in descriptors:
        with contextlib.suppress(OSError):
            links[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return links


def _descriptor(pid: int, number: int, link: str, sockets: Mapping[str, tuple[str, str]]) -> OpenItem:
    if link.startswith("/memfd:"):
        kind, name = "memory file", link.removeprefix("/memfd:").removesuffix(" (deleted)")
    elif link.startswith("/"):
        kind, name = _file_type(pid, number, link), link.removesuffix(" (deleted)")
    elif link.startswith("socket:"):
        kind, name = sockets.get(_inode_of(link), ("socket", ""))
    elif link.startswith("anon_inode:"):
        what = link.removeprefix("anon_inode:").strip("[]")
        kind, name = _ANONYMOUS.get(what, what), ""
    else:
        kind, name = link.partition(":[")[0], ""
    return OpenItem(DESCRIPTOR, number, kind, name)


def _file_type(pid: int, number: int, link: str) -> str:
    mode = 0
    with contextlib.suppress(OSError):
        mode = os.stat(f"/proc/{pid}/fd/{number}").st_mode
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "device"
    if stat.S_ISFIFO(mode):
        return "named pipe"
    return "deleted file" if link.endswith(" (deleted)") else "file"


def _inode_of(link: str) -> str:
    return link[len("socket:[") : -1]


def _sockets(pid: int, inodes: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return type and addresses of these sockets of the process, by inode.

    The kernel lists all sockets in its network, which may be many thousands; the process waits meanwhile.
    """
    found: dict[str, tuple[str, str]] = {}
    for protocol in _PROTOCOLS:
        for columns in _rows(pid, protocol):
            if len(columns) > _INODE_COLUMN and columns[_INODE_COLUMN] in inodes:
                local, peer, state = columns[1:4]
                found[columns[_INODE_COLUMN]] = (f"{protocol[:3]} socket", _addresses(local, peer, state, protocol))
    for columns in _rows(pid, "unix"):
        if columns[6] in inodes:
            found[columns[6]] = ("unix socket", " ".join(columns[7:]))
    return found


def _rows(pid: int, protocol: str) -> list[list[str]]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/net/{protocol}").read_text(encoding="utf-8", errors="replace")
        return [line.split() for line in text.splitlines()[1:]]
    return []


def _addresses(local: str, peer: str, state: str, protocol: str) -> str:
    here, there = _address(local), _address(peer)
    if int(peer.rpartition(":")[2], 16) != _NOWHERE:
        return f"{here} → {there}"
    return f"listening on {here}" if state == _LISTENING and protocol.startswith("tcp") else here


def _address(text: str) -> str:
    """Turn ``0100007F:1F90`` (words as the processor has them) into ``127.0.0.1:8080``."""
    digits, _, port = text.partition(":")
    words = bytes.fromhex(digits)
    packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if len(packed) == 4:
        return f"{IPv4Address(packed)}:{int(port, 16)}"
    address = IPv6Address(packed)
    return f"{address.ipv4_mapped or f'[{address}]'}:{int(port, 16)}"


def _thread(pid: int, number: int, names: Mapping[int, str]) -> OpenItem:
    name = names.get(number)
    if name is None:
        name = _text(f"/proc/{pid}/task/{number}/comm")
    return OpenItem(THREAD, number, "thread", name)


def _child(number: int) -> OpenItem:
    fields = _text(f"/proc/{number}/stat")
    command = _text(f"/proc/{number}/cmdline").replace("\0", " ").strip()[:_LONGEST_COMMAND]
    if fields.rpartition(")")[2].split()[:1] == ["Z"]:
        return OpenItem(CHILD, number, "zombie process", fields.partition("(")[2].rpartition(")")[0])
    return OpenItem(CHILD, number, "process", command)


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\n")
    return ""
