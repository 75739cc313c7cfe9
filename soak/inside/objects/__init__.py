"""Answer questions about the objects of the measured process, after its last cycle."""
