"""Layers large enough to be dense blocks, in every shape they come in: the numbers are those of the recursion."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest

import graphprop as gp
from tests.against_recursion import (
    assert_same_descent,
    assert_same_gradients,
    assert_same_outputs,
    assert_same_pull,
    assert_same_trace,
    heads,
)

SAMPLES = 5


def blocks(net: gp.Network) -> list[Any]:
    return [block for run in gp.compile(net).schedule.runs for block in run.blocks]


def check(net: gp.Network, samples: int = SAMPLES, seed: int = 0) -> None:
    """All that the engine computes of this network, for a batch and for one sample, in both precisions."""
    rng = np.random.default_rng(seed)
    program = gp.compile(net)
    for rows in (
        rng.normal(size=(samples, len(net.layout.input_columns))),
        rng.normal(size=len(net.layout.input_columns)),
    ):
        trace = assert_same_trace(net, rows)
        outputs = heads(net, trace)
        target = rng.normal(size=outputs.shape if rows.ndim == 2 else outputs.shape[1:])
        assert_same_outputs(program.predict(net.theta, rows), net, trace)
        expected = assert_same_gradients(net, trace, loss="half_squared", target=target)
        for dtype in (np.float64, np.float32):
            found = program.value_and_grad(net.theta.astype(dtype), rows, target, loss="half_squared")
            assert_same_descent(found, expected)
        seeds = {v: np.ones(np.shape(trace.o[v])) for head in net.layout.heads for v in head}
        by_seed = gp.recursion.backpropagate(net, trace, seed=seeds)
        assert_same_pull(program.vjp(net.theta, rows, np.ones(target.shape)), by_seed)


@pytest.mark.parametrize("by", ["neuron", "layer"])
def test_layers_are_dense_however_they_are_declared(by: Literal["neuron", "layer"]) -> None:
    net = gp.mlp([40, 40, 40, 10], "tanh", "identity", seed=1, by=by)
    net.theta = np.random.default_rng(2).normal(size=len(net.theta)) / 6
    assert len(blocks(net)) == 2  # the last layer's 400 weights are too few
    assert all(block.positions.shape == (40, 40) for block in blocks(net))
    check(net)


@pytest.mark.parametrize("samples", [1, 2, 31, 33, 64, 65])
def test_dense_layers_for_any_number_of_samples(samples: int) -> None:
    check(gp.mlp([33, 32, 32, 4], "sigmoid", "softmax", seed=3), samples, seed=samples)


@pytest.mark.parametrize("output", ["softmax", "log_softmax", "softmax_dot", "product", "relu"])
def test_a_dense_last_layer_of_any_kind(output: str) -> None:
    net = gp.mlp([40, 30], "tanh", output, seed=4)
    net.theta[:] /= 4
    assert len(blocks(net)) == 1
    check(net)


def test_a_dense_layer_tied_in_time() -> None:
    """The same block runs in every step, and its gradient is the sum over the steps."""
    rng = np.random.default_rng(5)
    cell = gp.Network()
    cell.add_input("x", size=3)
    cell.add_input("h", size=40)
    weights = {"x": rng.normal(size=(40, 3)), "h": rng.normal(size=(40, 40)) / 8}
    cell.add_node("next", "tanh", weights, rng.normal(size=40) / 4, size=40)
    net = gp.unroll(cell, {"next": "h"}, steps=4)
    assert len(blocks(net)) == 4
    assert len(net.theta) == 40 * 43 + 40
    check(net)
    check(net.expand())


def shuffled(net: gp.Network, seed: int) -> gp.Network:
    """The same graph with its weights at random positions of theta."""
    other = gp.Network()
    order = np.random.default_rng(seed).permutation(len(net.theta))
    parameter = other.parameter("p", net.theta[order])
    at = {int(position): parameter[i] for i, position in enumerate(order)}
    layout = net.layout
    for v, node in zip(layout.names, layout.nodes, strict=True):
        if node.is_input:
            other.add_input(v, node.m if node.vector else None)
            continue
        parents = {}
        for u in net.parents(v):
            positions = layout.scatter_edge(layout.find_edge(u, v), layout.position.astype(float))
            entries = np.empty(positions.shape, dtype=object)
            for place in np.ndindex(positions.shape):
                entries[place] = None if np.isnan(positions[place]) else at[int(positions[place])]
            parents[u] = entries.tolist() if entries.size > 1 else entries[0, 0]
        bias = None if node.bias is None else [at[int(p)] for p in node.bias]
        size = node.n if node.vector else None
        other.add_node(v, net.activation(v), parents, bias if size or bias is None else bias[0], size=size)
    return other


@pytest.mark.parametrize("by", ["neuron", "layer"])
def test_a_layer_whose_weights_are_strewn_over_theta(by: Literal["neuron", "layer"]) -> None:
    net = gp.mlp([36, 36, 3], "tanh", seed=6, by=by)
    other = shuffled(net, seed=7)
    assert len(blocks(net)) == len(blocks(other)) == 1
    assert blocks(net)[0].strided
    assert not blocks(other)[0].strided
    rows = np.random.default_rng(8).normal(size=(4, 36))
    assert_same_outputs(gp.compile(other).predict(other.theta, rows), net, gp.recursion.forward(net, rows))
    check(other)


def test_a_layer_that_repeats_one_weight() -> None:
    """All weights of a layer are one parameter: its derivative is the sum of them all."""
    net = gp.Network()
    net.add_input("x", size=40)
    w = net.parameter("w", 0.03)
    net.add_node("h", "tanh", {"x": [[w] * 40] * 40}, size=40)
    net.add_node("y", "identity", {"h": np.random.default_rng(9).normal(size=(1, 40))}, size=1)
    check(net)


@pytest.mark.parametrize("use", ["a bias", "a single weight"])
def test_a_weight_of_a_layer_that_is_used_once_more(use: str) -> None:
    rng = np.random.default_rng(20)
    net = gp.Network()
    net.add_input("x", size=40)
    w = net.parameter("w", rng.normal(size=1600) / 6)
    net.add_node("h", "tanh", {"x": [[w[40 * i + k] for k in range(40)] for i in range(40)]}, size=40)
    weights = rng.normal(size=(2, 40)).astype(object)
    if use == "a single weight":
        weights[1, 2] = w[7]
    net.add_node("y", "identity", {"h": weights}, [w[7], 0.5] if use == "a bias" else None, size=2)
    assert [(block.strided, block.alone) for block in blocks(net)] == [(True, False)]
    check(net)


def test_a_layer_that_reads_an_input_behind_one_that_nothing_reads() -> None:
    rng = np.random.default_rng(21)
    net = gp.Network()
    net.add_input("unread")
    net.add_input("x", size=40)
    net.add_node("h", "tanh", {"x": rng.normal(size=(40, 40)) / 6}, size=40)
    assert len(blocks(net)) == 1
    check(net)


def test_a_dense_layer_with_skip_edges_into_some_of_it() -> None:
    rng = np.random.default_rng(10)
    net = gp.mlp([40, 40, 40, 5], "tanh", "identity", seed=11)
    net.theta = rng.normal(size=len(net.theta)) / 7
    for i in range(0, 40, 3):
        net.add_edge(("x", i), ("h2", (7 * i) % 40), 0.2)
    net.add_edge(("x", 1), ("y", 2), -0.7)
    check(net)


def test_a_layer_with_holes() -> None:
    rng = np.random.default_rng(12)
    net = gp.Network()
    net.add_input("x", size=64)
    weights = (rng.normal(size=(64, 64)) / 8).astype(object)
    weights[:, [20, 21]] = None  # columns that nothing reads
    weights[5, 40:] = None  # a row that reads less than the others
    net.add_node("h", "softplus", {"x": weights}, rng.normal(size=64), size=64)
    net.add_node("y", "tanh", {"h": rng.normal(size=(40, 64)) / 8, "x": rng.normal(size=(40, 64)) / 8}, size=40)
    check(net)


def test_dense_and_sparse_parts_side_by_side() -> None:
    rng = np.random.default_rng(13)
    net = gp.Network()
    net.add_input("x", size=40)
    net.add_input("z")
    net.add_node("h", "tanh", {"x": rng.normal(size=(40, 40)) / 6}, rng.normal(size=40), size=40)
    net.add_node("s", "sigmoid", {"z": 0.5, "h": rng.normal(size=(1, 40)) / 6})
    net.add_node("t", "softmax_dot", {"s": rng.normal(size=(3, 1)), "x": rng.normal(size=(3, 40)) / 6}, size=3)
    weights = {"h": rng.normal(size=(40, 40)) / 6, "s": rng.normal(size=(40, 1)), "t": rng.normal(size=(40, 1))}
    net.add_node("k", "gelu", weights, rng.normal(size=40), size=40)
    net.add_node("y", "softmax", {"k": rng.normal(size=(30, 40)) / 6, "z": rng.normal(size=(30, 1))}, size=30)
    check(net)


def test_a_dense_softmax_with_masks() -> None:
    rng = np.random.default_rng(14)
    bias = rng.normal(size=40)
    bias[[3, 17]] = -np.inf
    net = gp.Network()
    net.add_input("x", size=40)
    net.add_node("p", "softmax", {"x": rng.normal(size=(40, 40)) / 6}, bias, size=40)
    rows = rng.normal(size=(6, 40))
    trace = assert_same_trace(net, rows)
    assert not trace.o["p"][:, [3, 17]].any()
    expected = assert_same_gradients(net, trace, loss="half_squared", target=np.zeros((6, 40)))
    found = gp.compile(net).value_and_grad(net.theta, rows, np.zeros((6, 40)), loss="half_squared")
    assert_same_descent(found, expected)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dense_inputs_may_lie_in_memory_in_any_way(order: Literal["C", "F"], dtype: type) -> None:
    net = gp.mlp([40, 40, 2], "tanh", seed=15)
    program, theta = gp.compile(net), net.theta.astype(dtype)
    rows = np.random.default_rng(16).normal(size=(70, 40)).astype(dtype)
    goal: dict[str, Any] = {"loss": "half_squared", "target": np.zeros((70, 2))}
    expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows.astype(float)), **goal)
    wide = np.zeros((140, 80), dtype=dtype)
    wide[::2, ::2] = rows
    unaligned = np.zeros(rows.nbytes + 1, dtype=np.uint8)[1:].view(dtype).reshape(rows.shape)
    unaligned[:] = rows
    backwards = rows[::-1, ::-1].copy()[::-1, ::-1]
    for given in (
        rows,
        np.asarray(rows, order=order),
        wide[::2, ::2],
        unaligned,
        backwards,
        rows.byteswap().view(rows.dtype.newbyteorder()),
    ):
        assert_same_descent(program.value_and_grad(theta, given, **goal), expected)


def test_several_layers_read_one_and_one_layer_reads_several() -> None:
    rng = np.random.default_rng(17)
    net = gp.Network()
    net.add_input("x", size=36)
    for name in ("a", "b"):
        net.add_node(name, "tanh", {"x": rng.normal(size=(36, 36)) / 6}, size=36)
    both = {name: rng.normal(size=(36, 36)) / 6 for name in ("a", "b", "x")}
    net.add_node("y", "sigmoid", both, rng.normal(size=36), size=36)
    net.set_outputs("a", "y")
    assert len(blocks(net)) >= 2
    check(net)


def test_a_dense_program_is_the_same_after_pickling() -> None:
    net = gp.mlp([40, 40, 3], seed=18)
    program = gp.compile(net)
    other = pickle.loads(pickle.dumps(program))
    rows = np.random.default_rng(19).normal(size=(9, 40))
    for again in (other, pickle.loads(pickle.dumps(other))):
        one = program.value_and_grad(net.theta, rows, np.ones((9, 3)), loss="half_squared")
        two = again.value_and_grad(net.theta, rows, np.ones((9, 3)), loss="half_squared")
        assert one[0] == two[0]
        assert np.array_equal(one[1], two[1])
