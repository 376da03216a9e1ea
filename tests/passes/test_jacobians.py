"""`net.jacobian`: by rows it is what backward gives, by columns what a push gives."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given

import graphprop as gp
from tests.against_recursion import input_rows
from tests.random_graphs import graphs


@given(graphs(max_nodes=5))
def test_columns_are_pushes_of_units(made: Any) -> None:
    """The tangents of the outputs, which know nothing of the sweep backward."""
    net, inputs = made
    assume(net.layout.heads)
    rows = np.outer([1.0, 0.6], input_rows(net, inputs))
    trace, program = net.forward(rows), gp.compile(net)
    by_theta = net.jacobian(trace)
    assert by_theta.shape == (2, program.predict(net.theta, rows).shape[1], len(net.theta))
    for k, unit in enumerate(np.eye(len(net.theta))):
        pushed = program.jvp(net.theta, rows, unit)[1]
        np.testing.assert_allclose(by_theta[..., k], pushed, rtol=1e-11, atol=1e-12 * (1 + np.abs(pushed).max()))
    by_inputs = np.concatenate([net.jacobian(trace, wrt=x).reshape(*by_theta.shape[:2], -1) for x in net.inputs], -1)
    for k, unit in enumerate(np.eye(rows.shape[1])):
        pushed = program.jvp(net.theta, rows, d_inputs=np.tile(unit, (2, 1)))[1]
        np.testing.assert_allclose(by_inputs[..., k], pushed, rtol=1e-11, atol=1e-12 * (1 + np.abs(pushed).max()))


def net() -> gp.Network:
    made = gp.Network()
    made.add_input("x", size=2)
    shared = made.parameter("s", 0.4)
    made.add_node("h", "tanh", {"x": [[0.3, None], [shared, -0.4]]}, [0.1, None], size=2)
    made.add_node("m", "softmax_dot", {"h": [[1.0, 0.5], [0.2, 1.0], [0.1, 0.1]]}, size=3)
    made.add_node("y", "sin", {"h": [[shared, -0.2]], "m": 0.7}, 0.3)
    return made


WRT: list[Any] = ["theta", "x", "h", "m", "y", ("o", "h"), ("input", "x"), ("weight", "x", "h"), ("weight", "m", "y")]
WRT += [("bias", "h"), ("bias", "y"), ("parameter", "s")]


def read(g: gp.Gradients, wrt: Any) -> Any:
    if wrt == "theta":
        return g.theta
    kind, *key = wrt if isinstance(wrt, tuple) else ("o", wrt)
    return getattr(g, kind)[tuple(key) if kind == "weight" else key[0]]


@pytest.mark.parametrize("wrt", WRT)
def test_a_row_is_what_the_recursion_gives_for_a_component(wrt: Any) -> None:
    made, rows = net(), np.array([[0.5, -1.0], [1.5, 0.2], [0.1, 0.1]])
    components = [("h", 0), ("h", 1), ("m", 0), ("y", 0)]
    batch = made.jacobian(made.forward(rows), ["h", "m", "y"], wrt)
    for sample, row in enumerate(rows):
        trace = gp.recursion.forward(made, row)
        alone = made.jacobian(made.forward(row), ["h", "m", "y"], wrt)
        assert len(alone) == len(components)
        for i, (node, component) in enumerate(components):
            expected = read(gp.recursion.backpropagate(made, trace, node, component=component), wrt)
            assert np.shape(alone[i]) == np.shape(expected)
            np.testing.assert_allclose(alone[i], expected, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(batch[sample, i], expected, rtol=1e-12, atol=1e-15)


def test_the_outputs_are_meant_if_nothing_is_said_and_one_node_needs_no_list() -> None:
    made = net()
    trace = made.forward([0.5, -1.0])
    assert np.array_equal(made.jacobian(trace), made.jacobian(trace, ["y"], "theta"))
    assert np.array_equal(made.jacobian(trace, "h", "x"), made.jacobian(trace, ["h"], ("input", "x")))


def test_numbers_of_many_digits_stay_so() -> None:
    made = net()
    with mpmath.workdps(40):
        trace = gp.recursion.forward(made, [0.5, -1.0], numbers=mpmath.mp)
        found = made.jacobian(trace, "h", "x")
        slope = 1 - mpmath.tanh(mpmath.mpf(0.3) * mpmath.mpf(0.5) + mpmath.mpf(0.1)) ** 2
        assert abs(found[0, 0] - slope * mpmath.mpf(0.3)) < mpmath.mpf(10) ** -35


def test_a_masked_component_has_the_derivative_0() -> None:
    made = gp.Network()
    made.add_input("x")
    made.add_node("s", "softmax", {"x": [[1.0], [2.0], [3.0]]}, [0.1, 0.2, -np.inf], size=3)
    found = made.jacobian(made.forward([0.7]), "s", ("bias", "s"))
    assert np.isfinite(found).all()
    assert not found[2].any()
    assert not found[:, 2].any()


@pytest.mark.parametrize(
    ("of", "wrt", "told"),
    [
        ("z", "x", "of=: unknown node 'z'"),
        ([], "x", "of= is a node, a list of nodes that is not empty"),
        ("y", "z", "wrt= is a node, 'theta', .*: unknown node 'z'"),
        ("y", ("weight", "x", "y"), "unknown edge"),
        ("y", ("bias", "m"), "node 'm' has no bias"),
        ("y", ("input", "h"), "'h' is no input"),
        ("y", ("parameter", "t"), "unknown parameter 't'"),
        ("y", ("parameter", []), "unknown parameter"),
        ("y", ("gamma", "y"), "wrt= is a node, 'theta'"),
        ("y", 3.5, "wrt= is a node"),
        ("y", [], "wrt= is a node"),
    ],
)
def test_what_is_not_there_is_told(of: Any, wrt: Any, told: str) -> None:
    made = net()
    with pytest.raises(gp.GraphpropError, match=told):
        made.jacobian(made.forward([0.5, -1.0]), of, wrt)


def test_a_trace_of_another_network_is_refused() -> None:
    with pytest.raises(gp.GraphpropError, match="trace"):
        net().jacobian(gp.mlp([2, 3, 1], seed=0).forward([0.5, -1.0]))
