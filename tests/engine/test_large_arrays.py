"""A graph that only arrays can hold: a million edges, reducing nodes, ties, masks and names, in every call."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.engine.array_cases import array_graph, declared

BYTES = 600  # for an edge, in any of the calls


def bounded(call: Callable[[], Any], edges: int) -> Any:
    tracemalloc.start()
    try:
        found = call()
        assert tracemalloc.get_traced_memory()[1] < BYTES * edges
    finally:
        tracemalloc.stop()
    return found


@pytest.mark.parametrize("nodes", [400, pytest.param(200_000, marks=pytest.mark.thorough)])
def test_every_call_of_a_large_graph_gives_the_bits_of_the_network_declared_node_by_node(
    nodes: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    made = array_graph(rng, 20, nodes, most=9, tied=True)
    edges = len(made["source"])
    program = bounded(lambda: gp.Program.from_edges(**made), max(edges, 100_000))
    bounded(lambda: program.save(tmp_path / "graph"), max(edges, 100_000))
    again = bounded(lambda: gp.load(tmp_path / "graph"), max(edges, 100_000))
    assert again.layout.same_structure(program.layout)
    size = program.layout.size
    theta = rng.normal(size=size) / 2
    maskable = np.flatnonzero(program.layout.maskable)
    masked = _one_of_each(program, maskable)
    assert len(masked) > 2
    theta[masked] = -np.inf
    net = declared(made, size)
    for name in (
        "order",
        "a_start",
        "o_start",
        "edge_source",
        "edge_target",
        "edge_start",
        "row",
        "column",
        "position",
    ):
        assert same(getattr(program.layout, name), getattr(net.layout, name))
    assert program.layout.heads == net.layout.heads
    assert program.layout.same_structure(program.to_network().layout)
    net.theta = theta
    own = gp.compile(net)
    rows, target = rng.normal(size=(2, 20)), rng.normal(size=(2, len(net.outputs)))
    for each in (program, again):
        assert same(each.predict(theta, rows), own.predict(theta, rows))
        goal = {"loss": "half_squared"}
        value, gradient = each.value_and_grad(theta, rows, target, **goal)
        expected, by_theta = own.value_and_grad(theta, rows, target, **goal)
        assert value == expected
        assert same(gradient, by_theta)
        for found, wanted in zip(each.vjp(theta, rows, target), own.vjp(theta, rows, target), strict=True):
            assert same(found, wanted)
        trace, expected_trace = each.forward(theta, rows), net.forward(rows)
        assert same(trace.o_flat, expected_trace.o_flat)
        g, wanted = each.backward(trace, target=target, **goal), net.backward(expected_trace, target=target, **goal)
        for kind in ("a_flat", "o_flat", "weight_uses", "bias_uses", "theta"):
            assert same(getattr(g, kind), getattr(wanted, kind))
        name = made["names"][-1]
        assert same(trace.o[name], expected_trace.o[name])


def _one_of_each(program: gp.Program, maskable: Any) -> Any:
    """Biases that can be masks: of each node that has several, one, so that something is left."""
    layout = program.layout
    use = np.flatnonzero(np.isin(layout.bias_position, maskable))
    node = np.searchsorted(layout.a_start, layout.bias_row[use], side="right") - 1
    wide = np.diff(layout.a_start)[node] > 1
    _, first = np.unique(node[wide], return_index=True)
    return layout.bias_position[use[wide][first]]


def same(found: Any, expected: Any) -> bool:
    return bool(np.array_equal(found, expected, equal_nan=True))
