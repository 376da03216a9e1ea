"""Very many nodes in a row, through every operation of a program."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.lowering import towards
from tests.cases import one_of


def chain(length: int) -> gp.Program:
    """Each node reads the one before it and the one nine before that."""
    before, skip = np.arange(length), np.arange(length - 9)
    source, target = np.concatenate([before, skip]), np.concatenate([before + 1, skip + 10])
    kinds = np.where(np.arange(length) % 1000, "identity", "tanh")
    return gp.Program.from_edges(1, source, target, kinds)


def weights(length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Each node is the mean of what it reads, so that nothing grows or fades."""
    first = np.full(length, 0.5)
    first[:9] = 1.0
    return np.concatenate([first, np.full(length - 9, 0.5)])


def by_loops(length: int, x: float) -> tuple[list[float], list[float]]:
    """Outputs, and derivatives of the last by each, written out in plain Python."""
    o = [x]
    for v in range(1, length + 1):
        a = 0.5 * (o[v - 1] + o[v - 10]) if v >= 10 else o[v - 1]
        o.append(float(np.tanh(a)) if (v - 1) % 1000 == 0 else a)
    g = [0.0] * length + [1.0]
    for v in range(length, 0, -1):
        d = g[v] * (1 - o[v] ** 2 if (v - 1) % 1000 == 0 else 1.0)
        g[v - 1] += (0.5 if v >= 10 else 1.0) * d
        if v >= 10:
            g[v - 10] += 0.5 * d
    return o, g


@pytest.mark.parametrize("length", one_of(2, (100_000, 1_000_000)))
def test_a_very_long_chain_of_nodes(length: int) -> None:
    theta, program = weights(length), chain(length)
    sizes = f"{length + 1} nodes, {2 * length - 9} edges, {length + 1} levels, 0 dense blocks"
    assert repr(program).startswith(f"<Program: {sizes}")
    assert len(program) == length + 1
    o, g = by_loops(length, 0.5)
    assert abs(program.predict(theta, [0.5])[0] / o[-1] - 1) < 1e-12
    value, gradient = program.value_and_grad(theta, [[0.5]], [[0.0]], loss="half_squared")
    assert abs(value / (o[-1] ** 2 / 2) - 1) < 1e-12
    assert abs(gradient[0] / (o[-1] * g[1] * (1 - o[1] ** 2) * 0.5) - 1) < 1e-10
    by_theta, by_input = program.vjp(theta, [0.5], [1.0])
    assert abs(by_input[0] / g[0] - 1) < 1e-10
    assert np.abs(by_theta * o[-1] - gradient).max() <= 1e-12 * np.abs(gradient).max()
    trace = program.forward(theta, [0.5])
    assert np.abs(trace.o_flat[0] - o).max() < 1e-13
    found = program.backward(trace, length)
    assert np.abs(found.o_flat[0] - g).max() < 1e-10 * max(g)
    assert len(repr(trace) + repr(found) + trace._repr_html_()) < 100_000
    half = towards(program.schedule, (length // 2,))
    assert len(half.nodes) == length // 2 + 1
    other = pickle.loads(pickle.dumps(program))
    assert other.predict(theta, [0.5]) == program.predict(theta, [0.5])


def test_a_chain_of_20_000_nodes_as_a_network() -> None:
    length = 20_000
    program = chain(length)
    net = program.to_network()
    assert len(net) == length + 1
    net.theta = weights(length)
    o, g = by_loops(length, 0.5)
    trace = net.forward([0.5])
    assert abs(trace.o[length] / o[-1] - 1) < 1e-12
    assert abs(net.backward(trace, length).input[0] / g[0] - 1) < 1e-11
    assert gp.compile(net).predict(net.theta, [0.5]) == program.predict(net.theta, [0.5])
