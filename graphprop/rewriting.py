"""Networks made from networks: expanded into scalars, repeated in time, put side by side.

The new network's nodes point to positions of theta, so that what was tied stays tied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.arguments import checked_name
from graphprop.errors import GraphpropError
from graphprop.layout import Array, Layout, Name, Node
from graphprop.network import Network
from graphprop.parameters import ABSENT


def expand(net: Network) -> Network:
    """The same network with each elementwise vector node v as scalar nodes (v, i), on the same theta."""
    nodes = net._nodes
    split = {v for v, node in nodes.items() if node.vector and node.kind_of_function == "elementwise"}
    for v in split:
        for i in range(nodes[v].n):
            if (v, i) in nodes:
                raise GraphpropError(f"node {v!r} cannot be expanded: there is a node {(v, i)!r} already")
    made: dict[Name, tuple[Node, Mapping[Name, Array]]] = {}
    for v, node in nodes.items():
        parents: dict[Name, Array] = {}
        for u, positions in net._into[v].items():
            if u in split:
                parents |= {(u, k): positions[:, [k]] for k in range(nodes[u].m)}
            else:
                parents[u] = positions
        if v not in split:
            made[v] = node, _without_empty(parents)
            continue
        for i in range(node.n):
            bias = None if node.bias is None or node.bias[i] < 0 else node.bias[[i]]
            row = {u: positions[[i]] for u, positions in parents.items()}
            made[v, i] = Node(node.activation, 1, 1, False, bias), _without_empty(row)
    result = net._empty_copy()
    result._fill(made, (x for v in net._order for x in ([(v, i) for i in range(nodes[v].n)] if v in split else [v])))
    heads = net.layout.heads
    result.set_outputs(*(list(_scalars(head, split, nodes)) if head[0] in split else _as_given(head) for head in heads))
    return result


def _scalars(head: tuple[Name, ...], split: set[Name], nodes: Mapping[Name, Node]) -> list[Name]:
    return [x for v in head for x in ([(v, i) for i in range(nodes[v].n)] if v in split else [v])]


def _as_given(head: tuple[Name, ...]) -> Any:
    return list(head) if len(head) > 1 else head[0]


def _without_empty(parents: Mapping[Name, Array]) -> dict[Name, Array]:
    kept = {u: positions for u, positions in parents.items() if (positions >= 0).any()}
    return kept or dict(list(parents.items())[:1])  # a component that nothing flows into still belongs to its graph


def from_layout(layout: Layout) -> Network:
    """The network that has this layout, with every parameter 0."""
    into: list[dict[Name, Array]] = [{} for _ in layout.names]
    for e, (u, v) in enumerate(zip(layout.edge_source.tolist(), layout.edge_target.tolist(), strict=True)):
        into[v][layout.names[u]] = layout.scatter_edge(e, layout.position, ABSENT)
    net = Network()
    net._vector.extend(np.zeros(layout.size))
    net._vector.names |= layout.parameters
    net._fill(
        {name: (node, into[v]) for v, (name, node) in enumerate(zip(layout.names, layout.nodes, strict=True))},
        (layout.names[v] for v in layout.order.tolist()),
    )
    if layout.outputs_declared:
        net.set_outputs(*(_as_given(head) for head in layout.heads))
    return net


def unroll(cell: Network, feedback: Mapping[Any, Any], steps: int) -> Network:
    """A network repeated in time, with shared parameters; the nodes of step t are (v, t).

    `feedback` maps nodes to inputs of the cell: ``{"h_next": "h"}`` lets the node h_next of one step be what the input
    h is in the next. Of the inputs that are fed, only those of step 0 remain. theta is that of the cell.

    >>> import graphprop as gp
    >>> cell = gp.Network()
    >>> cell.add_input("x")
    >>> cell.add_input("h")
    >>> cell.add_node("h_next", "tanh", {"x": 0.5, "h": 2.0})
    >>> net = gp.unroll(cell, {"h_next": "h"}, steps=3)
    >>> net.inputs
    (('x', 0), ('h', 0), ('x', 1), ('x', 2))
    >>> net.parents(("h_next", 2)), len(net.theta)
    ((('x', 2), ('h_next', 1)), 2)
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise GraphpropError(f"steps is a whole number of at least 1, not {steps!r}")
    if not isinstance(feedback, Mapping):
        raise GraphpropError(f"feedback is a mapping from nodes to the inputs they feed, not {feedback!r}")
    source: dict[Name, Name] = {}
    for node, name in feedback.items():
        feeding, fed = cell._node(node, "feedback: "), cell._node(name, "feedback: ")
        if not fed.is_input:
            raise GraphpropError(f"feedback: {node!r} feeds {name!r}, which is no input")
        if feeding.m != fed.m:
            raise GraphpropError(f"feedback: {node!r} has {feeding.m} outputs, the input {name!r} has size {fed.m}")
        if name in source:
            raise GraphpropError(f"feedback: the input {name!r} is fed twice, by {source[name]!r} and {node!r}")
        source[name] = node
    made: dict[Name, tuple[Node, Mapping[Name, Array]]] = {}
    at: dict[Name, Name] = {}  # what each node of the cell is in the present step
    heads: list[tuple[Name, ...]] = []
    for t in range(steps):
        fed_by = {u: at[node] for u, node in source.items()} if t else {}
        at = {v: fed_by.get(v, (v, t)) for v in cell._nodes}
        for v, node in cell._nodes.items():
            if v not in fed_by:
                made[v, t] = node, {at[u]: positions for u, positions in cell._into[v].items()}
        if cell.layout.outputs_declared:
            heads += [tuple((v, t) for v in head if v not in fed_by) for head in cell.layout.heads]
    result = cell._empty_copy()
    result._fill(made, ((v, t) for t in range(steps) for v in cell._order if (v, t) in made))
    result.set_outputs(*(_as_given(head) for head in heads if head))
    return result


def union(nets: Mapping[Any, Network]) -> Network:
    """The disjoint union: nodes (name, v), parameters (name, p), and the thetas one behind the other.

    >>> import graphprop as gp
    >>> one = gp.mlp([1, 2, 1], seed=1)
    >>> both = gp.union({"a": one, "b": one})
    >>> both
    <Network: 2 inputs, 6 nodes, 8 edges, 14 parameters>
    """
    if not isinstance(nets, Mapping):
        raise GraphpropError(f"union takes a mapping from names to networks, not {type(nets).__name__}")
    result = Network()
    heads: list[Any] = []
    order: list[Name] = []
    made: dict[Name, tuple[Node, Mapping[Name, Array]]] = {}
    for name, net in ((checked_name(name), net) for name, net in nets.items()):
        if not isinstance(net, Network):
            raise GraphpropError(f"union: {name!r} is no network")
        theta, trainable = net._vector.views()
        start = len(result._vector)
        result._vector.extend(theta)
        result.trainable[start:] = trainable
        for p, positions in net._vector.names.items():
            result._vector.names[name, p] = np.asarray(positions + start)
        for v, node in net._nodes.items():
            bias = None if node.bias is None else _shifted(node.bias, start)
            parents = {(name, u): _shifted(positions, start) for u, positions in net._into[v].items()}
            made[name, v] = Node(node.activation, node.n, node.m, node.vector, bias), parents
        order += [(name, v) for v in net._order]
        heads += [_as_given(tuple((name, v) for v in head)) for head in net.layout.heads]
    result._fill(made, order)
    result.set_outputs(*heads)
    return result


def _shifted(positions: Array, by: int) -> Array:
    return np.where(positions >= 0, positions + by, positions)
