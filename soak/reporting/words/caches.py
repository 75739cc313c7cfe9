"""A cache that holds what grows, in words."""

from __future__ import annotations

from soak.grounds import HoldingCache
from soak.units import format_count

_TITLES = {
    "lru_cache": "an lru_cache",
    "re": "the cache of re",
    "linecache": "the cache of linecache",
    "deque": "a deque",
    "WeakValueDictionary": "a WeakValueDictionary",
    "cachetools": "a cachetools cache",
}


def cache_words(cache: HoldingCache, noun: str) -> str:
    """Name a cache, its bound and how full it is: ``an lru_cache of 512, palette.lookup, with 300 entries``."""
    bound = "without a bound" if cache.capacity is None else f"of {format_count(cache.capacity)}"
    title = f"{_TITLES.get(cache.kind, f'a {cache.kind}')} {bound}, {cache.name}"
    if cache.capacity is not None and cache.filled >= cache.capacity:
        return f"{title}, which is full"
    full = f" and full at about {noun} {format_count(cache.full_at_cycle)}" if cache.full_at_cycle else ""
    return f"{title}, with {format_count(cache.filled)} entries{full}"


def cache_advice(cache: HoldingCache) -> str:
    """Say what to do about a cache that holds what grows; empty where it needs nothing."""
    if cache.kind == "WeakValueDictionary":
        return "Its entries go with their values: look for what holds those."
    if cache.capacity is None:
        return "Give it a maxsize." if cache.kind == "lru_cache" else "Give it a bound, or empty it now and then."
    return ""
