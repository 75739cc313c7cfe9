"""Reads the counters that only the measured process can read, and collects garbage before."""
