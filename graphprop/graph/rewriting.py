"""Networks made from networks: expanded into scalars, repeated in time, put side by side.

The new network's nodes point to positions of theta, so that what was tied stays tied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_flag
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import cut_into_matrices
from graphprop.given.memory import NODE_BYTES, check_large
from graphprop.graph.graph import G, Graph, assemble, checked_graph
from graphprop.graph.layout import Array, Layout, Name, Node
from graphprop.graph.names import (
    checked_name,
)
from graphprop.graph.parameters import ABSENT, ParameterVector

Into = dict[Name, dict[Name, Array]]  # of each node, by parent, the positions of the weights


def expand(net: G) -> G:
    """The same network with each elementwise vector node v as scalar nodes (v, i), on the same theta."""
    net = net.copy()  # which no other thread changes
    layout = net.layout
    scalars = {
        v: [(v, i) for i in range(node.n)]
        for v, node in zip(layout.names, layout.nodes, strict=True)
        if node.vector and node.kind_of_function == "elementwise"
    }
    for v, names in scalars.items():
        for name in names:
            if name in layout.number:
                raise GraphpropError(f"node {v!r} cannot be expanded: there is a node {name!r} already")
    nodes: dict[Name, Node] = {}
    into: Into = {}
    for v, node, given in zip(layout.names, layout.nodes, _positions_into(layout, layout.names), strict=True):
        parents: dict[Name, Array] = {}
        for u, positions in given.items():
            if u in scalars:
                parents |= zip(scalars[u], np.split(positions, len(scalars[u]), axis=1), strict=True)
            else:
                parents[u] = positions
        if v not in scalars:
            nodes[v], into[v] = node, _without_empty(parents)
            continue
        for i, name in enumerate(scalars[v]):
            bias = None if node.bias is None or node.bias[i] < 0 else node.bias[[i]]
            nodes[name] = Node(node.activation, 1, 1, False, bias)
            into[name] = _without_empty({u: positions[[i]] for u, positions in parents.items()})
    order = (x for v in layout.order.tolist() for x in scalars.get(layout.names[v], [layout.names[v]]))
    result = assemble(type(net), nodes, into, order, _copied_vector(net), net.name)
    result.set_outputs(*(_as_given([x for v in head for x in scalars.get(v, [v])]) for head in layout.heads))
    return result


def _as_given(head: Sequence[Name]) -> Any:
    return list(head) if len(head) > 1 else head[0]


def _without_empty(parents: dict[Name, Array]) -> dict[Name, Array]:
    kept = {u: positions for u, positions in parents.items() if (positions >= 0).any()}
    return kept or dict(list(parents.items())[:1])  # a component that nothing flows into still belongs to its graph


def _positions_into(layout: Layout, names: Sequence[Name], shift: int = 0) -> list[dict[Name, Array]]:
    """Of each node the positions of its weights, shifted, by parent; the names are those of the new network."""
    into: list[dict[Name, Array]] = [{} for _ in names]
    blocks = layout.scatter_edges(layout.position + shift, ABSENT)
    for u, v, positions in zip(layout.edge_source.tolist(), layout.edge_target.tolist(), blocks, strict=True):
        into[v][names[u]] = positions
    return into


def _copied_vector(net: Graph) -> ParameterVector:
    return ParameterVector.of(net.theta, net.trainable, net.layout.parameters)


def from_layout(kind: type[G], layout: Layout) -> G:
    """The network that has this layout, with every parameter 0."""
    names = layout.names
    nodes = dict(zip(names, layout.nodes, strict=True))
    into = dict(zip(names, _positions_into(layout, names), strict=True))
    vector = ParameterVector.of(np.zeros(layout.size), names=layout.parameters)
    net = assemble(kind, nodes, into, (names[v] for v in layout.order.tolist()), vector)
    if layout.outputs_declared:
        net.set_outputs(*(_as_given(head) for head in layout.heads))
    return net


def unroll(cell: G, feedback: Mapping[Any, Any], steps: int) -> G:
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
    if not is_whole(steps, 1):
        raise GraphpropError(f"steps is a whole number of at least 1, not {steps!r}")
    if not isinstance(feedback, Mapping):
        raise GraphpropError(f"feedback is a mapping from nodes to the inputs they feed, not {feedback!r}")
    checked_graph(cell)
    cell = cell.copy()
    layout = cell.layout
    check_large(NODE_BYTES * int(steps) * len(layout.names), f"a network of {steps} steps")
    source: dict[Name, Name] = {}
    for node, name in feedback.items():
        feeding, fed = (layout.nodes[layout.find(v, "feedback: ")] for v in (node, name))
        if not fed.is_input:
            raise GraphpropError(f"feedback: {node!r} feeds {name!r}, which is no input")
        if feeding.m != fed.m:
            raise GraphpropError(f"feedback: {node!r} has {feeding.m} outputs, the input {name!r} has size {fed.m}")
        if name in source:
            raise GraphpropError(f"feedback: the input {name!r} is fed twice, by {source[name]!r} and {node!r}")
        source[name] = node
    of_cell = _positions_into(layout, layout.names)
    nodes: dict[Name, Node] = {}
    into: Into = {}
    at: dict[Name, Name] = {}  # what each node of the cell is in the present step
    heads: list[list[Name]] = []
    for t in range(steps):
        fed_by = {u: at[node] for u, node in source.items()} if t else {}
        at = {v: fed_by.get(v, (v, t)) for v in layout.names}
        for v, copied, parents in zip(layout.names, layout.nodes, of_cell, strict=True):
            if v not in fed_by:
                nodes[at[v]] = copied
                into[at[v]] = {at[u]: positions for u, positions in parents.items()}
        if layout.outputs_declared:
            heads += [[(v, t) for v in head if v not in fed_by] for head in layout.heads]
    order = [layout.names[v] for v in layout.order.tolist()]
    steps_in_order = ((v, t) for t in range(steps) for v in order if (v, t) in nodes)
    result = assemble(type(cell), nodes, into, steps_in_order, _copied_vector(cell), cell.name)
    result.set_outputs(*(_as_given(head) for head in heads if head))
    return result


def union(nets: Mapping[Any, Graph], kind: type[G], share_inputs: bool = False) -> G:
    """The disjoint union: nodes (name, v), parameters (name, p), and the thetas one behind the other.

    With `share_inputs` inputs keep their names, and those that have the same name are one.
    """
    if not isinstance(nets, Mapping):
        raise GraphpropError(f"union takes a mapping from names to networks, not {type(nets).__name__}")
    check_flag(share_inputs, "share_inputs")
    nets = {name: net.copy() if isinstance(net, Graph) else net for name, net in nets.items()}
    nodes: dict[Name, Node] = {}
    into: Into = {}
    order: dict[Name, None] = {}
    heads: list[Any] = []
    parameters: dict[Name, Array] = {}
    start = 0
    for name, net in ((checked_name(name), net) for name, net in nets.items()):
        if not isinstance(net, Graph):
            raise GraphpropError(f"union: {name!r} is no network")
        layout = net.layout
        keeps = [share_inputs and node.is_input for node in layout.nodes]
        names = [v if kept else (name, v) for v, kept in zip(layout.names, keeps, strict=True)]
        if share_inputs:
            _check_shared(nodes, dict(zip(names, layout.nodes, strict=True)), name)
        nodes.update(zip(names, _with_shifted_biases(layout.nodes, start), strict=True))
        into.update(zip(names, _positions_into(layout, names, start), strict=True))
        order |= {names[v]: None for v in layout.order.tolist() if names[v] not in order}
        heads += [_as_given([names[layout.number[v]] for v in head]) for head in layout.heads]
        parameters |= {(name, p): np.asarray(positions + start) for p, positions in layout.parameters.items()}
        start += layout.size
    theta = np.concatenate([np.empty(0), *(net.theta for net in nets.values())])
    trainable = np.concatenate([np.empty(0, dtype=bool), *(net.trainable for net in nets.values())])
    result = assemble(kind, nodes, into, order, ParameterVector.of(theta, trainable, parameters))
    result.set_outputs(*heads)
    return result


def _check_shared(nodes: Mapping[Name, Node], more: Mapping[Name, Node], where: Name) -> None:
    """Refuse an input of another size than that of its name before, and an input that is called as a node is."""
    for name, node in more.items():
        other = nodes.get(name, node)
        if not (other.is_input and node.is_input) and name in nodes:
            raise GraphpropError(f"union: {where!r} has a node that is called {name!r}, as another one is")
        if (other.m, other.vector) != (node.m, node.vector):
            raise GraphpropError(f"union: the input {name!r} of {where!r} has {node.m} components, another {other.m}")


def _with_shifted_biases(nodes: Sequence[Node], by: int) -> list[Node]:
    biases = [node.bias for node in nodes if node.bias is not None]
    flat = np.concatenate([np.empty(0, dtype=np.intp), *biases])
    shifted = iter(cut_into_matrices(np.where(flat >= 0, flat + by, flat), 1, [len(bias) for bias in biases]))
    return [
        node if node.bias is None else Node(node.activation, node.n, node.m, node.vector, next(shifted)[0])
        for node in nodes
    ]
