"""Scans the memory of a measured process, or of a copy of it, for pointers to what stays."""
