"""Addresses: every number of both passes has one place and one name, under which results give it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.passes.addresses import KINDS, Addresses, of_gradients, of_trace
from tests.random_graphs import graphs, is_array, objectives


def spread(symbol: str, values: Any, several: bool, batched: bool) -> dict[str, float]:
    """Numbers of one node by name, as results give them."""
    rows = np.asarray(values, float) if batched else np.asarray(values, float)[None]
    rows = rows.reshape(len(rows), -1)
    return {
        symbol + (f"[{i}]" if several else "") + (f" of sample {s}" if batched else ""): rows[s, i]
        for s, i in np.ndindex(rows.shape)
    }


def by_name(net: gp.Network, trace: gp.Trace, g: gp.Gradients) -> dict[str, dict[str, float]]:
    """Of each kind but theta all numbers, asked for by the names of nodes and edges."""
    layout, found = net.layout, {kind: dict[str, float]() for kind in KINDS}
    found["value"]["value"] = g.value
    for v in net.nodes:
        node = layout.nodes[layout.find(v)]
        n, m = node.n > 1, node.m > 1
        found["o"] |= spread(f"o[{v}]", trace.o[v], m, trace.batched)
        found["obar"] |= spread(f"{'input' if node.is_input else 'obar'}[{v}]", g.o[v], m, trace.batched)
        if not node.is_input:
            symbol, values = ("delta", g.delta) if node.vector else ("gamma", g.gamma)
            found["a"] |= spread(f"a[{v}]", trace.a[v], n, trace.batched)
            found["delta"] |= spread(f"{symbol}[{v}]", values[v], n, trace.batched)
        if v in g.bias:
            biases = spread(f"b[{v}]", g.bias[v], n, False)
            found["bias"] |= {name: x for name, x in biases.items() if not np.isnan(x)}
    for u, v in net.edges:
        n, m = layout.edge_shape(layout.find_edge(u, v))
        matrix = np.reshape(g.weight[u, v], (n, m))
        for i, k in np.argwhere(~np.isnan(matrix)).tolist():
            source = f"{u}[{k}]" if m > 1 else u
            found["weight"][f"w({f'{i}, ' if n > 1 else ''}{source}, {v})"] = matrix[i, k]
    return found


@given(st.data())
def test_each_place_of_a_kind_holds_the_number_that_results_give_by_its_name(data: st.DataObject) -> None:
    net, inputs = data.draw(graphs())
    batched = data.draw(st.booleans())
    if batched:
        inputs = {name: [x, x] for name, x in inputs.items()}
        trace = net.forward(inputs)
        shape = {v: (2, net.output_size(v)) if is_array(net, v) else 2 for v in net.outputs}
        g = net.backward(trace, seed={v: np.random.default_rng(0).normal(size=shape[v]) for v in net.outputs})
    else:
        trace = net.forward(inputs)
        g = net.backward(trace, **data.draw(objectives(net)))
    addresses, numbers = Addresses(net.layout, trace.samples, batched), of_trace(trace) | of_gradients(g)
    for kind, expected in by_name(net, trace, g).items():
        flat = np.ravel(numbers[kind])
        assert flat.size == addresses.places(kind).size
        if kind != "theta":
            assert {addresses.label(kind, i): x for i, x in enumerate(flat.tolist())} == expected
    packed = addresses.pack(**numbers)
    assert packed.size == addresses.size
    for entry, x in enumerate(packed.tolist()):
        kind, place = addresses.at(entry)
        assert x == np.ravel(numbers[kind])[place]
        assert entry in range(addresses.size)[addresses.span(kind)]
        assert addresses.label_entry(entry) == addresses.label(kind, place)


def tied() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=2)
    net.parameter("unused", 1.0)
    w = net.parameter("w", 0.5)
    net.add_node("h", "softmax", {"x": [[w, 1.0], [None, 2.0]]}, [w, None], size=2)
    net.add_node("y", "tanh", {"h": [1.0, w]})
    return net


@pytest.mark.parametrize("batched", [False, True])
def test_theta_has_entries_for_what_is_no_single_use_alone(batched: bool) -> None:
    net = tied()
    addresses = Addresses(net.layout, 2 if batched else 1, batched)
    assert [addresses.label_entry(i) for i in range(addresses.size)[addresses.span("theta")]] == ["unused", "w"]
    assert net.layout.count_of_uses.tolist() == [0, 3, 1, 1, 1]


def test_a_number_belongs_to_the_node_that_uses_it_if_it_is_but_one() -> None:
    net = tied()
    addresses, name = Addresses(net.layout, 2, True), net.layout.names
    of = {kind: [addresses.node(kind, i) for i in addresses.places(kind).ravel().tolist()] for kind in KINDS}
    nodes = {kind: [None if v is None else name[v] for v in numbers] for kind, numbers in of.items()}
    assert nodes["value"] == [None]
    assert nodes["a"] == nodes["delta"] == ["h", "h", "y"] * 2
    assert nodes["o"] == nodes["obar"] == ["x", "x", "h", "h", "y"] * 2
    assert nodes["weight"] == ["h"] * 3 + ["y"] * 2
    assert nodes["bias"] == ["h"]
    assert nodes["theta"] == [None, None, "h", "h", "y"]
