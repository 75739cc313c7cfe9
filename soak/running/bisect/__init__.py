"""Find the first release of a package that leaks, or the first that no longer does."""
