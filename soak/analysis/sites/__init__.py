"""Judges call sites and their blocks by the counts of the ledger."""
