"""One component under cProfile."""
