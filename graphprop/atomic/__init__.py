"""What is done as a whole or not at all, whatever comes between: changes, imports, compilations."""
