"""The allocation tracker's library: how it is built, preloaded and read. ``docs/tracker.md`` tells the whole."""
