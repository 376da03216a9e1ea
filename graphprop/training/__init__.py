"""Training: optimisers, and what fits a network to data."""
