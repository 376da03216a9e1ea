"""Graphs as arrays that only `Program.from_edges` takes, and the same declared node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import graphprop as gp
from graphprop.functions.catalogue import ACTIVATIONS
from tests.random_graphs import Draw

ELEMENTWISE = ["tanh", "sigmoid", "identity", "softplus", "sin", "gaussian"]
REDUCING = [name for name, f in ACTIVATIONS.items() if f.kind == "reducing"]
Given = dict[str, Any]  # the arguments of from_edges


def array_graph(
    rng: np.random.Generator, inputs: int, others: int, most: int, tied: bool = False, by_component: bool = False
) -> Given:
    """A random graph of nodes numbered with parents before children: reducing ones, ties, biases, names, heads."""
    kinds = rng.choice([*ELEMENTWISE, *REDUCING], size=others)
    reducing = np.isin(kinds, REDUCING)
    degree = rng.integers(1, most + 1, others)
    target = np.repeat(inputs + np.arange(others), degree)
    source = (rng.random(len(target)) * target).astype(np.intp)
    first = np.repeat(np.cumsum(degree) - degree, degree)
    component = np.where(reducing[target - inputs], np.arange(len(target)) - first, 0)
    if by_component:  # several components read one parent, and one component several parents
        component //= 1 + rng.integers(0, 2)
    triples = np.stack((target, source, component))
    triples = triples[:, np.unique(triples if by_component else triples[:2], axis=1, return_index=True)[1]]
    target, source, component = triples[:, rng.permutation(triples.shape[1])]
    if by_component:  # without a gap
        for v in inputs + np.flatnonzero(reducing):
            component[target == v] = np.unique(component[target == v], return_inverse=True)[1]
    count = len(target)
    n = np.ones(others, dtype=np.intp)
    np.maximum.at(n, target - inputs, component + 1)
    if not by_component:
        n[reducing] = np.bincount(target - inputs, minlength=others)[reducing]
    rows = int(n.sum())
    position = rng.integers(0, max(1, count // 2), count) if tied else rng.permutation(count)
    size = 1 + int(position.max())
    made: Given = {"n_inputs": inputs, "source": source, "target": target, "activation": kinds.tolist()}
    made |= {"position": position, "names": [f"node {v}" if v % 2 else v for v in range(inputs + others)]}
    made["bias"] = np.where(rng.random(rows) < 0.6, size + rng.permutation(rows), -1)
    if by_component:
        made["component"] = component
    sinks = np.setdiff1d(inputs + np.arange(others), source)
    made["outputs"] = [*np.array_split(rng.permutation(sinks), min(2, len(sinks)))]
    return made


@st.composite
def array_graphs(draw: Draw) -> Given:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.integers(1, 3)), draw(st.integers(1, 8)), draw(st.integers(1, 4))
    return array_graph(rng, *sizes, tied=draw(st.booleans()), by_component=draw(st.booleans()))


def declared(made: Given, size: int) -> gp.Network:
    """The same graph as a network, node after node; all its numbers are one parameter, so that theta is the same."""
    names, kinds, inputs = made["names"], made["activation"], made["n_inputs"]
    net = gp.Network()
    theta = net.parameter("theta", np.zeros(size))
    for v in range(inputs):
        net.add_input(names[v])
    row, by_target = 0, np.argsort(made["target"], kind="stable")
    ends = np.searchsorted(made["target"], np.arange(len(names) + 1), sorter=by_target)
    for v in range(inputs, len(names)):
        f = gp.activation(kinds[v - inputs])
        into = by_target[ends[v] : ends[v + 1]]
        component = made["component"][into] if "component" in made else np.arange(len(into)) * (f.kind == "reducing")
        n = 1 + int(component.max())
        parents = {u: [None] * n for u in sorted(set(made["source"][into].tolist()))}
        for e, i in zip(into.tolist(), component.tolist(), strict=True):
            parents[int(made["source"][e])][i] = theta[int(made["position"][e])]  # type: ignore[call-overload]
        biases = [theta[int(p)] if p >= 0 else None for p in made["bias"][row : row + n]]
        row += n
        scalar = f.kind == "elementwise"
        net.add_node(
            names[v],
            f,
            {names[u]: w[0] if scalar else w for u, w in parents.items()},
            None if not any(biases) else biases[0] if scalar else biases,
            size=None if scalar else n,
        )
    net.set_outputs(*([names[v] for v in head.tolist()] for head in made["outputs"]))
    return net
