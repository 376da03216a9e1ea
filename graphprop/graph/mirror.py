"""The graph of a network as a `networkx.DiGraph` that follows its changes.

networkx changes a graph in several steps. Here they become steps that are taken together with those of the network, on
the dicts that networkx and all its views read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graphprop.atomic.steps import Steps

if TYPE_CHECKING:
    import networkx as nx

Name = Any
Edge = tuple[Name, Name]


class Mirror:
    """Of nodes with their kinds, and of their children in the order in which the edges were made."""

    def __init__(
        self, kinds: Mapping[Name, str], children: Mapping[Name, Iterable[Name]], edges: Iterable[Edge]
    ) -> None:
        import networkx as nx

        graph: nx.DiGraph[Name] = nx.DiGraph()
        graph.add_nodes_from((v, {"kind": kind}) for v, kind in kinds.items())
        graph.add_edges_from(edges)
        for u, attributes in graph.adjacency():
            for v in children[u]:
                attributes[v] = attributes.pop(v)
        self._graph = graph

    def view(self) -> nx.DiGraph[Name]:
        """The graph, frozen; it follows later changes."""
        import networkx as nx

        view: nx.DiGraph[Name] = nx.freeze(nx.graphviews.generic_graph_view(self._graph))  # type: ignore[type-var]
        return view

    def add_node(self, v: Name, kind: str, parents: Iterable[Name]) -> Steps:
        graph: Any = self._graph
        edges: dict[Name, dict[str, Any]] = {u: {} for u in parents}
        entries: Any = (graph._node, {"kind": kind}), (graph._succ, {}), (graph._pred, edges)
        into = [(graph._succ[u].__setitem__, v, attributes) for u, attributes in edges.items()]
        return [*((table.__setitem__, v, entry) for table, entry in entries), *into]

    def add_edge(self, u: Name, v: Name) -> Steps:
        graph: Any = self._graph
        attributes: dict[str, Any] = {}  # one for both directions, as networkx has it
        return [(graph._succ[u].__setitem__, v, attributes), (graph._pred[v].__setitem__, u, attributes)]

    def remove_edge(self, u: Name, v: Name) -> Steps:
        graph: Any = self._graph
        return [(graph._succ[u].pop, v), (graph._pred[v].pop, u)]

    def remove_node(self, v: Name) -> Steps:
        """Of a node whose edges are removed by themselves."""
        graph: Any = self._graph
        return [(table.pop, v) for table in (graph._succ, graph._pred, graph._node)]
