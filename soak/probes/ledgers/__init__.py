"""Read the tracker's tables from outside: of one process, stopped or running, and of several as one ledger."""
