"""Decide on a component: from all evidence to one verdict."""
