"""How long values and gradients take, here and elsewhere: `python -m tests.benchmarks`."""
