"""Reads the logs of single tools: one file per format."""
