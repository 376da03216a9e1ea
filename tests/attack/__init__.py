"""Attacks: programs that look for what breaks the library. Each module has `attack(seconds, seed)`, which counts."""
