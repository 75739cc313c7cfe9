"""A program whose RSS grows for five reasons at once: soak run docs/examples/where_rss_goes.py --iterations 6000."""

import ctypes
import mmap
import threading

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
libc.malloc.argtypes = (ctypes.c_size_t,)
libc.realloc.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

kept: list[bytes] = []
areas: list[mmap.mmap] = []
never = threading.Lock()
never.acquire()
last = None


def cycle(_state: None) -> None:
    """Keep 600 B from malloc, 400 B of Python objects and a hole of 900 B; at times also a thread or a mapping."""
    global last
    ctypes.memset(libc.malloc(600), 1, 600)
    kept.append(bytes(400 - 33))
    block = libc.malloc(1800)
    ctypes.memset(block, 1, 1800)
    if last:
        libc.realloc(last, 700)
    last = block
    if len(kept) % 64 == 0:
        threading.Thread(target=never.acquire, daemon=True).start()
    if len(kept) % 8 == 0:
        areas.append(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE))
        areas[-1][0] = 1
