"""Marks the cycles of a watched program that does not call soak: requests, tasks, or calls of a named function."""
