"""A warm process that makes measured processes of itself by fork."""
