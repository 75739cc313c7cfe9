"""The reports of a matrix: many runs, their cells, and what differs from version to version and from host to host."""
