"""What native code is called: the functions, files and lines of addresses, from the modules that are mapped."""
