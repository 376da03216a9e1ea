"""Networks for the tests of `Network`."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp


def example() -> gp.Network:
    net = gp.Network("example")
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": 0.2})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    net.add_edge("x1", "y", [0.0, 0.3])
    return net


def fingerprint(net: gp.Network) -> tuple[Any, ...]:
    """Everything that can be seen of a network."""
    weights = {edge: np.asarray(net.weight(*edge)).tolist() for edge in net.edges}
    biases = {v: np.asarray(net.bias(v)).tolist() for v in net.nodes if v not in net.inputs}
    parts = (net.nodes, net.edges, weights, biases, net.theta.tolist(), net.trainable.tolist(), net.outputs)
    return tuple(map(repr, (*parts, list(net.parameters))))
