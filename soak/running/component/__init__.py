"""Supervise one measured process: start it, read it, judge it, stop it, and make its result."""
