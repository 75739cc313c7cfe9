"""Follows pointers: what is reached, what is lost, which object owns the rest."""
