"""Graphs that share nothing but inputs: each piece reads the columns of X for itself, and none is copied before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import lowering, tiles
from tests.absolute_terms import roundings
from tests.against_recursion import (
    assert_close,
    assert_same_descent,
    assert_same_gradients,
    assert_same_outputs,
    assert_same_pull,
    assert_same_trace,
)

KINDS = ("tanh", "sin", "sigmoid", "max", "logsumexp", "mean")
OWN = gp.Activation("cubed", lambda a: float(str(a)) ** 3, lambda a, o: 3 * a * a)  # texts are read by Python alone


def member(seed: int, own: bool = False) -> gp.Network:
    """A random network that reads some of the inputs x, pair (two numbers), y and z; not all read the same."""
    rng = np.random.default_rng(seed)
    net = gp.Network()
    net.add_input("x")
    if seed % 3:
        net.add_input("pair", size=2)
    for name in ("y", "z")[seed % 2 :]:
        net.add_input(name)
    names = [name for name in net.nodes if name != "pair"]
    if seed % 3:
        net.add_node("first", "tanh", {"pair": rng.normal(size=2), "x": 0.5})
        names.append("first")
    for i in range(5):
        picked = rng.choice(len(names), size=min(len(names), 3), replace=False)
        weights = {names[j]: rng.normal() for j in picked}
        net.add_node(i, OWN if own and i == 3 else KINDS[rng.integers(6)], weights)
        names.append(i)
    net.set_outputs([names[-1], names[-2]])
    return net


def population(count: int = 9, own: bool = False) -> gp.Network:
    return gp.union({k: member(k, own) for k in range(count)}, share_inputs=True)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "PIECE", 30)
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 13)
    monkeypatch.setattr(tiles, "PART_WORK", 500)


def given(net: gp.Network, samples: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(samples)
    target = rng.normal(size=(samples, sum(map(net.output_size, net.outputs))))
    return rng.normal(size=(samples, len(net.layout.input_columns))), target


@pytest.mark.parametrize("own", [False, True], ids=["compiled", "in Python"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", [1, 3, 70])
def test_every_call_gives_what_the_recursion_does(samples: int, dtype: Any, own: bool) -> None:
    net = population(own=own)
    program, schedule = net.program, net.program.schedule
    assert len(schedule.pieces) - 1 > 3
    assert schedule.repeats_inputs
    assert program.calls_python(float) == own
    rows, target = given(net, samples)
    trace = gp.recursion.forward(net, rows)
    theta, X = net.theta.astype(dtype), rows.astype(dtype)
    assert_same_outputs(program.predict(theta, X), net, trace)
    expected = gp.recursion.backpropagate(net, trace, loss="half_squared", target=target)
    for more in (X, X.tolist()):
        assert_same_descent(program.value_and_grad(theta, more, target, loss="half_squared"), expected)
    seeds = {name: target[:, i] for i, name in enumerate(net.outputs)}
    pulled = gp.recursion.backpropagate(net, trace, seed=seeds)
    assert_same_pull(program.vjp(theta, X, target), pulled)
    outputs, pull = program.linearize(theta, X)
    assert_same_outputs(outputs, net, trace)
    assert_same_pull(pull(target), pulled)


@pytest.mark.parametrize("samples", [1, 70])
def test_traces_and_gradients_add_up_what_each_piece_gives_an_input(samples: int) -> None:
    net = population()
    rows, target = given(net, samples)
    trace = assert_same_trace(net, rows)
    expected = assert_same_gradients(net, trace, loss="half_squared", target=target)
    assert_same_gradients(net, trace, node=net.outputs[3])
    found = net.backward(net.forward(rows), loss="half_squared", target=target)
    assert found.calls == expected.calls == len(net.program)


def test_one_sample_by_name_is_read_by_all() -> None:
    net = population()
    inputs = {"x": 0.5, "pair": [1.0, -1.0], "y": 0.25, "z": -0.75}
    assert set(net.inputs) == set(inputs)
    assert_same_trace(net, inputs)
    g = net.backward(net.forward(inputs), seed=dict.fromkeys(net.outputs, 1.0))
    step = 1e-6
    up, down = (net.forward({**inputs, "x": 0.5 + s * step}).o for s in (1, -1))
    difference = sum(up[v] - down[v] for v in net.outputs) / (2 * step)
    assert np.isclose(g.input["x"], difference, rtol=1e-6)


def test_an_input_that_is_out_of_range_is_named_once() -> None:
    net = population()
    rows, target = given(net, 3)
    rows[1, 0] = 1e308
    theta = np.full(len(net.theta), 1e9)
    with pytest.raises(gp.NumberError, match=r"node \(.*sample 1"):
        net.program.value_and_grad(theta, rows, target, loss="half_squared")


def test_a_union_that_shares_inputs_is_the_disjoint_one_on_repeated_columns() -> None:
    nets = {k: member(k) for k in range(6)}
    shared, apart = gp.union(nets, share_inputs=True), gp.union(nets)
    assert shared.inputs == ("x", "y", "z", "pair")
    assert (shared.theta == apart.theta).all()
    rows, target = given(shared, 20)
    places, number = shared.layout.o_start, shared.layout.number
    column = {v: rows[:, np.searchsorted(shared.layout.input_columns, places[number[v]]) :] for v in shared.inputs}
    column = {v: columns[:, : shared.output_size(v)] for v, columns in column.items()}
    repeated = np.hstack([column[name] for _, name in apart.inputs])
    assert (shared.program.predict(shared.theta, rows) == apart.program.predict(shared.theta, repeated)).all()
    found = shared.program.value_and_grad(shared.theta, rows, target, loss="half_squared")
    other = apart.program.value_and_grad(shared.theta, repeated, target, loss="half_squared")
    assert_close(found[1], other[1], roundings(float), np.abs(other[1]).max())


def test_from_edges_many_heads_read_one_input() -> None:
    """A thousand graphs of two nodes, each with a head, on two columns."""
    count = 1000
    hidden, out = 2 + np.arange(count), 2 + count + np.arange(count)
    source = np.concatenate([np.zeros(count, int), np.ones(count, int), hidden])
    target = np.concatenate([hidden, hidden, out])
    program = gp.Program.from_edges(2, source, target, "tanh", outputs=out[:, None])
    assert program.schedule.repeats_inputs
    assert len(program) == 2 + 2 * count
    rng = np.random.default_rng(0)
    (u, v, w), X = rng.normal(size=(3, count)), rng.normal(size=(7, 2))
    found = program.predict(np.concatenate([u, v, w]), X)
    terms = np.abs(w) * (np.abs(X[:, :1] * u) + np.abs(X[:, 1:] * v))
    assert_close(found, np.tanh(w * np.tanh(X[:, :1] * u + X[:, 1:] * v)), roundings(float), terms)


def test_what_is_dense_within_a_piece_stays_one_block_for_all() -> None:
    towers = {k: gp.mlp([40, 40, 1], "tanh", "identity", seed=k) for k in range(2)}
    schedule = gp.union(towers, share_inputs=True).program.schedule
    assert not schedule.repeats_inputs
    assert schedule.is_dense


def test_an_input_that_is_an_output_holds_its_readers_together() -> None:
    net = population(4)
    net.set_outputs(*net.outputs[:4], "x")
    rows, target = given(net, 5)
    trace = assert_same_trace(net, rows)
    assert_same_outputs(net.program.predict(net.theta, rows), net, trace)
    assert_same_gradients(net, trace, loss="half_squared", target=target)


def wrong() -> dict[str, tuple[dict[Any, gp.Network], Any, str]]:
    wide, named = gp.Network(), gp.Network()
    wide.add_input("x", size=2)
    named.add_input(("a", "h"))
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 1.0})
    return {
        "size": ({"a": net, "b": wide}, True, "the input 'x' of 'b' has 2 components, another 1"),
        "name": ({"a": net, "b": named}, True, r"'b' has a node that is called \('a', 'h'\), as another one is"),
        "name first": ({"b": named, "a": net}, True, r"'a' has a node that is called \('a', 'h'\), as another"),
        "flag": ({"a": net}, 1, "share_inputs is True or False, not 1"),
    }


@pytest.mark.parametrize("what", list(wrong()))
def test_what_cannot_be_shared_is_said(what: str) -> None:
    nets, share, message = wrong()[what]
    with pytest.raises(gp.GraphpropError, match=message):
        gp.union(nets, share_inputs=share)
