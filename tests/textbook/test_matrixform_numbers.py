"""The matrix form where numbers are hard: saturated, tiny, far apart."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.textbook import matrixform
from tests.textbook.identity_cases import (
    backpropagate,
    vector,
)


@pytest.mark.parametrize("a", [36.0, 40.0, 300.0, 700.0, -40.0, -700.0])
@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "softplus", "silu", "softmax_dot", "softmax", "log_softmax"])
def test_saturated_nodes(kind: str, a: float) -> None:
    net = gp.Network()
    net.add_input("x")
    group = gp.ACTIVATIONS[kind].kind != "elementwise"
    net.add_node("h", kind, {"x": [a, 0.5, -1.0] if group else a})
    net.add_node("y", "identity", {"h": [[2.0, -1.0, 0.5]] if net.output_size("h") == 3 else 2.0})
    trace = gp.recursion.forward(net, [1.0])
    with mpmath.workdps(400):
        exact = gp.recursion.backpropagate(net, trace, "y", numbers=mpmath.mp)
    g = matrixform.backpropagate(net, matrixform.forward(net, [1.0]), "y")
    found, expected = vector(g.delta["h"] if group else g.gamma["h"]), exact.a_flat[0, :-1]
    for x, y in zip(found, expected, strict=True):
        assert abs(x - float(y)) <= 1e-12 * abs(float(y)) + 2.0**-1060


def test_a_masked_output_may_stand_where_nothing_reads_it() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "log_softmax", {"x": [1.0, 2.0, 3.0]}, bias=[0.0, -np.inf, 0.5])
    net.add_node("y", "tanh", {"p": [[0.5, None, -1.0], [None, None, 2.0]]}, size=2)
    net.add_node("s", "softmax_dot", {"p": [[1.0, None, 1.0], [2.0, None, -1.0]]}, bias=[0.0, -np.inf])
    trace = matrixform.forward(net, [[0.5], [-1.0]])
    assert np.array_equal(trace.o["p"][:, 1], [-np.inf, -np.inf])
    expected = gp.recursion.forward(net, [[0.5], [-1.0]])
    np.testing.assert_allclose(trace.o_flat, expected.o_flat, rtol=1e-13)
    for objective in ({"node": "s"}, {"seed": {"y": [[1.0, 2.0]] * 2, "p": [[1.0, 0.0, -2.0]] * 2, "s": [1.0, 1.0]}}):
        g = matrixform.backpropagate(net, trace, **objective)
        assert g.allclose(backpropagate(net, trace, objective), rtol=1e-12)
        assert np.isfinite(g.a_flat).all()
        assert g.bias["p"][1] == 0.0


def test_a_chain_of_5_000_nodes() -> None:
    net = gp.Network()
    net.add_input(0)
    for i in range(5000):
        net.add_node(i + 1, "tanh" if i % 50 == 0 else "identity", {i: 1.0} | ({i - 1: 0.01} if i % 7 == 1 else {}))
    trace = gp.recursion.forward(net, [0.5])
    found = matrixform.forward(net, [0.5])
    np.testing.assert_allclose(found.o_flat, trace.o_flat, rtol=1e-12)
    expected = gp.recursion.backpropagate(net, trace, 5000)
    g = matrixform.backpropagate(net, trace, 5000)
    np.testing.assert_allclose(g.theta, expected.theta, rtol=1e-12)
    np.testing.assert_allclose(g.o_flat, expected.o_flat, rtol=1e-12)
