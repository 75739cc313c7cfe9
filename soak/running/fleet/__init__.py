"""Measures the cells of a matrix: on this machine, or on many by Dask."""
