"""The guards: stop a component before it runs into a limit and takes its evidence, or the machine, with it."""

from __future__ import annotations

from collections.abc import Mapping

GUARDED_SHARE = 0.8


def tripped_guard(values: Mapping[str, float], limits: Mapping[str, float], max_rss_bytes: float | None) -> str | None:
    """Return the signal whose value has come to 80 % of its limit (for RSS: to ``--max-rss``, if given), or None."""
    if max_rss_bytes is not None and values.get("rss", 0.0) >= max_rss_bytes:
        return "rss"
    for signal, limit in limits.items():
        if values.get(signal, 0.0) >= GUARDED_SHARE * limit:
            return signal
    return None
