"""Sentences on why a verdict was given, by ground and by signal."""
