"""Reads the logs that people have: one file per format, all into one table, and from it one series to judge."""
