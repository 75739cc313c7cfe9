"""The driver of the simulated camera: a library in C, as a camera's maker would ship it."""
