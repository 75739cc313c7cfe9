"""The processes that a program starts: followed by the tracker, and judged by what they do."""
