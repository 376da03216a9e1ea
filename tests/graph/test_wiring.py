"""What a layout answers about its arrays is what the network says by names, and networkx of the graph."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.random_graphs import graphs


@given(graphs())
def test_each_row_and_column_belongs_to_the_node_whose_slice_holds_it(case: tuple[gp.Network, object]) -> None:
    layout = case[0].layout
    for v, node in enumerate(layout.nodes):
        rows, columns = layout.a_slice(v), layout.o_slice(v)
        assert layout.node_of_row[rows].tolist() == [v] * node.n
        assert layout.node_of_column[columns].tolist() == [v] * node.m
        assert [layout.at_row(layout.row_of(v, i)) for i in range(node.n)] == [(v, i) for i in range(node.n)]
        assert [layout.at_column(layout.column_of(v, k)) for k in range(node.m)] == [(v, k) for k in range(node.m)]
    some = list(range(len(layout.names)))[::-2]
    assert layout.rows_of(some).tolist() == [r for v in some for r in range(*layout.a_start[v : v + 2])]
    assert layout.columns_of(some).tolist() == [c for v in some for c in range(*layout.o_start[v : v + 2])]
    assert layout.rows_of([]).size == 0


@given(graphs())
def test_each_use_is_an_entry_of_its_edge(case: tuple[gp.Network, object]) -> None:
    net = case[0]
    layout, numbers = net.layout, np.arange(len(net.layout.row))
    for e, (u, v) in enumerate(net.edges):
        matrix = layout.scatter_edge(e, numbers, -1)
        present = ~np.isnan(np.reshape(net.weight(u, v), matrix.shape))
        assert (present == (matrix >= 0)).all()
        assert (layout.edge_of_use[matrix[present]] == e).all()
        for i, k in np.argwhere(present).tolist():
            row, column = layout.row_of(layout.find(v), i), layout.column_of(layout.find(u), k)
            assert matrix[i, k] in layout.uses_into(row)
            assert matrix[i, k] in layout.uses_of_column(column)
            assert np.reshape(net.weight(u, v), matrix.shape)[i, k] == net.theta[layout.position[matrix[i, k]]]
    assert sorted(use for row in range(int(layout.a_start[-1])) for use in layout.uses_into(row)) == numbers.tolist()
    into = [numbers[layout.node_slice(v)].tolist() for v in range(len(layout.names))]
    assert [use for uses in into for use in uses] == numbers.tolist()
    for v, uses in enumerate(into):
        assert layout.node_of_row[layout.row[uses]].tolist() == [v] * len(uses)


@given(graphs())
def test_biases_stand_where_the_network_has_them(case: tuple[gp.Network, object]) -> None:
    net = case[0]
    layout = net.layout
    for v, name in enumerate(net.nodes):
        if layout.nodes[v].is_input:
            continue
        uses = [layout.bias_into(layout.row_of(v, i)) for i in range(layout.nodes[v].n)]
        told = [np.nan if use is None else net.theta[layout.bias_position[use]] for use in uses]
        np.testing.assert_array_equal(np.ravel(net.bias(name)), told)
        span = layout.bias_slice(v)
        assert [use for use in uses if use is not None] == list(range(span.start, span.stop))


@given(graphs())
def test_uses_of_a_position_add_up(case: tuple[gp.Network, object]) -> None:
    layout = case[0].layout
    weights, biases = 1.0 + np.arange(len(layout.row)), -1.0 - np.arange(len(layout.bias_row))
    total = layout.sum_of_uses(weights, biases)
    for position in range(layout.size):
        own_weights, own_biases = layout.uses_of_position(position)
        assert layout.count_of_uses[position] == len(own_weights) + len(own_biases)
        assert total[position] == sum(weights[own_weights].tolist()) + sum(biases[own_biases].tolist())
    assert layout.count_of_uses.sum() == len(layout.row) + len(layout.bias_row)
    assert layout.fan_in.sum() == layout.fan_out.sum() == len(layout.row)


@given(st.data())
def test_ancestors_descendants_and_levels_are_those_of_the_graph(data: st.DataObject) -> None:
    net, _ = data.draw(graphs())
    layout, graph = net.layout, net.graph
    nodes = st.lists(st.sampled_from(net.nodes), max_size=3, unique=True)
    sources, targets = data.draw(nodes), data.draw(nodes)
    ahead = set(sources).union(*(nx.descendants(graph, v) for v in sources))
    behind = set(targets).union(*(nx.ancestors(graph, v) for v in targets))
    from_sources, from_targets = (list(map(layout.find, names)) for names in (sources, targets))
    assert {layout.names[v] for v in layout.descendants(from_sources)} == ahead
    assert {layout.names[v] for v in layout.ancestors(from_targets)} == behind
    between = [layout.names[v] for v in layout.between(from_sources, from_targets)]
    assert between == [layout.names[v] for v in layout.order.tolist() if layout.names[v] in ahead & behind]
    for v, name in enumerate(net.nodes):
        assert [layout.names[u] for u in layout.parents[v]] == list(net.parents(name))
        assert {layout.names[u] for u in layout.children[v]} == set(net.children(name))
        before = graph.subgraph({name} | nx.ancestors(graph, name))
        assert layout.level[v] == nx.dag_longest_path_length(before, weight=None)
