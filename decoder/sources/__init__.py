"""The sources of frames: one module per source, each implements ``protocol.ImageSource``."""
