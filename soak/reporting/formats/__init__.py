"""One file per format that a run is written in."""
