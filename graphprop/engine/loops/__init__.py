"""The machine code of the engine, and all that makes it."""
