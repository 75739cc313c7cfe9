"""``soak view``: a small server on the loopback address for profiles and reports."""
