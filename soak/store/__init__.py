"""What keeps the runs: one SQLite file for each. Nothing else imports sqlite3."""
