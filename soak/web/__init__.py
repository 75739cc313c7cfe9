"""What is looked at in a browser: one small server on this machine's own address."""
