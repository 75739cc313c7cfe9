"""Commands on runs that are kept: to list, show, compare, view and remove them, and to write their reports again."""
