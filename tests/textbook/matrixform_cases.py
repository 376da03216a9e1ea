"""Networks and comparisons for the tests of the matrix form."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp
from graphprop.textbook import matrixform
from tests.absolute_terms import forward_terms
from tests.textbook.identity_cases import (
    absolute_terms,
    assert_close,
    backpropagate,
    matrices,
    outputs,
    per_theta,
    seed_of,
)


def assert_same_numbers(net: gp.Network, x: np.ndarray, objective: dict[str, Any], weight: Any = None) -> np.ndarray:
    """Every number of both passes, to 1e-12 of the sum of its absolute terms; gives that sum for theta."""
    trace, found = gp.recursion.forward(net, x), matrixform.forward(net, x)
    assert found.batched == trace.batched
    terms = forward_terms(trace)
    assert_close(found.a_flat, trace.a_flat, terms.a)
    assert_close(found.o_flat, trace.o_flat, terms.o)
    options = objective if weight is None else objective | {"sample_weight": weight}
    expected, g = backpropagate(net, trace, options), matrixform.backpropagate(net, trace, **options)
    assert str(g.objective) == str(expected.objective)
    counts = np.ones(len(trace.o_flat)) if weight is None else np.array(weight)
    shares = counts / counts.sum() if "loss" in objective else counts
    of_theta, of_value = np.zeros(len(net.theta)), abs(expected.value)
    W = np.abs(matrices(net, trace_of(net, x, 0))[1])
    for b, share in enumerate(shares):
        single = sample_of(objective, b) if trace.batched else objective
        own = trace_of(net, x, b)
        terms, direct = absolute_terms(net, own, single), np.abs(seed_of(net, own, single))
        o = np.abs(outputs(net, own))
        one, other = (sensitivities_of(net, result, b) for result in (g, expected))
        assert_close(one, other, share * terms)
        assert_close(g.o_flat[b], expected.o_flat[b], share * (direct + terms @ W))
        of_theta += share * per_theta(net, terms, o)
        of_value += share * direct @ o
    assert_close(g.theta, expected.theta, of_theta)
    assert_close(g.value, expected.value, of_value)
    return of_theta


def trace_of(net: gp.Network, x: np.ndarray, b: int) -> gp.Trace:
    return gp.recursion.forward(net, x if x.ndim == 1 else x[b])


def sample_of(objective: dict[str, Any], b: int) -> dict[str, Any]:
    return {
        key: {v: part[b] for v, part in entry.items()} if isinstance(entry, dict) else entry
        for key, entry in objective.items()
    }


def sensitivities_of(net: gp.Network, g: gp.Gradients, b: int) -> np.ndarray:
    """One sample of delta or gamma of every node, and of the derivatives of the inputs, one behind the other."""
    layout = net.layout
    parts = (
        g.o_flat[b, layout.o_slice(v)] if node.is_input else g.a_flat[b, layout.a_slice(v)]
        for v, node in enumerate(layout.nodes)
    )
    return np.concatenate(list(parts))


def diamond() -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_node("h", "tanh", {"x1": 1.0})
    net.add_node("y", "identity", {"h": 1.0, "x1": 2.0})
    return net
