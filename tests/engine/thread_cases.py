"""Programs for the tests of threads."""

from __future__ import annotations

import numpy as np

import graphprop as gp


def sparse() -> gp.Program:
    """5000 nodes of three edges each."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(20, 5020), 3)
    source = (rng.random(len(target)) * (target // 3)).astype(int) * 3 + np.tile([0, 1, 2], 5000)
    return gp.Program.from_edges(
        20, np.minimum(source, target - 1 - np.tile([0, 1, 2], 5000)), target, "tanh", bias=True
    )
