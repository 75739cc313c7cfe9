"""The pytest plugin: the marker, the checks that it makes, and their reports."""
