"""`program.linearize`: one pass forward, and any number of pulls back, each what the recursion gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import graphprop as gp
from tests.against_recursion import assert_same_outputs, assert_same_pull, heads, input_rows
from tests.random_graphs import graphs, is_smooth


def by_name(net: gp.Network, trace: gp.Trace, seeds: Any) -> dict[Any, Any]:
    """Seeds that are an array with the columns of the heads, by the names of the nodes."""
    named, first = {}, 0
    for name in (name for head in net.layout.heads for name in head):
        width = int(np.size(trace.o[name][0]))
        named[name] = seeds[:, first : first + width].reshape(np.shape(trace.o[name]))
        first += width
    return named


def assert_pulls(net: gp.Network, rows: Any, dtype: Any = float) -> None:
    """The outputs and two pulls of a batch are those of the recursion, by position and by name."""
    theta, rows = net.theta.astype(dtype), rows.astype(dtype)
    net.theta = theta
    trace = gp.recursion.forward(net, rows.astype(float))
    outputs, pull = gp.compile(net).linearize(theta, rows)
    assert_same_outputs(outputs, net, trace)
    for seed in (0, 1):
        seeds = np.random.default_rng(seed).uniform(-1, 1, heads(net, trace).shape)
        named = by_name(net, trace, seeds)
        expected = gp.recursion.backpropagate(net, trace, seed=named)
        for given_as in (seeds, named, np.asfortranarray(seeds), seeds.tolist()):
            found = pull(given_as)
            assert found[0].dtype == found[1].dtype == dtype
            assert_same_pull(found, expected)


@given(graphs(), st.integers(1, 4))
def test_outputs_and_pulls_are_those_of_the_recursion(made: Any, samples: int) -> None:
    net, inputs = made
    assume(net.layout.heads)
    rows = np.outer(np.linspace(1.0, 0.5, samples), input_rows(net, inputs))
    assume(is_smooth(net, gp.recursion.forward(net, rows)))
    assert_pulls(net, rows)


@given(graphs(kinds=("tanh", "sigmoid", "softplus", "gelu", "sin", "softmax", "softmax_dot", "mean", "logsumexp")))
def test_float32_is_right_to_float32(made: Any) -> None:
    net, inputs = made
    assume(net.layout.heads)
    assert_pulls(net, np.outer([1.0, 0.5], input_rows(net, inputs)), np.float32)


DOORS: dict[str, Any] = {
    "sparse": lambda: gp.mlp([5, 6, 3], "tanh", "identity", seed=0),
    "dense": lambda: gp.mlp([40, 50, 30], "tanh", "softmax", seed=0),
    "dense behind sparse": lambda: gp.mlp([5, 50, 40, 3], "gelu", "identity", seed=0),
    "dense by layer": lambda: gp.mlp([40, 50, 30], "tanh", "identity", by="layer", seed=0),
}


@pytest.mark.parametrize("samples", [1, 2, 33, 700])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", DOORS)
def test_programs_of_every_way_through_the_engine(name: str, dtype: Any, samples: int) -> None:
    net = DOORS[name]()
    rows = np.random.default_rng(1).normal(size=(samples, len(net.layout.input_columns))).astype(dtype)
    theta = net.theta.astype(dtype)
    program = gp.compile(net)
    outputs, pull = program.linearize(theta, rows)
    seeds = np.random.default_rng(2).normal(size=outputs.shape)
    tolerance = 1e-12 if dtype is np.float64 else 2e-5
    np.testing.assert_allclose(outputs, program.predict(theta, rows), rtol=tolerance, atol=tolerance)
    for found, expected in zip(pull(seeds), program.vjp(theta, rows, seeds), strict=True):
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", ["sparse", "dense"])
def test_results_stand_alone(name: str) -> None:
    """Changes of theta, inputs, outputs, seeds and of what a pull gave do not reach the next pull."""
    net = DOORS[name]()
    rows = np.random.default_rng(1).normal(size=(8, len(net.layout.input_columns)))
    theta = net.theta.copy()
    outputs, pull = gp.compile(net).linearize(theta, rows)
    seeds = np.random.default_rng(2).normal(size=outputs.shape)
    expected = gp.compile(net).linearize(net.theta.copy(), rows.copy())[1](seeds)
    theta[:], rows[:], outputs[:] = 0, 0, 0
    for array in pull(seeds):
        array[:] = 7
    for found, right in zip(pull(seeds), expected, strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize("samples", [8, 900])
@pytest.mark.parametrize("name", ["sparse", "dense"])
def test_pulls_on_many_threads_have_the_same_bits(name: str, samples: int, threads: int) -> None:
    net = DOORS[name]()
    rows = np.random.default_rng(1).normal(size=(samples, len(net.layout.input_columns)))
    outputs, pull = gp.compile(net).linearize(net.theta, rows)
    seeds = [np.random.default_rng(k).normal(size=outputs.shape) for k in range(8)]
    gp.set_threads(1)
    expected = [pull(seed) for seed in seeds]
    gp.set_threads(2)
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(pull, seeds), expected, strict=True):
            assert all(map(np.array_equal, found, right))


def test_one_sample_is_a_row() -> None:
    net = gp.mlp([3, 4, 2], seed=11)
    outputs, pull = gp.compile(net).linearize(net.theta, [0.1, 0.2, 0.3])
    assert outputs.shape == (2,)
    gradient, by_inputs = pull([1.0, 0.0])
    assert gradient.shape == net.theta.shape
    assert by_inputs.shape == (3,)


@pytest.mark.parametrize("samples", [3, 300])
def test_seeds_may_be_of_any_node_as_for_vjp(samples: int) -> None:
    net = gp.mlp([3, 4, 2], seed=11)
    rows = np.random.default_rng(0).normal(size=(samples, 3))
    hidden = net.nodes[3]
    _, pull = gp.compile(net).linearize(net.theta, rows)
    seeds = {hidden: np.ones(samples)}
    for found, expected in zip(pull(seeds), gp.compile(net).vjp(net.theta, rows, seeds), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_masks_and_activations_in_python_go_the_general_way() -> None:
    masks = gp.Network()
    masks.add_input("x", size=2)
    masks.add_node("y", "log_softmax", {"x": np.ones((3, 2))}, [0.0, -np.inf, 1.0], size=3)
    in_python = gp.Network()
    in_python.add_input("x", size=2)
    own = gp.Activation("own", lambda a: [a * a][0], lambda a, o: [2 * a][0])
    in_python.add_node("y", own, {"x": np.ones((3, 2))}, size=3)
    assert gp.compile(in_python).calls_python(float)
    for net in (masks, in_python):
        rows = np.random.default_rng(0).normal(size=(5, 2))
        outputs, pull = gp.compile(net).linearize(net.theta, rows)
        seeds = np.where(np.isfinite(outputs), 1.5, 0.0)
        assert np.array_equal(outputs, gp.compile(net).predict(net.theta, rows))
        for found, expected in zip(pull(seeds), gp.compile(net).vjp(net.theta, rows, seeds), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_bad_input_is_told() -> None:
    net = gp.mlp([3, 4, 2], seed=0)
    program = gp.compile(net)
    _, pull = program.linearize(net.theta, np.ones((2, 3)))
    with pytest.raises(gp.GraphpropError, match=r"seeds: the array has shape \(2, 3\); it should have \(2, 2\)"):
        pull(np.ones((2, 3)))
    with pytest.raises(gp.GraphpropError, match="not finite: nan"):
        pull(np.full((2, 2), np.nan))
    with pytest.raises(gp.GraphpropError, match="unknown node 'w'"):
        pull({"w": [1.0, 1.0]})
    with pytest.raises(gp.GraphpropError, match="overflows"):
        pull(np.full((2, 2), 1e308) * [1.0, 1.7])
    with pytest.raises(gp.GraphpropError, match="inputs is nan"):
        program.linearize(net.theta, np.full((2, 3), np.nan))
    with pytest.raises(gp.GraphpropError, match="theta has shape"):
        program.linearize(net.theta[1:], np.ones((2, 3)))
    with pytest.raises(gp.GraphpropError, match=r"theta\[0\].* is nan"):
        program.linearize(np.full_like(net.theta, np.nan), np.ones((2, 3)))
