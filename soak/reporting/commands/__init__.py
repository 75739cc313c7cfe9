"""What the commands other than ``run`` print."""
