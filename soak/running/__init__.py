"""What moves: measured processes, their supervision, guards and controls, the run as a whole."""
