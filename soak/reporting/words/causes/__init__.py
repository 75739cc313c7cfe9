"""Sentences on causes of growth: where it is allocated, who holds it, and what to do."""
