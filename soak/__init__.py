"""Soak-test components one by one and say which leaks, how much per cycle, and how sure that is.

This file stays empty of imports: the measured process imports ``soak.inside`` through it.
"""

__version__ = "0.1.0"
