"""Blocks that CPython has, and no program holds: garbage, free objects, names of attribute look-ups."""
