"""Nothing recurses over the graph: a long chain of nodes through every operation, and how building grows."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import graphprop as gp
from tests.cases import one_of


def chain(length: int) -> gp.Network:
    net = gp.Network()
    net.add_input(0)
    for i in range(length):
        net.add_node(i + 1, "identity" if i % 1000 else "tanh", {i: 1.0})
    return net


@pytest.mark.parametrize("length", one_of(2, (20_000, 100_000)))
def test_a_long_chain_of_nodes(length: int) -> None:
    net = chain(length)
    trace = net.forward([0.5])
    o = 0.5
    for _ in range(length // 1000):
        o = np.tanh(o)
    assert abs(trace.o[length] - o) < 1e-14
    one = net.backward(trace, length)
    parents = gp.recursion.backpropagate(net, trace, length, form="parents", of=[1, length // 2])
    paths = gp.recursion.backpropagate(net, trace, length, form="paths")
    assert one.calls == length + 1
    assert abs(parents.gamma[1] / one.gamma[1] - 1) < 1e-13
    assert one.allclose(paths, rtol=1e-13)
    assert len(repr(one) + repr(trace) + one._repr_html_()) < 100_000

    other = pickle.loads(pickle.dumps(net.copy()))
    assert other.same_structure(net)
    other.randomize(seed=0)
    other.remove_edge(5, 6)
    other.add_edge(0, 6, 1.0)
    assert len(other.expand()) == length + 1
    assert len(gp.union({"a": net})) == length + 1
    assert other.forward([0.5]).o[5] is not None
    del net, trace, one, parents, paths, other


def test_a_cell_is_unrolled_for_10_000_steps() -> None:
    cell = gp.Network()
    cell.add_input("h")
    cell.add_node("next", "tanh", {"h": 0.9}, bias=0.1)
    net = gp.unroll(cell, {"next": "h"}, steps=10_000)
    g = net.backward(net.forward([0.5]), ("next", 9_999))
    assert len(net.theta) == 2
    assert np.isfinite(g.theta).all()
