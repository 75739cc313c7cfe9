"""A whole run: the controls, each component in its own process, the parts against the whole."""
