"""The matrix form against the golden numbers, the recursion, and formulas written out; its layers; its errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.textbook import matrixform
from tests import golden
from tests.absolute_terms import forward_terms
from tests.architecture import LATE, read, room_of
from tests.random_graphs import UNIT, components, graphs, numbers, objectives
from tests.textbook.test_golden import agrees
from tests.textbook.test_identities import (
    absolute_terms,
    assert_close,
    backpropagate,
    every_component,
    matrices,
    outputs,
    per_theta,
    resolvent,
    seed_of,
    sensitivities,
    vector,
)

ELEMENTWISE = [name for name, f in gp.ACTIVATIONS.items() if f.kind == "elementwise" and name not in ("log", "exp")]
OUTPUTS = ("identity", "sigmoid", "softmax", "log_softmax", "softmax_dot", "logsumexp")
READS = {"probabilities": ("softmax",), "log-probabilities": ("log_softmax",), "logits": ("identity",)}


# ------------------------------------------------------------------ golden numbers


@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_golden_graph(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = matrixform.forward(net, golden.inputs(graph))
    g = matrixform.backpropagate(net, trace, **golden.objective(expected))
    assert agrees(g.value, expected["value"])
    for values, numbers_of in ((trace.a, graph["expect"]["a"]), (trace.o, graph["expect"]["o"])):
        for v, found in numbers_of.items():
            assert all(map(agrees, np.atleast_1d(values[v]), found)), v
    for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
        block = np.reshape(g.weight[edge["src"], edge["dst"]], (np.size(trace.a[edge["dst"]]), -1))
        assert agrees(block[edge["dst_comp"], edge["src_comp"]], number), edge
    for v, found in expected["dJ_da"].items():
        assert all(map(agrees, np.atleast_1d(g.delta[v] if v in g.delta else g.gamma[v]), found)), v
    for v, found in expected["dJ_do"].items():
        assert all(map(agrees, np.atleast_1d(g.o[v]), found)), v
    for parameter, number in expected.get("dJ_dtheta", {}).items():
        assert agrees(g.parameter[parameter], number), parameter


LAYERED = [
    "single_sigmoid", "chain_sigmoid", "diamond", "softmaxdot_output", "softmaxdot_to_sigmoid", "sigmoid_to_softmaxdot",
    "softmax_dot_n1", "conv_tied", "two_layer_2_3_4", "two_layer_square_2", "saturated_sigmoid", "saturated_softmaxdot",
]  # fmt: skip


@pytest.mark.parametrize(("name", "k"), [case for case in golden.CASES if case[0] in LAYERED])
def test_golden_graph_by_its_matrices(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = matrixform.forward(net, golden.inputs(graph))
    g = matrixform.gradients(net, trace, **golden.objective(expected))
    before, seen = [(x, 0) for x in net.inputs], 0
    for layer in matrixform.layers(net):
        rows = [(v, i) for v in layer.nodes for i in range(components(net, v)[0])]
        for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
            if edge["dst"] in layer.nodes:
                row, column = (
                    rows.index((edge["dst"], edge["dst_comp"])),
                    before.index((edge["src"], edge["src_comp"])),
                )
                assert agrees(g[f"W{layer.number}"][row, column], number), edge
                assert layer.W[row, column] == float(edge["w"])
                seen += 1
        for (v, i), number in zip(rows, g.get(f"b{layer.number}", []), strict=False):
            assert agrees(number, expected["dJ_da"][v][i])
        before = [(v, k) for v in layer.nodes for k in range(components(net, v)[1])]
    assert seen == len(graph["edges"])


@pytest.mark.parametrize("name", [name for name in golden.GRAPHS if name != "multi_edge"])
def test_golden_graphs_with_layers_are_recognised(name: str) -> None:
    net = golden.build(golden.GRAPHS[name])
    if name not in LAYERED:
        with pytest.raises(gp.GraphpropError, match="the network has no layers"):
            matrixform.layers(net)
        return
    assert sum(len(layer.nodes) for layer in matrixform.layers(net)) == len(net.nodes) - len(net.inputs)


# ------------------------------------------------------------------ any graph, against the recursion


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


def in_order(net: gp.Network, inputs: dict[Any, Any]) -> np.ndarray:
    return np.concatenate([vector(inputs[x]) for x in net.inputs])


@given(graphs(), st.data())
def test_any_graph_gives_the_numbers_of_the_recursion(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net)))


@pytest.mark.parametrize("loss", gp.LOSSES)
@given(data=st.data())
def test_any_graph_gives_the_losses_of_the_recursion(loss: str, data: st.DataObject) -> None:
    net, inputs = data.draw(graphs(kinds=("softmax", "log_softmax", "product", "tanh")))
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net, losses=(loss,))))


@pytest.mark.parametrize("kind", gp.ACTIVATIONS)
@given(data=st.data())
def test_every_activation(kind: str, data: st.DataObject) -> None:
    net, inputs = data.draw(graphs(kinds=(kind, "softmax", "softmax_dot", "exp")))
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net)))


@given(graphs(), st.data())
def test_batches_with_sample_weights(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    x = in_order(net, inputs)
    objective = {
        key: {v: [part] * 3 for v, part in entry.items()} if isinstance(entry, dict) else entry
        for key, entry in data.draw(objectives(net)).items()
    }
    rows = np.array([x, x / 2, 1 - x])
    assert_same_numbers(net, rows, objective)
    if "loss" in objective:
        assert_same_numbers(net, rows, objective, [1.0, 0.0, 2.5])


@given(graphs())
def test_the_block_matrices_and_the_resolvent(drawn: Any) -> None:
    net, inputs = drawn
    trace = gp.recursion.forward(net, inputs)
    W, L, D = matrixform.adjacency(net), matrixform.jacobians(net, trace), matrixform.resolvent(net, trace)
    assert W.rows == L.columns == D.columns
    assert W.columns == L.rows == D.rows
    assert not np.triu(L.matrix @ W.matrix).any()
    expected_L, expected_W = matrices(net, trace)
    a, o = ([label for v in net.nodes for label in labels(net, v, symbol)] for symbol in "ao")
    rows, columns = [D.rows.index(label) for label in o], [D.columns.index(label) for label in a]
    assert np.array_equal(L.matrix[np.ix_(rows, columns)], expected_L)
    assert np.array_equal(W.matrix[np.ix_(columns, rows)], expected_W)
    scale = resolvent(np.abs(expected_L), np.abs(expected_W))
    assert_close(D.matrix[np.ix_(rows, columns)], resolvent(expected_L, expected_W), scale)
    for row, objective in enumerate(every_component(net)):
        assert_close(D.matrix[rows[row], columns], sensitivities(net, backpropagate(net, trace, objective)), scale[row])
    assert D[o[-1], a[0]] == D.matrix[rows[-1], columns[0]]


def labels(net: gp.Network, v: Any, symbol: str) -> list[str]:
    n = components(net, v)["ao".index(symbol)]
    return [f"{symbol}[{v}]"] if n == 1 else [f"{symbol}[{v}][{i}]" for i in range(n)]


# ------------------------------------------------------------------ layered networks


@st.composite
def layered(draw: Any, losses: tuple[str, ...] = tuple(gp.LOSSES)) -> tuple[gp.Network, Any, dict[str, Any]]:
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


# ------------------------------------------------------------------ where numbers are hard


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


# ------------------------------------------------------------------ refusals


def diamond() -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_node("h", "tanh", {"x1": 1.0})
    net.add_node("y", "identity", {"h": 1.0, "x1": 2.0})
    return net


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


# ------------------------------------------------------------------ an oracle of its own


def test_the_matrix_form_shares_no_code_with_the_recursion_and_the_engine_but_what_all_of_them_read() -> None:
    """At any depth of the imports, it reads the data, and neither of the others; nor do these read it."""
    sources = read(Path(gp.__file__).parent)

    def at_any_depth(name: str) -> set[str]:
        found, todo = {name}, [name]
        while todo:
            source = sources[todo.pop()]
            new = {imported for imported in source.top | source.late if (source.name, imported) not in LATE} - found
            found |= new
            todo += new
        return found

    own = {"textbook/matrixform", "textbook/labelled_matrix"}
    others = at_any_depth("textbook/recursion") | at_any_depth("engine/general")
    shared = at_any_depth("textbook/matrixform") - own
    assert {room_of(name).split("/")[0] for name in shared} == {
        *("atomic", "errors", "notation", "given", "functions", "graph", "passes")
    }
    assert not own & others
    assert shared & others == shared - {"graph/levels"}
