"""What keeps: one SQLite file a run, the only place that imports sqlite3."""
