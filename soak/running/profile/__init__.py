"""Profile components under cProfile."""
