"""What is read about the measured process from outside it."""
