"""Networks that people name, and networks made from networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import graphprop as gp


@pytest.mark.parametrize("output", ["identity", "softmax_dot", "softmax", "log_softmax", "sigmoid", "max"])
def test_by_neuron_and_by_layer_are_the_same_function(output: str) -> None:
    X = np.random.default_rng(0).standard_normal((5, 3))
    neuron, layer = (gp.mlp([3, 4, 4, 2], "tanh", output, seed=7, by=by) for by in ("neuron", "layer"))
    expanded = layer.expand()
    traces = [net.forward(X) for net in (neuron, layer, expanded)]
    for u in range(4):
        hidden = [trace.o["h2", u] for trace in (traces[0], traces[2])] + [traces[1].o["h2"][:, u]]
        np.testing.assert_allclose(hidden[0], hidden[1], rtol=1e-14)
        np.testing.assert_allclose(hidden[0], hidden[2], rtol=1e-14)
    kind = gp.activation(output).kind
    objective = {"component": 1} if kind == "vector" else {}
    grads = []
    for net, trace in zip((neuron, layer, expanded), traces, strict=True):
        node: Any = ("y", 1) if ("y", 1) in net else "y"
        chosen = {"component": 1} if node == "y" and kind == "elementwise" else objective
        grads.append(net.backward(trace, node, **chosen))
    np.testing.assert_allclose(grads[1].theta, grads[2].theta, rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(layer.theta, expanded.theta)
    by_layer = grads[1].weight["x", "h1"]
    for i, k in np.ndindex(4, 3):
        assert grads[0].weight[("x", k), ("h1", i)] == pytest.approx(by_layer[i, k], rel=1e-11, abs=1e-16)


def test_an_mlp_is_reproducible_and_has_zero_biases() -> None:
    net = gp.mlp([2, 3, 1], seed=5)
    np.testing.assert_array_equal(net.theta, gp.mlp([2, 3, 1], seed=5).theta)
    assert (net.theta != gp.mlp([2, 3, 1], seed=6).theta).any()
    assert net.bias(("h1", 0)) == 0.0
    assert net.inputs == (("x", 0), ("x", 1))
    assert net.outputs == (("y", 0),)
    assert gp.mlp([2, 3, 3], "sigmoid", "softmax").layout.heads == (("y",),)
    assert gp.mlp([2, 3, 3]).layout.heads == ((("y", 0), ("y", 1), ("y", 2)),)


def test_expansion_keeps_ties_gradients_and_heads() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    f = net.parameter("f", 0.7)
    net.add_node("h", "sigmoid", {"x": [[f, 1.0], [None, f]]}, bias=[0.1, None], size=2)
    net.add_node("p", "softmax", {"h": [[1.0, 2.0], [f, None]]})
    net.add_node("k", "tanh", {"h": [[1.0, None], [None, None], [None, 2.0]], "x": np.ones((3, 2))}, size=3)
    net.add_node("s", "tanh", {"p": [1.0, f]})
    net.set_outputs("k", ["s"], "p")
    flat = net.expand()
    assert set(flat.nodes) == {"x", ("h", 0), ("h", 1), "p", ("k", 0), ("k", 1), ("k", 2), "s"}
    assert flat.layout.heads == ((("k", 0), ("k", 1), ("k", 2)), ("s",), ("p",))
    assert flat.parents(("k", 1)) == ("x",)
    target = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    one, other = (n.backward(n.forward([0.3, -0.8]), loss="half_squared", target=target) for n in (net, flat))
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-13)
    assert one.value == pytest.approx(other.value, rel=1e-15)
    assert flat.parameters["f"].value == 0.7
    clash = gp.Network()
    clash.add_input(("h", 0))
    clash.add_node("h", "tanh", {("h", 0): [1.0, 2.0]}, size=2)
    with pytest.raises(gp.GraphpropError, match=r"there is a node \('h', 0\) already"):
        clash.expand()


def image(net: gp.Network, rows: int, columns: int, channels: int | None = None) -> np.ndarray[Any, Any]:
    shape = (rows, columns) if channels is None else (channels, rows, columns)
    names = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        names[index] = ("x", *index)
        net.add_input(("x", *index))
    return names


def correlate(x: Any, kernel: Any, stride: tuple[int, int], padding: tuple[int, int]) -> Any:
    """The definition, in loops: outputs x channels x rows x columns kernels."""
    pad_r, pad_c = padding
    x = np.pad(x, ((0, 0), (pad_r, pad_r), (pad_c, pad_c)))
    outputs, _, high, wide = kernel.shape
    shape = (outputs, (x.shape[1] - high) // stride[0] + 1, (x.shape[2] - wide) // stride[1] + 1)
    result = np.zeros(shape)
    for o, r, c in np.ndindex(shape):
        window = x[:, r * stride[0] : r * stride[0] + high, c * stride[1] : c * stride[1] + wide]
        result[o, r, c] = (window * kernel[o]).sum()
    return result


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 0)), ((1, 3), (1, 1))])
def test_convolution_is_cross_correlation(stride: tuple[int, int], padding: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    kernel, values = random.standard_normal((2, 3, 3, 2)), random.standard_normal((3, 5, 4))
    net = gp.Network()
    x = image(net, 5, 4, 3)
    s = gp.conv2d(net, x, kernel, stride=stride, padding=padding, bias=[0.5, -0.5], activation="tanh")
    trace = net.forward(values.ravel())
    biases = np.array([0.5, -0.5])[:, None, None]
    expected = np.tanh(correlate(values, kernel, stride, padding) + biases)
    assert s.shape == expected.shape
    for index in np.ndindex(s.shape):
        assert trace.o[s[index]] == pytest.approx(expected[index], rel=1e-13)
    assert len(net.theta) == kernel.size + 2
    # the gradient of a tied weight is the derivative under a simultaneous change
    g = net.backward(trace, loss="half_squared", target=np.zeros(s.size))
    change = np.zeros_like(kernel)
    change[1, 2, 0, 1] = 1e-6
    values_at = [
        0.5 * (np.tanh(correlate(values, kernel + h * change, stride, padding) + biases) ** 2).sum() for h in (1, -1)
    ]
    assert g.parameter["s.kernel"][1, 2, 0, 1] == pytest.approx((values_at[0] - values_at[1]) / 2e-6, rel=1e-7)


@pytest.mark.parametrize("bias", [None, 0.5])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [((1, 1), (1, 1), (1, 0)), ((2, 3), (1, 1), (3, 4)), ((3, 2), (2, 3), (6, 2))]
)
def test_an_output_of_a_convolution_may_read_only_zeros(
    size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], bias: float | None
) -> None:
    random = np.random.default_rng(3)
    kernel, values = random.standard_normal((2, 1, *size)), random.standard_normal((1, 3, 4))
    net = gp.Network()
    x = image(net, 3, 4, 1)
    s = gp.conv2d(net, x, kernel, stride=stride, padding=padding, bias=bias, activation="exp")
    trace = net.forward(values.ravel())
    expected = np.exp(correlate(values, kernel, stride, padding) + (bias or 0.0))
    assert s.shape == expected.shape
    np.testing.assert_allclose([trace.o[v] for v in s.ravel()], expected.ravel(), rtol=1e-13)
    seed = random.standard_normal(expected.shape)
    seeds = dict(zip(s.ravel(), seed.ravel(), strict=True))
    g = net.backward(trace, seed=seeds)
    by_a, by_kernel = seed * expected, np.zeros_like(kernel)
    for index in np.ndindex(kernel.shape):
        tap = np.zeros_like(kernel)
        tap[index] = 1.0
        by_kernel[index] = (by_a * correlate(values, tap, stride, padding)).sum()
    np.testing.assert_allclose(g.parameter["s.kernel"], by_kernel, rtol=1e-12)
    if bias is not None:
        assert g.parameter["s.bias"] == pytest.approx(by_a.sum(), rel=1e-12)
    assert net.trainable.sum() == kernel.size + (bias is not None)
    assert gp.check(net, values.ravel(), seed=seeds).ok


def test_the_unrolled_matrix_of_a_convolution() -> None:
    padded, plain = gp.Network(), gp.Network()
    x12, x6 = image(padded, 4, 3), image(plain, 2, 3)
    s12 = gp.conv2d(padded, x12, [[2.0], [4.0], [-1.0]])
    s6 = gp.conv2d(plain, x6, [[2.0], [4.0], [-1.0]], padding=(1, 0))
    by_rows = padded.weight_matrix(rows=s12, columns=x12)
    assert by_rows.shape == (6, 12)
    assert np.count_nonzero(by_rows) == 18
    for r, c in np.ndindex(2, 3):
        assert by_rows[3 * r + c, [3 * r + c, 3 * (r + 1) + c, 3 * (r + 2) + c]].tolist() == [2.0, 4.0, -1.0]
    by_columns = padded.weight_matrix(rows=s12, columns=x12, order="F")
    mixed = padded.weight_matrix(rows=s12.ravel(), columns=x12.ravel("F"))
    np.testing.assert_array_equal(by_columns, mixed[[0, 3, 1, 4, 2, 5]])
    small = plain.weight_matrix(rows=s6, columns=x6)
    assert small.shape == (6, 6)
    assert np.count_nonzero(small) == 12
    np.testing.assert_array_equal(small, by_rows[:, 3:9])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda net, x: gp.conv2d(net, x, [[1.0] * 4]), "a kernel of 1 x 4 does not fit into 2 x 3"),
        (lambda net, x: gp.conv2d(net, x[:0], [[1.0]], padding=(1, 0)), "there is no node to read"),
        (lambda net, x: gp.conv2d(net, x, [1.0]), "the kernel has two to four axes"),
        (lambda net, x: gp.conv2d(net, x.ravel(), [[1.0]]), "nodes are rows x columns"),
        (lambda net, x: gp.conv2d(net, x, np.ones((2, 1, 1))), "the kernel is for 2 channels, the nodes have 1"),
        (lambda net, x: gp.conv2d(net, x, [[math.nan]]), "not finite"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], stride=(0, 1)), "stride is a pair"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], bias=[1.0, 2.0]), "bias of conv2d has shape"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], activation="tan"), "unknown activation 'tan'"),
        (lambda net, x: gp.conv2d(net, [["a", "b"]], [[1.0]]), "unknown node 'a'"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], name="taken"), "exists already"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], name="half"), "exists already"),
        (lambda net, x: gp.dense(net, x, 2, name="half"), "exists already"),
        (lambda net, x: gp.dense(net, x, 2, weights=[[1.0, math.nan] * 3] * 2), "is nan"),
        (lambda net, x: gp.conv2d(net, x, [[1.0]], trainable=0), "conv2d: trainable is True or False, not 0"),
        (lambda net, x: gp.dense(net, x, 2, trainable="no"), "dense: trainable is True or False, not 'no'"),
        (lambda net, x: gp.dense(net, [], 2), "there is no node"),
        (lambda net, x: gp.dense(net, ["q"], 2), "unknown node 'q'"),
        (lambda net, x: gp.dense(net, x, 2, weights=[[1.0]]), r"shape \(1, 1\); they should have \(2, 6\)"),
        (lambda net, x: net.weight_matrix(rows=x, columns=x), "is an input"),
        (lambda net, x: net.weight_matrix(rows=["h"], columns=x, order="A"), "order is 'C'"),
    ],
)
def test_bad_input_to_builders_changes_nothing(act: Any, message: str) -> None:
    net = gp.Network()
    x = image(net, 2, 3)
    net.parameter("taken.kernel", 1.0)
    net.add_node(("half", 1), "tanh", {x[0, 0]: 1.0})
    net.add_node(("half", 0, 1), "tanh", {x[0, 0]: 1.0})
    before = net.nodes, net.theta.tolist(), list(net.parameters)
    with pytest.raises(gp.GraphpropError, match=message):
        act(net, x)
    assert (net.nodes, net.theta.tolist(), list(net.parameters)) == before


@pytest.mark.parametrize(
    ("sizes", "by"), [([3], "neuron"), ([3, 0], "layer"), ([2, 2.5], "layer"), ([2, 2], "node"), ([0, 2], "neuron")]
)
def test_bad_sizes(sizes: Any, by: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=r"sizes are a list of at least|sizes: size is a whole|by is 'neuron'"):
        gp.mlp(sizes, by=by)


@pytest.mark.parametrize("by", ["neuron", "layer"])
def test_every_layer_has_its_own_activation(by: Any) -> None:
    x = np.array([0.3, -0.7])
    net = gp.mlp([2, 3, 4, 2], ["tanh", gp.activation("leaky_relu", slope=0.5), "softmax"], seed=5, by=by)
    random = np.random.default_rng(5)
    W1, W2, W3 = (random.standard_normal((n, m)) / np.sqrt(m) for n, m in ((3, 2), (4, 3), (2, 4)))
    a = W2 @ np.tanh(W1 @ x)
    z = np.exp(W3 @ np.where(a > 0, a, 0.5 * a))
    np.testing.assert_allclose(net.forward(x).o["y"], z / z.sum(), rtol=1e-14)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        ((["tanh"],), "one for each of the 2 layers, not 1"),
        ((("tanh", "tanh", "identity"),), "one for each of the 2 layers, not 3"),
        (([],), "one for each of the 2 layers, not 0"),
        ((["tanh", "identity"], "identity"), "leave output out"),
        ((["tanh", "softmac"],), "unknown activation 'softmac'; did you mean 'softmax'"),
        ((["tanh", ["tanh"]],), "a name or a gp.Activation"),
        (("tanh", ["tanh", "tanh"]), "a name or a gp.Activation"),
    ],
)
def test_bad_lists_of_activations(activations: Any, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.mlp([2, 3, 1], *activations)


def test_theta_of_an_mlp_is_neuron_by_neuron_its_weights_then_its_bias() -> None:
    random = np.random.default_rng(3)
    layers = [random.standard_normal((n, m)) / np.sqrt(m) for n, m in ((3, 2), (1, 3))]
    rows = [[*row, 0.0] for weights in layers for row in weights]
    np.testing.assert_array_equal(gp.mlp([2, 3, 1], seed=3).theta, np.concatenate(rows))


@pytest.mark.parametrize("hidden", ["softmax", "max", "tanh"])
def test_hidden_layers_of_every_kind(hidden: str) -> None:
    X = [[0.1, 0.2], [0.3, -0.4]]
    one, other = (gp.mlp([2, 3, 2], hidden, "softmax", seed=1, by=by) for by in ("neuron", "layer"))
    np.testing.assert_allclose(one.forward(X).o["y"], other.forward(X).o["y"], rtol=1e-14)


def test_dense_takes_parameters_and_reducing_activations() -> None:
    net = gp.Network()
    x = image(net, 1, 3).ravel()
    W = net.parameter("W", np.arange(6.0).reshape(2, 3))
    h = gp.dense(net, x, 2, "tanh", weights=W, bias=None, name="h")
    y = gp.dense(net, h, 4, "softmax_dot", name="y", seed=1)
    assert h.tolist() == [("h", 0), ("h", 1)]
    assert y.tolist() == ["y"]
    assert net.weight(("x", 0, 2), ("h", 1)) == 5.0
    assert net.weight(("h", 0), "y").shape == (4,)
    assert math.isnan(net.bias(("h", 0)))


def test_layers_may_be_frozen() -> None:
    net = gp.Network()
    x = image(net, 2, 2)
    free = net.parameter("free", 1.0)
    s = gp.conv2d(net, x, [[1.0, free]], bias=0.5, trainable=False)
    h = gp.dense(net, s.ravel(), 2, "tanh", weights=[[free, 1.0], [2.0, 3.0]], trainable=False)
    gp.dense(net, h, 2, "softmax", name="p", trainable=False)
    gp.dense(net, h, 1, "tanh", name="y")
    frozen = 2 + 5 + 6  # of the convolution, h and p
    assert net.trainable.tolist() == [True, *[False] * frozen, *[True] * 3]


def recurrent_cell() -> gp.Network:
    cell = gp.Network()
    cell.add_input("x")
    cell.add_input("h")
    cell.add_node("h_next", "tanh", {"x": 0.5, "h": 0.8}, bias=0.1)
    cell.add_node("y", "identity", {"h_next": 2.0, "h": -1.0})
    return cell


def test_unrolling_in_time_is_the_loop() -> None:
    cell = recurrent_cell()
    net = gp.unroll(cell, {"h_next": "h"}, steps=4)
    assert net.inputs == (("x", 0), ("h", 0), ("x", 1), ("x", 2), ("x", 3))
    xs, h = [0.3, -0.5, 0.9, 0.1], 0.2
    values = {("h", 0): h} | {("x", t): x for t, x in enumerate(xs)}
    trace = net.forward(values)
    for t, x in enumerate(xs):
        before, h = h, math.tanh(0.5 * x + 0.8 * h + 0.1)
        assert trace.o["h_next", t] == pytest.approx(h, rel=1e-15)
        assert trace.o["y", t] == pytest.approx(2 * h - before, rel=1e-14)

    def last(w: float) -> float:
        h = 0.2
        for x in xs:
            h = math.tanh(0.5 * x + w * h + 0.1)
        return h

    g = net.backward(trace, ("h_next", 3))
    assert len(net.theta) == len(cell.theta)
    position = cell.layout.label_position(1)
    assert position == "w(h, h_next)"
    assert g.theta[1] == pytest.approx((last(0.8 + 1e-6) - last(0.8 - 1e-6)) / 2e-6, rel=1e-8)


def test_unrolling_keeps_declared_outputs_for_every_step() -> None:
    cell = recurrent_cell()
    assert gp.unroll(cell, {"h_next": "h"}, 2).outputs == (("y", 0), ("y", 1))
    cell.set_outputs("h_next", "y")
    assert gp.unroll(cell, {"h_next": "h"}, 2).layout.heads == (
        *((("h_next", 0),), (("y", 0),)),
        *((("h_next", 1),), (("y", 1),)),
    )


@pytest.mark.parametrize(
    ("feedback", "steps", "message"),
    [
        ({"q": "h"}, 2, "feedback: unknown node 'q'"),
        ({"h_next": "y"}, 2, "feeds 'y', which is no input"),
        ({"h_next": "h", "y": "h"}, 2, "the input 'h' is fed twice"),
        ({"h_next": "h"}, 0, "steps is a whole number"),
        ([("h_next", "h")], 2, "feedback is a mapping"),
        ({"h_next": "h", "y": "x"}, 2, None),
        ({"h_next": "x"}, 2, None),
    ],
)
def test_feedback_is_checked(feedback: Any, steps: int, message: str | None) -> None:
    if message is None:
        assert len(gp.unroll(recurrent_cell(), feedback, steps)) > 4
        return
    with pytest.raises(gp.GraphpropError, match=message):
        gp.unroll(recurrent_cell(), feedback, steps)


def test_inputs_and_outputs_keep_their_order_however_the_network_was_built() -> None:
    net = gp.Network()
    net.add_node("b", "tanh", size=2)
    net.add_node("a", "tanh")
    net.add_input("q")
    net.add_input("p")
    net.add_edge("p", "a", 1.0)
    net.add_edge("q", "b", [1.0, 2.0])
    assert net.inputs == ("q", "p")
    assert net.outputs == ("b", "a")
    assert net.expand().inputs == ("q", "p")
    assert net.expand().outputs == (("b", 0), ("b", 1), "a")
    assert gp.union({"n": net}).inputs == (("n", "q"), ("n", "p"))
    assert gp.union({"n": net}).outputs == (("n", "b"), ("n", "a"))
    assert gp.unroll(net, {"a": "p"}, 2).inputs == (("q", 0), ("p", 0), ("q", 1))
    for other in (net.expand(), gp.union({"n": net}), gp.unroll(net, {}, 1), net.copy()):
        np.testing.assert_array_equal(other.forward([0.3, 0.4]).o_flat.sum(), net.forward([0.3, 0.4]).o_flat.sum())


def test_a_union_is_disjoint() -> None:
    a, b = gp.mlp([2, 3, 1], seed=1), recurrent_cell()
    f = b.parameter("f", 3.0, trainable=False)
    b.add_node("z", "tanh", {"x": f})
    net = gp.union({"a": a, "b": b})
    assert len(net) == len(a) + len(b)
    assert net.parameters["b", "f"].value == 3.0
    assert net.theta.tolist() == [*a.theta, *b.theta]
    assert net.trainable.tolist() == [*a.trainable, *b.trainable]
    assert net.outputs == (("a", ("y", 0)), ("b", "y"), ("b", "z"))
    trace = net.forward([0.1, 0.2, 0.3, 0.4])
    alone = b.forward([0.3, 0.4])
    assert trace.o["b", "y"] == alone.o["y"]
    g = net.backward(trace, ("b", "y"))
    np.testing.assert_array_equal(g.theta[len(a.theta) :], b.backward(alone, "y").theta)
    assert not g.theta[: len(a.theta)].any()
    assert b.theta.base is not net.theta.base
    for nets, message in (({"c": 3}, "'c' is no network"), ([a], "takes a mapping"), ({1.5: a}, "a name is a text")):
        with pytest.raises(gp.GraphpropError, match=message):
            gp.union(nets)


def test_a_union_keeps_absent_entries() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, None, 2.0]}, bias=[None, 3.0, None])
    net.add_node("y", "tanh", {"p": [None, 4.0, None]})
    both = gp.union({"a": net, "b": net})
    assert both.theta.tolist() == [1.0, 2.0, 3.0, 4.0] * 2
    for name in "ab":
        np.testing.assert_array_equal(both.weight((name, "x"), (name, "p")), [1.0, math.nan, 2.0])
        np.testing.assert_array_equal(both.weight((name, "p"), (name, "y")), [math.nan, 4.0, math.nan])
        np.testing.assert_array_equal(both.bias((name, "p")), [math.nan, 3.0, math.nan])
        assert both.forward([0.5, 0.5]).o[name, "y"] == net.forward([0.5]).o["y"]


def test_softmax_regression_is_the_log_linear_model() -> None:
    net = gp.softmax_regression(2, 3)
    net.randomize(seed=0)
    W, x = net.weight("x", "y"), np.array([0.4, -1.3])
    z = np.exp(W @ x)
    np.testing.assert_allclose(net.forward(x).o["y"], z / z.sum(), rtol=1e-14)
    g = net.backward(net.forward(x), loss="cross_entropy", target=2)
    np.testing.assert_allclose(g.weight["x", "y"], np.outer(z / z.sum() - [0, 0, 1], x), rtol=1e-13)


def test_numbers_beside_parameters_in_a_kernel_are_tied_too() -> None:
    net = gp.Network()
    x = image(net, 1, 4)
    f = net.parameter("f", 3.0)
    s = gp.conv2d(net, x, np.array([[f, 2.0]], dtype=object), bias=0.5)
    assert net.theta.tolist() == [3.0, 2.0, 0.5]
    assert net.weight(x[0, 3], s[0, 2]) == 2.0
    two = gp.conv2d(net, x, np.ones((2, 1, 1, 2)), bias=0.5, name="two")
    assert two.shape == (2, 1, 3)
    assert net.parameters["two.bias"].value == 0.5


def test_a_node_that_is_named_twice_is_refused() -> None:
    net = gp.Network()
    image(net, 1, 2)
    name = ("x", 0, 0)
    for act in (lambda: gp.dense(net, [name, name], 1), lambda: gp.conv2d(net, [[name, name]], [[1.0, 2.0]])):
        with pytest.raises(gp.GraphpropError, match=r"node \('x', 0, 0\) is named twice"):
            act()
    assert gp.dense(net, net.inputs, 2, name="d").shape == (2,)


def test_a_component_that_nothing_flows_into_is_expanded_too() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": [1.0, None]}, bias=[None, 0.3], size=2)
    net.add_node("y", "identity", {"h": [1.0, 2.0]})
    flat = net.expand()
    one, other = (n.backward(n.forward([0.5]), "y") for n in (net, flat))
    assert one.value == other.value
    np.testing.assert_array_equal(one.theta, other.theta)


def test_a_declared_output_that_is_fed_is_one_in_the_first_step_only() -> None:
    cell = recurrent_cell()
    cell.set_outputs("y", "h")
    assert gp.unroll(cell, {"h_next": "h"}, 2).outputs == (("y", 0), ("h", 0), ("y", 1))


def test_gradients_as_the_matrices_of_the_layers() -> None:
    neuron, layer = (gp.mlp([3, 4, 2], "tanh", "softmax", seed=2, by=by) for by in ("neuron", "layer"))
    x, h = [("x", k) for k in range(3)], [("h1", i) for i in range(4)]
    one, other = (net.backward(net.forward([0.1, 0.2, 0.3]), loss="cross_entropy", target=1) for net in (neuron, layer))
    np.testing.assert_allclose(one.weight_matrix(rows=h, columns=x), other.weight["x", "h1"], rtol=1e-13)
    np.testing.assert_allclose(one.weight_matrix(["y"], h), other.weight["h1", "y"], rtol=1e-13)
    np.testing.assert_array_equal(neuron.weight_matrix(["y"], h), layer.weight("h1", "y"))
