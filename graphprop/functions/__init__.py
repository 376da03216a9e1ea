"""Activations, losses, and the numbers that they compute with."""
