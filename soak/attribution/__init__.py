"""What explains: places of code from addresses, causes from what the tracker and the counters saw."""
