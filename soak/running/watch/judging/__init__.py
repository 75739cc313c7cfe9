"""Judge a watched program: what its cycles are, which blocks live after each, and what that means."""
