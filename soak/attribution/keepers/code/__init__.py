"""What the source code of a program says: one question about its syntax in each file."""
