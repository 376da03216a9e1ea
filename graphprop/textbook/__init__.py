"""The recursion and the matrix form: the oracles, to be read."""
