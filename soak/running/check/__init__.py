"""Check one function: in a process of its own, or in this one."""
