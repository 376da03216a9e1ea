"""What the matrix form refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.textbook import matrixform
from tests.textbook.matrixform_cases import (
    diamond,
)


def test_a_network_without_layers_names_the_edge_that_skips() -> None:
    net = diamond()
    message = r"edge 'x1' -> 'y' skips one, 'x1' is in layer 0 and 'y' in layer 2; gp.matrixform.backpropagate takes it"
    with pytest.raises(gp.GraphpropError, match=message):
        matrixform.layers(net)
    with pytest.raises(gp.GraphpropError, match=message):
        matrixform.gradients(net, net.forward([1.0]), "y")
    net.remove_edge("x1", "y")
    net.add_node("g", "sigmoid", {"x1": 1.0})
    with pytest.raises(
        gp.GraphpropError, match="'h' and 'g' are both in layer 1, but one is tanh and the other sigmoid"
    ):
        matrixform.layers(net)


def test_activations_with_other_parameters_are_told_apart() -> None:
    net = gp.Network()
    net.add_input("x")
    for v, slope in (("g", 0.1), ("h", 0.2)):
        net.add_node(v, gp.activation("leaky_relu", {"slope": slope}), {"x": 1.0})
    with pytest.raises(gp.GraphpropError, match=r"one is <activation leaky_relu, slope=0\.1: .* slope=0\.2"):
        matrixform.layers(net)


def test_a_network_of_inputs_has_no_layer_and_the_gradient_1() -> None:
    net = gp.Network()
    net.add_input("x")
    assert matrixform.layers(net) == []
    trace = matrixform.forward(net, [2.0])
    assert matrixform.backpropagate(net, trace, "x").input["x"] == 1.0
    assert matrixform.gradients(net, trace, "x") == {}
    assert matrixform.resolvent(net, trace).matrix.tolist() == [[1.0]]


def test_a_network_too_large_for_matrices_is_refused_before_they_are_made() -> None:
    net = gp.mlp([3, 4, 2])
    trace = net.forward([1.0, 2.0, 3.0])
    for call in (
        lambda limit: matrixform.layers(net, limit=limit),
        lambda limit: matrixform.forward(net, [1.0, 2.0, 3.0], limit=limit),
        lambda limit: matrixform.backpropagate(net, trace, ("y", 0), limit=limit),
        lambda limit: matrixform.gradients(net, trace, ("y", 0), limit=limit),
        lambda limit: matrixform.adjacency(net, limit=limit),
        lambda limit: matrixform.jacobians(net, trace, limit=limit),
        lambda limit: matrixform.resolvent(net, trace, limit=limit),
    ):
        with pytest.raises(
            gp.LimitError, match=r"matrices of this network take \d[\d,]* bytes, more than the limit of 100"
        ):
            call(100)
        with pytest.raises(gp.GraphpropError, match=r"limit is a whole number of bytes, not 1\.5"):
            call(1.5)
        call(10**6)


def test_the_jacobian_of_a_wide_softmax_counts_as_a_matrix() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0] * 500})
    trace = net.forward([1.0])
    with pytest.raises(gp.LimitError, match="the matrices of this network take 2,008,000 bytes"):
        matrixform.backpropagate(net, trace, "p", component=0, limit=10**6)


def test_nodes_that_the_objective_does_not_depend_on_are_left_alone() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("steep", "log", {"x": 1.0})
    net.add_node("y", "tanh", {"x": 1.0})
    g = matrixform.backpropagate(net, net.forward([5e-324]), "y")
    assert g.gamma["steep"] == 0.0
    assert g.input["x"] == 1.0


def test_other_refusals() -> None:
    net = diamond()
    trace = net.forward([1.0])
    cases: list[tuple[Any, str]] = [
        (lambda: matrixform.gradients(net, trace, "y", layout="jacobian"), "layout is 'gradient' or 'numerator', not"),
        (lambda: matrixform.backpropagate(net, trace), "an objective is a node, or loss="),
        (lambda: matrixform.backpropagate(net, trace, "z"), "unknown node 'z'"),
        (lambda: matrixform.backpropagate(gp.mlp([1, 1]), trace, "y"), "the trace is of another structure"),
        (lambda: matrixform.forward(net, [1.0, 2.0]), r"the array of inputs has shape \(2,\)"),
        (lambda: matrixform.forward(net, [np.nan]), "inputs have to be finite"),
        (lambda: matrixform.resolvent(net, net.forward([[1.0], [2.0]])), "of one sample, in floats; the trace has 2"),
        (
            lambda: matrixform.backpropagate(net, gp.recursion.forward(net, [1.0], numbers=mpmath.mp), "y"),
            "the matrix form computes with floats",
        ),
        (lambda: matrixform.adjacency(net)["a[y]", "o[z]"], r"unknown column 'o\[z\]'"),
        (lambda: matrixform.adjacency(net)["a[y]"], "an entry is a pair of labels"),
        (lambda: matrixform.adjacency(gp.Network()), "the network has no nodes"),
    ]
    for call, message in cases:
        with pytest.raises(gp.GraphpropError, match=message):
            call()


@pytest.mark.parametrize(
    ("kind", "weight", "x", "message"),
    [
        ("square", 1e200, 1.0, "node 'h': the output of square is inf; it has to be finite"),
        ("tanh", 1.5e308, 2.0, r"node 'h': a\[h\] is inf"),
        ("log", 1.0, -1.0, r"node 'h': a is -1.0; log needs"),
        ("exp", 1.0, 709.0, r"the derivative with respect to w\(x, h\) is inf"),
        ("log", 1.0, 5e-324, r"the derivative|derivative of log raised"),
    ],
)
def test_numbers_that_cannot_be_computed_with_are_refused(kind: str, weight: float, x: float, message: str) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", kind, {"x": weight})
    with pytest.raises(gp.NumberError, match=message):
        matrixform.backpropagate(net, matrixform.forward(net, [x]), "h")


def test_errors_of_a_users_activation_name_the_node() -> None:
    def broken(a: float, o: float) -> float:
        raise RuntimeError("oh")

    net = gp.Network()
    net.add_input("x")
    net.add_node("h", gp.Activation("mine", lambda a: a, broken, check=False), {"x": 1.0})
    trace = matrixform.forward(net, [1.0])
    with pytest.raises(gp.NumberError, match=r"node 'h': the derivative of mine raised RuntimeError\('oh'\)"):
        matrixform.backpropagate(net, trace, "h")
