"""One scan of the memory of a process that is held still."""
