"""Random networks for attacks, from a seed: every kind of node in any place, tied and absent entries, several heads."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp

KINDS = [f for f in gp.ACTIVATIONS.values() if f.name != "log"]
LARGEST = 100.0  # of any number of a forward pass; what would be larger is drawn again


def random_network(rng: np.random.Generator, most: int = 8) -> tuple[gp.Network, np.ndarray[Any, Any]]:
    """A network of up to so many nodes, and inputs on which all its numbers are of moderate size: one to four rows."""
    while True:
        net = _drawn(rng, int(rng.integers(1, most + 1)))
        rows = rng.integers(-96, 97, size=(int(rng.integers(1, 5)), len(net.layout.input_columns))) / 64
        try:
            trace = gp.recursion.forward(net, rows)
        except gp.NumberError:
            continue
        if max(np.abs(trace.a_flat).max(initial=0), np.abs(trace.o_flat).max()) <= LARGEST:
            return net, rows


def _drawn(rng: np.random.Generator, nodes: int) -> gp.Network:
    net = gp.Network()
    widths: dict[Any, int] = {}
    for i in range(int(rng.integers(1, 3))):
        size = None if rng.random() < 0.5 else int(rng.integers(1, 4))
        net.add_input(f"x{i}", size)
        widths[f"x{i}"] = size or 1
    tied = [net.parameter(f"t{i}", float(rng.integers(-64, 65)) / 64) for i in range(2)]
    for i in range(nodes):
        f = KINDS[int(rng.integers(len(KINDS)))]
        size = int(rng.integers(1, 4))
        scalar = f.kind == "elementwise" and rng.random() < 0.5
        n = 1 if scalar else size
        parents = rng.permutation(list(widths))[: int(rng.integers(1, 4))].tolist()
        weights = {u: [[_entry(rng, tied) for _ in range(widths[u])] for _ in range(n)] for u in parents}
        weights[parents[0]][0][0] = 0.5  # an edge has an entry
        weights = {u: block for u, block in weights.items() if any(w is not None for row in block for w in row)}
        bias = [float(rng.integers(-64, 65)) / 64 for _ in range(n)] if rng.random() < 0.5 else None
        net.add_node(f"v{i}", f, weights, bias, size=None if scalar else size)
        widths[f"v{i}"] = 1 if f.kind == "reducing" else n
    return net


def _entry(rng: np.random.Generator, tied: list[gp.Parameter]) -> Any:
    chance = rng.random()
    if chance < 0.1:
        return None
    return tied[int(rng.integers(len(tied)))] if chance < 0.25 else float(rng.integers(-96, 97)) / 64
