"""Virtual environments with chosen releases of packages, and what of the code beside a target would hide them."""
