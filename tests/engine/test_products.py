"""Dense blocks whose products are shared out among threads: any cut of the batch and of the blocks, and no BLAS."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import fast, fast_dense
from graphprop.engine.loops import dense
from tests.against_recursion import assert_same_descent
from tests.cases import one_of


def by_neuron() -> gp.Network:
    return gp.mlp([40, 70, 30, 4], "tanh", "identity", seed=1)


def by_layer() -> gp.Network:
    return gp.mlp([40, 70, 30, 4], "tanh", "identity", seed=2, by="layer")


def with_skips() -> gp.Network:
    """Inputs and hidden nodes that are read by single nodes too, so that sparse weights stand beside the blocks."""
    net = gp.mlp([40, 40, 30, 3], "sigmoid", "identity", seed=3)
    for k in range(3):
        net.add_edge(("x", k), ("y", k), 0.5)
        net.add_edge(("h1", k), ("y", k), -0.25)
    return net


def by_column() -> gp.Network:
    """Two layers whose weights lie in theta column by column, the second of vector and of reducing nodes."""
    rng = np.random.default_rng(4)
    net = gp.Network()
    net.add_input("x", size=30)
    for name, reads, rows, columns in (("h", "x", 64, 30), ("y", "h", 32, 64)):
        strewn = net.parameter(f"w {name}", rng.normal(size=rows * columns) / np.sqrt(columns))
        entries = [[strewn[c * rows + r] for c in range(columns)] for r in range(rows)]
        net.add_node(name, "tanh" if name == "h" else "mean", {reads: entries}, rng.normal(size=rows), size=rows)
    net.add_node("z", "identity", {"y": 2.0})
    return net


def from_two_inputs() -> gp.Network:
    """Each read by a block alone; some nodes of a layer have a bias, and some parameters lead to no output."""
    rng = np.random.default_rng(11)
    net = gp.Network()
    net.add_input("x", size=40)
    net.add_input("z", size=30)
    bias = [None if i % 3 else 0.1 * i for i in range(40)]
    for name, reads, columns in (("h", "x", 40), ("k", "z", 30)):
        net.add_node(name, "tanh", {reads: rng.normal(size=(40, columns)) / 6}, bias, size=40)
    net.add_node("off", "exp", {"k": rng.normal(size=(2, 40)) / 6}, size=2)
    net.add_node("y", "identity", {"h": rng.normal(size=(2, 40)), "k": rng.normal(size=(2, 40))}, bias[:2], size=2)
    net.set_outputs("y")
    return net


def with_an_input_among_its_outputs() -> gp.Network:
    """Single nodes beside a layer have its activation, another input is read by nothing."""
    net = gp.mlp([40, 40, 3], "tanh", "identity", seed=12)
    net.add_input("unread")
    net.add_node("alone", "tanh", {("x", 5): 0.5}, bias=0.25)
    net.add_node("pair", "tanh", {("x", 7): [0.5, -1.0]}, [None, 0.5], size=2)
    net.set_outputs([("y", 0), ("y", 1), "alone", ("x", 3)], "pair")
    return net


NETS: dict[str, Callable[[], gp.Network]] = {
    "by neuron": by_neuron,
    "by layer": by_layer,
    "with skips": with_skips,
    "by column": by_column,
    "two inputs": from_two_inputs,
    "an input as output": with_an_input_among_its_outputs,
}


@pytest.fixture
def shared_out(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """However little there is to do, it is cut into lanes and pieces."""
    monkeypatch.setattr(fast_dense, "WORTH_SHARING", 1)
    monkeypatch.setattr(fast_dense, "FEWEST_ROWS", (8, 8))
    return monkeypatch


@functools.cache
def expected_of(name: str, samples: int) -> tuple[Any, Any, gp.Gradients]:
    """Inputs and targets, and what the recursion gives for them."""
    net, rng = NETS[name](), np.random.default_rng(samples)
    rows = rng.normal(size=(samples, len(net.layout.input_columns)))
    target = rng.normal(size=(samples, len(net.program.schedule.goal_columns)))
    trace = gp.recursion.forward(net, rows)
    return rows, target, gp.recursion.backpropagate(net, trace, loss="half_squared", target=target)


def by_recursion(name: str, samples: int) -> tuple[gp.Network, Any, Any, gp.Gradients]:
    return NETS[name](), *expected_of(name, samples)


def plan(program: gp.Program) -> Any:
    return next(x for x in program.schedule.plans.values() if isinstance(x, fast_dense.DenseDescent))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("part_bytes", [1, 25_000, 1 << 26])
@pytest.mark.parametrize("samples", one_of(2, (1, 2, 33, 100)))
@pytest.mark.parametrize("name", list(NETS))
def test_any_cut_has_the_gradient_of_the_recursion(
    shared_out: pytest.MonkeyPatch, name: str, samples: int, part_bytes: int, dtype: Any
) -> None:
    shared_out.setattr(fast_dense, "PART_BYTES", part_bytes)
    net, rows, target, expected = by_recursion(name, samples)
    arrays = net.theta.astype(dtype), rows.astype(dtype), target
    found = net.program.value_and_grad(*arrays, loss="half_squared")
    assert plan(net.program).lanes == (2 if samples > 32 and part_bytes > 10**6 else 1)
    assert_same_descent(found, expected)


@pytest.mark.parametrize("samples", [41, 100])
@pytest.mark.parametrize("name", list(NETS))
def test_chunks_of_several_lanes(shared_out: pytest.MonkeyPatch, name: str, samples: int) -> None:
    """The last chunk may have fewer samples than lanes."""
    (net, rows, target, expected), before = by_recursion(name, samples), gp.get_threads()
    shared_out.setattr(fast_dense, "LANE_SAMPLES", 8)
    shared_out.setattr(fast_dense, "PART_BYTES", 40 * 8 * net.program.schedule.size)
    bits = set()
    try:
        for count in (1, 2, 5):
            gp.set_threads(count)
            value, gradient = net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
            bits.add((value, gradient.tobytes()))
    finally:
        gp.set_threads(before)
    assert (plan(net.program).lanes, len(plan(net.program).chunks)) == (5, -(-samples // 40))
    assert len(bits) == 1
    assert_same_descent((value, gradient), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("samples", [1, 50])
def test_labels_and_sample_weights(shared_out: pytest.MonkeyPatch, samples: int, weighted: bool) -> None:
    net = gp.mlp([40, 40, 5], "tanh", "identity", seed=5)
    rng = np.random.default_rng(samples)
    rows, labels = rng.normal(size=(samples, 40)), rng.integers(0, 5, samples)
    goal: dict[str, Any] = {"loss": "softmax_cross_entropy"}
    if weighted:
        goal["sample_weight"] = rng.uniform(size=samples) + 0.1
    expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), target=labels, **goal)
    found = net.program.value_and_grad(net.theta, rows, labels, **goal)
    assert plan(net.program).samples == samples
    assert_same_descent(found, expected)


@pytest.mark.parametrize("sizes", [[4, 3, 2], [40, 40, 2]], ids=["sparse", "dense"])
def test_targets_of_float32_are_read_as_they_are(sizes: list[int]) -> None:
    net = gp.mlp(sizes, "tanh", "identity", seed=6)
    rng = np.random.default_rng(6)
    theta, rows, target = (x.astype(np.float32) for x in (net.theta, rng.random((9, sizes[0])), rng.random((9, 2))))
    value, gradient = net.program.value_and_grad(theta, rows, target, loss="half_squared")
    expected = net.program.value_and_grad(theta, rows, target.astype(float), loss="half_squared")
    assert value == expected[0]
    assert gradient.dtype == np.float32
    np.testing.assert_array_equal(gradient, expected[1])
    target[3, 1] = np.inf
    with pytest.raises(gp.NumberError, match="not finite"):
        net.program.value_and_grad(theta, rows, target, loss="half_squared")


@pytest.mark.parametrize("name", list(NETS))
def test_any_number_of_threads_has_the_same_bits(shared_out: pytest.MonkeyPatch, name: str) -> None:
    net, before = NETS[name](), gp.get_threads()
    rng = np.random.default_rng(6)
    shared_out.setattr(fast_dense, "LANE_SAMPLES", 100)
    rows = rng.normal(size=(700, len(net.layout.input_columns)))
    target = np.zeros(net.program.predict(net.theta, rows).shape)
    bits = set()
    try:
        for count in (1, 2, 3, 5):
            gp.set_threads(count)
            value, gradient = net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
            bits.add((value, gradient.tobytes()))
    finally:
        gp.set_threads(before)
    assert plan(net.program).lanes == 7
    assert len(plan(net.program).tasks) > 2
    assert len(bits) == 1


def test_who_finds_all_taken_waits_for_what_others_have_taken(
    shared_out: pytest.MonkeyPatch,
) -> None:
    """The loop says so some times before it is done; the result is the same."""
    net = by_neuron()
    arrays = net.theta, np.random.default_rng(10).normal(size=(40, 40)), np.ones((40, 4))
    value, gradient = net.program.value_and_grad(*arrays, loss="half_squared")
    left = [dense.WAITING] * 3
    loop = dense.learn_dense
    shared_out.setattr(dense, "learn_dense", lambda *given: left.pop() if left else loop(*given))
    found = fast.descend(net.program.schedule, *arrays, "half_squared")
    assert found is not None
    assert not left
    assert found[0] == value
    assert np.array_equal(found[1], gradient)


def test_where_no_blas_is_found_numpy_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_dense, "blas_addresses", lambda dtype: None)
    net = by_neuron()
    rows = np.random.default_rng(7).normal(size=(5, 40))
    target = np.zeros((5, 4))
    found = net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
    assert list(net.program.schedule.plans.values()) == [None, None]
    expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), loss="half_squared", target=target)
    assert_same_descent(found, expected)


@pytest.mark.parametrize("samples", [1, 40])
def test_a_gradient_that_overflows_is_refused_with_its_name(shared_out: pytest.MonkeyPatch, samples: int) -> None:
    """The value is some 1e240, the derivatives by the weights would be 1e320."""
    net = gp.mlp([40, 40], "identity", "identity", seed=1)
    net.theta[:] = 1e-80
    rows, target = np.full((samples, 40), 1e200), np.zeros((samples, 40))
    with pytest.raises(gp.NumberError, match=r"the derivative with respect to w\(.* is inf"):
        net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
    assert plan(net.program).samples == samples
    rows /= 1e100
    assert np.isfinite(net.program.value_and_grad(net.theta, rows, target, loss="half_squared")[1]).all()


@pytest.mark.parametrize("samples", [1, 40])
@pytest.mark.parametrize("row", [0, 3, 39])
def test_one_row_of_a_block_whose_gradient_overflows_is_refused(
    shared_out: pytest.MonkeyPatch, row: int, samples: int
) -> None:
    """All other rows have the derivative 0."""
    net = gp.mlp([40, 40], "identity", "identity", seed=1)
    net.theta[:] = 0
    net.theta[41 * row : 41 * row + 40] = 1e-80
    rows, target = np.full((samples, 40), 1e200), np.zeros((samples, 40))
    with pytest.raises(gp.NumberError, match=rf"the derivative with respect to w\(.*{row}.* is inf"):
        net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
    assert plan(net.program).samples == samples


def test_what_is_not_finite_is_refused_with_its_place(shared_out: pytest.MonkeyPatch) -> None:
    net = by_neuron()
    arrays = {"theta": net.theta.copy(), "inputs": np.ones((40, 40)), "target": np.ones((40, 4))}
    for name, array in arrays.items():
        for place in (0, -1):
            kept, array.flat[place] = array.flat[place], np.inf  # a target that is nan is a missing one
            with pytest.raises(gp.NumberError, match={"theta": "theta", "inputs": "input", "target": "target"}[name]):
                net.program.value_and_grad(*arrays.values(), loss="half_squared")
            array.flat[place] = kept
    assert fast.descend(net.program.schedule, *arrays.values(), "half_squared") is not None


def test_a_parameter_that_nothing_reads_has_to_be_finite_too(shared_out: pytest.MonkeyPatch) -> None:
    net = from_two_inputs()
    arrays = net.theta.copy(), np.ones((5, 70)), np.ones((5, 2))
    net.program.value_and_grad(*arrays, loss="half_squared")
    for position in net.program.schedule.unused_positions[[0, -1]]:
        kept, arrays[0][position] = arrays[0][position], np.nan
        with pytest.raises(gp.NumberError, match=rf"theta\[{position}\]"):
            net.program.value_and_grad(*arrays, loss="half_squared")
        arrays[0][position] = kept


@pytest.mark.parametrize("samples", [1, 5, 40])
def test_parameters_that_all_lie_in_blocks(shared_out: pytest.MonkeyPatch, samples: int) -> None:
    inputs, nodes = 64, 32
    source, target = np.repeat(np.arange(inputs), nodes), np.tile(np.arange(inputs, inputs + nodes), inputs)
    program = gp.Program.from_edges(inputs, source, target, "tanh")
    theta = np.random.default_rng(8).normal(size=inputs * nodes) / 8
    net = program.to_network()
    net.theta = theta
    rows, goal = np.random.default_rng(9).normal(size=(samples, inputs)), np.ones((samples, nodes))
    expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), loss="half_squared", target=goal)
    found = program.value_and_grad(theta, rows, goal, loss="half_squared")
    assert plan(program).samples == samples
    assert_same_descent(found, expected)
