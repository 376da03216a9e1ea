"""The matrix form of layered networks: W1, b1, in both layouts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.textbook import matrixform
from tests.random_graphs import SMOOTH, UNIT, components, numbers
from tests.textbook.identity_cases import (
    assert_close,
    backpropagate,
)
from tests.textbook.matrixform_cases import (
    assert_same_numbers,
)

ELEMENTWISE = [name for name, f in gp.ACTIVATIONS.items() if f.kind == "elementwise" and name not in ("log", "exp")]

OUTPUTS = ("identity", "sigmoid", "softmax", "log_softmax", "softmax_dot", "logsumexp")

READS = {"probabilities": ("softmax",), "log-probabilities": ("log_softmax",), "logits": ("identity",)}


# ------------------------------------------------------------------ layered networks


@st.composite
def layered(draw: Any, losses: tuple[str, ...] = SMOOTH) -> tuple[gp.Network, Any, dict[str, Any]]:
    """A layered network, a batch of inputs, and a loss with its target."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=5))
    loss = draw(st.sampled_from(losses))
    sizes[-1] = max(sizes[-1], 2)
    output = draw(st.sampled_from(READS.get(gp.LOSSES[loss].reads, OUTPUTS)))
    f, by = draw(st.sampled_from(ELEMENTWISE)), draw(st.sampled_from(["neuron", "layer"]))
    net = gp.mlp(sizes, f, output, draw(st.integers(0, 99)), by)
    net.theta += np.resize(draw(numbers(5)), len(net.theta)) / 4
    net.set_outputs(*(list(head) if len(head) > 1 else head[0] for head in net.layout.heads))
    spare = [(u, v) for u, v in net.edges if len(net.parents(v)) > 1]
    if spare and draw(st.booleans()):
        net.remove_edge(*draw(st.sampled_from(spare)))
    samples = draw(st.integers(1, 3))
    X = np.reshape(draw(numbers(samples * sizes[0])), (samples, sizes[0]))
    target = {v: [draw(numbers(net.output_size(v), UNIT)) for _ in X] for v in net.outputs}
    return net, X, {"loss": loss, "target": target}


@given(layered(), st.data())
def test_layers_give_the_numbers_of_the_recursion(drawn: Any, data: st.DataObject) -> None:
    net, X, objective = drawn
    layers = matrixform.layers(net)
    o = X
    for layer in layers:  # the forward pass of the books
        a = o @ layer.W.T + (0 if layer.b is None else layer.b)
        o = np.reshape(layer.activation.value(a), (len(X), -1))
    trace = gp.recursion.forward(net, X)
    heads = np.hstack([np.reshape(trace.o[v], (len(X), -1)) for v in layers[-1].nodes])
    assert_close(o, heads, 100 * np.abs(heads) + 1)
    seeded = data.draw(st.lists(st.sampled_from(net.nodes), min_size=1, unique=True))
    seed = {v: [data.draw(numbers(components(net, v)[1]))] * len(X) for v in seeded}
    for goal in (objective, {"seed": seed}):
        terms, scale = assert_same_numbers(net, X, goal), net.copy()
        scale.theta = terms
        expected = backpropagate(net, trace, goal)
        gradients = matrixform.gradients(net, trace, **goal)
        transposed = matrixform.gradients(net, trace, **goal, layout="numerator")
        before = list(net.inputs)
        for layer in layers:
            rows, W, b = list(layer.nodes), gradients[f"W{layer.number}"], gradients[f"b{layer.number}"]
            assert_close(W, expected.weight_matrix(rows, before), scale.weight_matrix(rows, before))
            biases = (
                np.concatenate([np.atleast_1d(given[v]) for v in rows])
                for given in (expected.bias, {v: scale.bias(v) for v in rows})
            )
            assert_close(b, *biases)
            assert np.array_equal(transposed[f"W{layer.number}"], W.T)
            assert np.array_equal(layer.W, net.weight_matrix(rows, before))
            before = rows


def test_the_two_layer_net_of_the_books() -> None:
    """MATHS 3.8, with matrices that were drawn here and numbers that were put into the formula by hand."""
    random = np.random.default_rng(3)
    W1, b1, W2, b2 = (random.standard_normal(shape) for shape in ((3, 2), 3, (4, 3), 4))
    x, y = np.array([0.5, -1.25]), 0.75
    u = 1 / (1 + np.exp(-(W1 @ x + b1)))
    a = W2 @ u + b2
    p = np.exp(a) / np.exp(a).sum()
    r = p @ a - y
    delta = p * (1 + a - p @ a)
    epsilon = (W2.T @ delta) * u * (1 - u)
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("u", "sigmoid", {"x": W1}, b1, size=3)
    net.add_node("y", "softmax_dot", {"u": W2}, b2)
    for form in (net, net.expand()):
        assert [np.array_equal(found.W, W) for found, W in zip(matrixform.layers(form), (W1, W2), strict=True)]
        trace = matrixform.forward(form, x)
        g = matrixform.gradients(form, trace, loss="half_squared", target=y)
        expected = {"W1": r * np.outer(epsilon, x), "b1": r * epsilon, "W2": r * np.outer(delta, u), "b2": r * delta}
        assert list(g) == list(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(g[name], value, rtol=1e-13)
        numerator = matrixform.gradients(form, trace, loss="half_squared", target=y, layout="numerator")
        jacobian = np.diag(p) - np.outer(p, p)  # source 004, S4.25 and S4.31
        np.testing.assert_allclose(numerator["W2"], r * np.outer(u, p + a @ jacobian), rtol=1e-12)
        printed = np.outer(x, (p + a @ jacobian) @ W2 @ np.diag(u * (1 - u)))
        np.testing.assert_allclose(numerator["W1"], r * printed, rtol=1e-12)


@pytest.mark.parametrize("output", OUTPUTS)
def test_by_neuron_and_by_layer_are_the_same_layers(output: str) -> None:
    pair = [gp.mlp([3, 4, 2, 3], "tanh", output, seed=5, by=by) for by in ("neuron", "layer")]
    for one, other in zip(*map(matrixform.layers, pair), strict=True):
        assert np.array_equal(one.W, other.W)
        assert np.array_equal(one.b, other.b)
        assert one.number == other.number
        assert one.activation is other.activation
        assert not one.W.flags.writeable
        assert not np.shares_memory(one.W, pair[0].theta)
    X = np.random.default_rng(0).standard_normal((5, 3))
    seeds = [{v: np.ones_like(net.forward(X).o[v]) for v in net.outputs} for net in pair]
    found = [matrixform.gradients(net, matrixform.forward(net, X), seed=s) for net, s in zip(pair, seeds, strict=True)]
    for name, value in found[0].items():
        np.testing.assert_allclose(value, found[1][name], rtol=1e-12)


def test_a_layer_says_what_it_is() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("p", "softmax", {"x": [[1.0, 2.0], [3.0, None]]})
    net.add_node("q", "softmax", {"x": [[5.0, 6.0], [0.5, 1.0]]}, bias=[7.0, None])
    net.add_node("y", "identity", {"p": [1.0, 2.0], "q": [3.0, None]})
    first, last = matrixform.layers(net)
    assert repr(first) == "<layer 1: o1 = softmax(W1 o0 + b1), W1 is 4 x 2, 2 nodes>"
    assert repr(last) == "<layer 2: o2 = identity(W2 o1), W2 is 1 x 4, 1 node>"
    assert first.W.tolist() == [[1, 2], [3, 0], [5, 6], [0.5, 1]]
    assert first.b is not None
    assert first.b.tolist() == [0, 0, 7, 0]
    assert last.W.tolist() == [[1, 2, 3, 0]]
    assert last.b is None


def test_gradients_are_0_where_the_network_has_no_entry() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("p", "tanh", {"x": [[1.0, 2.0], [3.0, None]]}, size=2)
    net.add_node("q", "tanh", {"x": [[0.5, 0.25], [0.5, 1.0]]}, bias=[0.5, None], size=2)
    net.add_node("y", "identity", {"p": [1.0, 2.0], "q": [3.0, None]})
    trace = net.forward([0.25, -0.5])
    g = matrixform.gradients(net, trace, "y")
    slope = 1 - np.tanh(np.array([-0.75, 0.75, 0.5, 0.0])) ** 2
    delta = slope * [1.0, 2.0, 3.0, 0.0]
    assert list(g) == ["W1", "b1", "W2"]
    present = np.array([[1, 1], [1, 0], [1, 1], [1, 1]])
    np.testing.assert_allclose(g["W1"], np.outer(delta, [0.25, -0.5]) * present, rtol=1e-14)
    np.testing.assert_allclose(g["b1"], [0, 0, delta[2], 0], rtol=1e-14)
    np.testing.assert_allclose(g["W2"][0], [*trace.o["p"], trace.o["q"][0], 0], rtol=1e-14)


def test_order_of_creation_does_not_matter_to_layers() -> None:
    net = gp.Network()
    net.add_node("y", "identity")
    net.add_node("h", "tanh")
    net.add_input("x")
    net.add_edge("x", "h", 2.0)
    net.add_edge("h", "y", 3.0)
    assert [layer.nodes for layer in matrixform.layers(net)] == [("h",), ("y",)]
    g = matrixform.backpropagate(net, matrixform.forward(net, [0.5]), "y")
    assert math.isclose(g.input["x"], 6 / math.cosh(1) ** 2, rel_tol=1e-14)
