"""Watch a program that knows nothing of soak."""
