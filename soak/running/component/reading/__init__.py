"""Read a component while it runs: its rows, its ledger, its memory, and what it has open."""
