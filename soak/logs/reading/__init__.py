"""Reads logs: one file per format, and what the formats share."""
