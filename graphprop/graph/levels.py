"""The nodes of a network by level, the weights that lead into each level as one dense matrix, and layers.

Inputs are level 0; every other node stands one above its highest parent. Levels are layers if each reads the one below
and no other. What is computed with them is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.functions.activation import Activation
from graphprop.given.arguments import is_whole
from graphprop.graph.graph import Graph, checked_graph, numbers_of
from graphprop.graph.layout import Array, Layout, Name
from graphprop.graph.wiring import frozen
from graphprop.notation.escaping import label

LIMIT = 2**30  # bytes


@dataclass(frozen=True, eq=False)
class Level:
    """a[rows] = W o[reads] + b and o[columns] = f(a[rows]), in the flat a and o of the layout.

    Use number j of the layout's weight uses is the entry W[entry_row[i], entry_column[i]], where uses[i] = j.
    """

    nodes: list[int]
    rows: Array
    columns: Array
    reads: Array
    W: Array
    b: Array
    uses: Array
    entry_row: Array
    entry_column: Array

    def spread(self, entries: Array, columns: Array) -> Array:
        """Numbers of the uses, as a matrix by these columns of o; 0 where the network has no entry."""
        matrix = np.zeros((len(self.rows), len(columns)))
        matrix[self.entry_row, np.searchsorted(columns, self.reads)[self.entry_column]] = entries
        return matrix


def build_levels(layout: Layout, theta: Array, limit: int) -> list[Level]:
    """All levels but that of the inputs, with dense matrices."""
    level = layout.level
    count = int(level.max(initial=0)) + 1
    row_level, column_level = level[layout.node_of_row], level[layout.node_of_column]
    use_level = row_level[layout.row]
    read = np.unique(use_level * len(column_level) + layout.column) // max(1, len(column_level))
    sizes = np.bincount(row_level, minlength=count) * np.bincount(read, minlength=count)
    jacobians = [node.n * node.m for node in layout.nodes if node.kind_of_function == "vector"]
    check_bytes(int(sizes.sum() + sizes.max() + max(jacobians, default=0)), limit)

    b = np.zeros(len(row_level))
    b[layout.bias_row] = theta[layout.bias_position]
    by_level = (_grouped(part, count) for part in (level, row_level, column_level, use_level))
    levels = []
    for nodes, rows, columns, uses in list(zip(*by_level, strict=True))[1:]:
        reads, entry_column = np.unique(layout.column[uses], return_inverse=True)
        entry_row = np.searchsorted(rows, layout.row[uses])
        W = np.zeros((len(rows), len(reads)))
        W[entry_row, entry_column] = theta[layout.position[uses]]
        levels.append(Level(nodes.tolist(), rows, columns, reads, W, b[rows], uses, entry_row, entry_column))
    return levels


def _grouped(level: Array, count: int) -> list[Array]:
    """For each level, the indices where it stands, ascending."""
    order = np.argsort(level, kind="stable")
    return np.split(order, np.searchsorted(level[order], np.arange(1, count)))


def check_bytes(numbers: int, limit: int) -> None:
    if not is_whole(limit):
        raise GraphpropError(f"limit is a whole number of bytes, not {limit!r}")
    if 8 * numbers > limit:
        raise LimitError(
            f"the matrices of this network take {8 * numbers:,} bytes, more than the limit of {limit:,}; raise limit=, "
            "or use net.forward and net.backward, which need none"
        )


# ------------------------------------------------------------------ layers


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """o[number] = activation(W o[number - 1] + b); an activation that is not elementwise acts on each node's part.

    Attributes
    ----------
    number : int
        Counted from 1; the inputs are o0.
    nodes : tuple of names
        Their components, one node behind the other, are the rows of W.
    W, b : arrays
        Copies. An entry that the network lacks is 0; b is None if no node of the layer has a bias.
    activation : Activation
    """

    number: int
    nodes: tuple[Name, ...]
    W: Array
    b: Array | None
    activation: Activation

    def __repr__(self) -> str:
        k, rows, columns = self.number, *self.W.shape
        bias = "" if self.b is None else f" + b{k}"
        formula = f"o{k} = {label(self.activation.name)}(W{k} o{k - 1}{bias})"
        nodes = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        return f"<layer {k}: {formula}, W{k} is {rows} x {columns}, {nodes}>"


def layers(net: Graph, *, limit: int = LIMIT) -> list[Layer]:
    """The layers of a network, whether it was declared neuron by neuron or layer by layer.

    A network has layers if every edge leads from one level to the next and the nodes of a level share an activation;
    for others there is an error that names the edge, or the nodes. `limit` is the size that the matrices may have, in
    bytes.

    Examples
    --------
    >>> import graphprop as gp
    >>> gp.matrixform.layers(gp.mlp([2, 3, 1], "tanh"))
    [<layer 1: o1 = tanh(W1 o0 + b1), W1 is 3 x 2, 3 nodes>, <layer 2: o2 = identity(W2 o1 + b2), W2 is 1 x 3, 1 node>]
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "tanh", {"x": 1.0})
    >>> net.add_node("y", "tanh", {"h": 1.0, "x": 0.5})
    >>> gp.matrixform.layers(net)
    Traceback (most recent call last):
    graphprop.errors.GraphpropError: the network has no layers: edge 'x' -> 'y' skips one, 'x' is in layer 0 and 'y' \
in layer 2; gp.matrixform.backpropagate takes it as it is
    """
    layout = checked_graph(net).layout
    theta = numbers_of(net, layout)
    layout.check_runnable()
    pairs = build_layers(layout, theta, limit)
    return [_as_layer(layout, theta, k, level, before) for k, (level, before) in enumerate(pairs, 1)]


def build_layers(layout: Layout, theta: Array, limit: int) -> list[tuple[Level, Array]]:
    """Each layer as a level, and the columns of o of the one before it; an error if the network has none."""
    check_layered(layout, "gp.matrixform.backpropagate takes it as it is")
    rows, columns = (np.bincount(layout.level[of]).tolist() for of in (layout.node_of_row, layout.node_of_column))
    check_bytes(sum(n * m for n, m in zip(rows[1:], columns, strict=False)), limit)
    levels = build_levels(layout, theta, limit)
    return list(zip(levels, [layout.input_columns, *(level.columns for level in levels)], strict=False))


def check_layered(layout: Layout, advice: str) -> None:
    """Refuse a network that has no layers, with the edge or the nodes that are in the way, and what to do instead."""
    level, names, nodes = layout.level, layout.names, layout.nodes
    for e in np.flatnonzero(level[layout.edge_target] - level[layout.edge_source] > 1).tolist():
        u, v = int(layout.edge_source[e]), int(layout.edge_target[e])
        raise GraphpropError(
            f"the network has no layers: edge {names[u]!r} -> {names[v]!r} skips one, {names[u]!r} is in layer "
            f"{level[u]} and {names[v]!r} in layer {level[v]}; {advice}"
        )
    first: dict[int, int] = {}
    for v, k in enumerate(level.tolist()):
        u = first.setdefault(k, v)
        if nodes[u].activation != nodes[v].activation:
            one, other = nodes[u].kind, nodes[v].kind
            if one == other:
                one, other = repr(nodes[u].activation), repr(nodes[v].activation)
            raise GraphpropError(
                f"the network has no layers: {names[u]!r} and {names[v]!r} are both in layer {k}, but one is {one} and "
                f"the other {other}; {advice}"
            )


def _as_layer(layout: Layout, theta: Array, k: int, level: Level, before: Array) -> Layer:
    f = layout.nodes[level.nodes[0]].activation
    assert f is not None
    names = tuple(layout.names[v] for v in level.nodes)
    W = level.spread(theta[layout.position[level.uses]], before)
    return Layer(k, names, frozen(W), frozen(level.b) if has_bias(layout, level) else None, f)


def has_bias(layout: Layout, level: Level) -> bool:
    return any(layout.nodes[v].bias is not None for v in level.nodes)
