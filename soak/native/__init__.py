"""The library of the allocation tracker: how it is built, preloaded and read. See ``docs/tracker.md``."""
