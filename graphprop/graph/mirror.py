"""The graph of a network as a `networkx.DiGraph` that follows its changes.

networkx changes a graph in several steps. Here they become steps that are taken together with those of the network, on
the dicts that networkx and all its views read. The weights stay where they are, in theta: an edge reads them when it is
asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from graphprop.atomic.steps import Steps
from graphprop.errors import GraphpropError
from graphprop.graph.parameters import ParameterVector, total

if TYPE_CHECKING:
    import networkx as nx

Name = Any
Into = Mapping[Name, Mapping[Name, Any]]  # of v, by parent u: the positions of the weights


class EdgeAttributes(Mapping[str, Any]):
    """The attributes of an edge: its weight as it is now, the sum of its numbers if it has several."""

    __slots__ = ("_parents", "_u", "_vector")

    def __init__(self, vector: ParameterVector, parents: Mapping[Name, Any], u: Name) -> None:
        self._vector, self._parents, self._u = vector, parents, u

    def __getitem__(self, key: str) -> float:
        if key != "weight":
            raise KeyError(key)
        return total(self._vector.values, self._parents[self._u])

    def __iter__(self) -> Iterator[str]:
        return iter(("weight",))

    def __len__(self) -> int:
        return 1

    def copy(self) -> dict[str, Any]:
        """A dict of its own, as networkx asks of every edge of a graph that is copied."""
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        told = "net.set_weight changes a weight; net.to_networkx() is a graph of its own"
        raise GraphpropError(f"the edges of net.graph are those of the network: {told}")

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = _refuse

    def __repr__(self) -> str:
        return repr(dict(self))


class Mirror:
    """Of nodes with their kinds, and of their children in the order in which the edges were made."""

    def __init__(
        self, kinds: Mapping[Name, str], children: Mapping[Name, Iterable[Name]], into: Into, vector: ParameterVector
    ) -> None:
        import networkx as nx

        graph: Any = nx.DiGraph()
        graph.add_nodes_from((v, {"kind": kind}) for v, kind in kinds.items())
        for v, parents in into.items():
            graph._pred[v].update({u: EdgeAttributes(vector, parents, u) for u in parents})
        for u, table in graph._succ.items():
            table.update({v: graph._pred[v][u] for v in children[u]})
        self._graph, self._vector = graph, vector

    def view(self) -> nx.DiGraph[Name]:
        """The graph, frozen; it follows later changes."""
        import networkx as nx

        view: nx.DiGraph[Name] = nx.freeze(nx.graphviews.generic_graph_view(self._graph))
        return view

    def add_node(self, v: Name, kind: str, parents: Mapping[Name, Any]) -> Steps:
        graph = self._graph
        edges = {u: EdgeAttributes(self._vector, parents, u) for u in parents}
        entries: Any = (graph._node, {"kind": kind}), (graph._succ, {}), (graph._pred, edges)
        into = [(graph._succ[u].__setitem__, v, attributes) for u, attributes in edges.items()]
        return [*((table.__setitem__, v, entry) for table, entry in entries), *into]

    def add_edge(self, u: Name, v: Name, parents: Mapping[Name, Any]) -> Steps:
        """`parents` has the positions of its weights when it is there."""
        graph = self._graph
        attributes = EdgeAttributes(self._vector, parents, u)  # one for both directions, as networkx has it
        return [(graph._succ[u].__setitem__, v, attributes), (graph._pred[v].__setitem__, u, attributes)]

    def remove_edge(self, u: Name, v: Name) -> Steps:
        graph = self._graph
        return [(graph._succ[u].pop, v), (graph._pred[v].pop, u)]

    def remove_node(self, v: Name) -> Steps:
        """Of a node whose edges are removed by themselves."""
        graph = self._graph
        return [(table.pop, v) for table in (graph._succ, graph._pred, graph._node)]
