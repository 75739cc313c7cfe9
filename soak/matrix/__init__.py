"""What a matrix is made of: its cells before they run, and the records of what was found in them."""
