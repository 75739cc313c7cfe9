"""Names, from outside, of the way from a module to an object in the memory of a process that stands still."""
