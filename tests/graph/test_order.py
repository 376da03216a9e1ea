"""The incremental topological order, against networkx on random sequences of edges."""

from __future__ import annotations

import itertools

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.atomic.steps import take
from graphprop.graph import order as order_module
from graphprop.graph.order import TopologicalOrder

EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] != e[1]), max_size=60)


def admit_all(edges: list[tuple[int, int]]) -> None:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(12))
    order = TopologicalOrder(range(12))
    for u, v in edges:
        before = list(order)
        path, steps = order.admit(u, v, graph.succ.__getitem__, graph.pred.__getitem__)
        assert list(order) == before
        take(steps)
        assert (path is None) == (not nx.has_path(graph, v, u))
        if path is None:
            graph.add_edge(u, v)
        else:
            assert path[0] == v
            assert path[-1] == u
            assert all(graph.has_edge(*pair) for pair in itertools.pairwise(path))
        place = {node: i for i, node in enumerate(order)}
        assert len(place) == 12
        assert all(place[p] < place[q] for p, q in graph.edges)


@given(EDGES)
def test_it_stays_topological_and_finds_every_cycle(edges: list[tuple[int, int]]) -> None:
    admit_all(edges)


@given(EDGES)
def test_also_when_labels_run_out(edges: list[tuple[int, int]]) -> None:
    spacing, order_module._SPACING = order_module._SPACING, 2
    try:
        admit_all(edges)
    finally:
        order_module._SPACING = spacing


def test_building_backwards_is_as_good_as_forwards() -> None:
    """Counts the edges looked at, which is what would grow with the square of the length."""
    looked = 0

    def counted(neighbours: object) -> object:
        def look(v: int) -> list[int]:
            nonlocal looked
            looked += 1
            return list(neighbours[v])

        return look

    for backwards in (False, True):
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(2000))
        order = TopologicalOrder(range(2000))
        for i in range(1999):
            edge = (i + 1, i) if backwards else (i, i + 1)
            path, steps = order.admit(*edge, counted(graph.succ), counted(graph.pred))
            assert path is None
            take(steps)
            graph.add_edge(*edge)
    assert looked < 10_000


def test_a_network_keeps_the_order() -> None:
    net = gp.Network()
    for v in range(5):
        net.add_node(v, "tanh")
    for u, v in ((4, 3), (3, 2), (2, 1), (1, 0)):
        net.add_edge(u, v, 1.0)
    assert [net.layout.names[i] for i in net.layout.order] == [4, 3, 2, 1, 0]
