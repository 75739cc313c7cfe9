"""Containers that only grow, as the source code of the program shows."""
