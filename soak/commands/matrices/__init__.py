"""Commands on many runs as one matrix, on this machine or on others."""
