"""A graph of named nodes over one flat vector theta, as it is read: its nodes, edges, numbers, and its frozen layout.

How it is built and changed is the matter of `graph.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, UnknownNameError, unknown
from graphprop.functions.activation import Activation
from graphprop.given.arrays import read_array, real_array
from graphprop.graph.columns import Columns, columns_of_biases, columns_of_weights
from graphprop.graph.layout import Array, Heads, Layout, Name, Node, default_heads, lay_out
from graphprop.graph.matrix_view import (
    block_matrix,
)
from graphprop.graph.mirror import Mirror
from graphprop.graph.order import TopologicalOrder
from graphprop.graph.parameters import ABSENT, Parameter, ParameterVector

if TYPE_CHECKING:
    import networkx as nx

Read = TypeVar("Read")
ATTEMPTS = 100  # to read a structure between two changes by another thread


class Structure:
    """The tables of a graph, and what is read of them, also while another thread changes them."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        if not isinstance(name, str):
            raise GraphpropError(f"the name of a network is a text, not {name!r}")
        self._nodes: dict[Name, Node] = {}
        self._into: dict[Name, dict[Name, Array]] = {}  # of v, by parent u: the positions of w(i,u,v), shaped (n, m)
        self._children: dict[Name, dict[Name, None]] = {}  # of u, in the order in which the edges were made
        self._mirror: Mirror | None = None  # once it was asked for
        self._order = TopologicalOrder()
        self._vector = ParameterVector()
        self._heads: Heads | None = None
        self._made: dict[str, Any] = {}  # the layout and the program; each change of the structure brings a new dict

    # ------------------------------------------------------------------ numbers

    @property
    def theta(self) -> Array:
        """All parameters, as a writable view: ``net.theta -= 0.1 * g.theta`` trains.

        Frozen ones are among them; ``net.theta -= 0.1 * g.theta * net.trainable`` leaves them alone.
        Positions are in order of creation and never move. When the network grows, older views are detached.
        """
        return self._vector.views()[0]

    @theta.setter
    def theta(self, values: ArrayLike) -> None:
        new = real_array(values, "theta")
        if new.shape != (len(self._vector),):
            raise GraphpropError(f"theta has shape ({len(self._vector)},), not {new.shape}")
        bad = self.layout.improper(new)
        if bad is not None:
            raise NumberError(
                f"theta[{bad}], {self.layout.label_position(bad)}, would be {new[bad]}; it must be finite"
            )
        self._vector.values[:] = new

    @property
    def trainable(self) -> Array:
        """Which numbers of theta are trainable, as a writable view; gradients are reported for all."""
        return self._vector.views()[1]

    @trainable.setter
    def trainable(self, flags: ArrayLike) -> None:
        new = read_array(flags, "trainable")
        if new.dtype != bool or new.shape not in ((), (len(self._vector),)):
            raise GraphpropError(f"trainable is True, False, or one of them for each of {len(self._vector)} parameters")
        self._vector.views()[1][:] = new

    @property
    def parameters(self) -> dict[Name, Parameter]:
        """The named parameters."""
        return {name: Parameter(self._vector, name, p) for name, p in self._vector.names.items()}

    def weight(self, u: Name, v: Name) -> Any:
        """The weight of an edge: a number, or an array without axes of length one; nan where an entry is absent.

        `set_weight` takes it back as it is. For a new edge None stands for such an entry, as nan would be a mistake:

        >>> import graphprop as gp
        >>> import numpy as np
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("p", "softmax", {"x": [1.0, None, 3.0]})
        >>> w = net.weight("x", "p")
        >>> net.add_node("q", "softmax", {"x": np.where(np.isnan(w), None, w)})
        >>> net.weight("x", "q")
        array([ 1., nan,  3.])
        """
        return self._read(self._positions(u, v))

    def bias(self, v: Name) -> Any:
        """The bias of a node, a number or one per component; nan where there is none."""
        node = self._node(v)
        if node.is_input:
            raise UnknownNameError(f"node {v!r} is an input, which has no bias")
        return self._read(np.full(node.n, ABSENT) if node.bias is None else node.bias)

    def weights(self) -> Columns:
        """The weights of all edges as arrays side by side, with the names of their nodes: columns for a data frame.

        There is a row for each number: `value` is w(to, parent, child)[of], where `to` counts the components of the
        child and `of` those of the parent's output, and it is theta[position].

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "softmax", {"x": [2.0, 3.0]})
        >>> net.weights()
        parent  child  to  of  position  value
        x       y      0   0   0         2
        x       y      1   0   1         3
        >>> dict(net.weights())["value"]
        array([2., 3.])
        """
        layout = self.layout
        return columns_of_weights(layout, self._vector.values[layout.position])

    def biases(self) -> Columns:
        """The biases of all nodes as arrays side by side, with the names of their nodes; see `weights`.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "softmax", {"x": [2.0, 3.0]}, bias=[0.5, None])
        >>> net.biases()
        node  component  position  value
        y     0          2         0.5
        """
        layout = self.layout
        return columns_of_biases(layout, self._vector.values[layout.bias_position])

    def weight_matrix(self, rows: Any, columns: Any, order: Literal["C", "F"] = "C") -> Array:
        """The weights of all edges from the nodes `columns` into the nodes `rows`, as one dense matrix.

        It is 0 where there is no edge. `rows` and `columns` are arrays of node names of any shape, vectorised row by
        row (``order="C"``) or column by column (``"F"``): the unrolled matrix of a convolution, for example.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("h", "tanh", {"x": 2.0})
        >>> net.add_node("y", "softmax", {"x": [3.0, 4.0], "h": [5.0, 6.0]})
        >>> net.weight_matrix(rows=["h", "y"], columns=["x", "h"])
        array([[2., 0.],
               [3., 5.],
               [4., 6.]])
        """

        def blocks_into(v: Name) -> Iterator[tuple[Name, Array]]:
            return ((u, np.nan_to_num(self._values(positions))) for u, positions in self._into[v].items())

        return self._unchanged(lambda: block_matrix(rows, columns, order, self._node, blocks_into))

    # ------------------------------------------------------------------ structure

    @property
    def nodes(self) -> tuple[Name, ...]:
        """The names of all nodes, the inputs too, in order of creation."""
        return tuple(self._nodes)

    @property
    def inputs(self) -> tuple[Name, ...]:
        """The names of the inputs, in the order of the columns of an array of inputs."""
        layout: Layout | None = self._made.get("layout")
        if layout is not None:
            return layout.inputs
        return tuple(name for name, node in list(self._nodes.items()) if node.is_input)

    @property
    def outputs(self) -> tuple[Name, ...]:
        """The nodes that a loss reads, in the order of a target's columns: those declared, else the sinks."""
        layout: Layout | None = self._made.get("layout")
        if layout is not None:
            heads = layout.heads
        else:
            heads = self._unchanged(self._default_heads) if self._heads is None else self._heads
        return tuple(name for head in heads for name in head)

    def _default_heads(self) -> Heads:
        sinks = (v for v, node in self._nodes.items() if not node.is_input and not self._children[v])
        return default_heads(sinks, self._nodes)

    @property
    def edges(self) -> tuple[tuple[Name, Name], ...]:
        """(parent, child) of every edge."""
        return self._unchanged(lambda: tuple((u, v) for v, into in self._into.items() for u in into))

    def parents(self, v: Name) -> tuple[Name, ...]:
        """The nodes that v reads, in the order in which their edges were made."""
        self._node(v)
        return tuple(self._into[v])

    def children(self, v: Name) -> tuple[Name, ...]:
        """The nodes that read v."""
        self._node(v)
        return tuple(self._children[v])

    def activation(self, v: Name) -> Activation | None:
        """The activation of a node; None for an input."""
        return self._node(v).activation

    def output_size(self, v: Name) -> int:
        """How many numbers the output of a node has: 1 for a scalar or reducing node."""
        return self._node(v).m

    @property
    def graph(self) -> nx.DiGraph[Name]:
        """The graph as a frozen view, for every algorithm of networkx; it follows later changes, also of weights.

        An edge has its `weight`, the sum of its numbers if it has several; a node its `kind`. `to_networkx` gives a
        graph of its own, with all that is known of the network.

        Who goes through it while another thread changes the network may be stopped by Python or networkx, with a
        RuntimeError or a KeyError, as with any dict. The graph of ``net.copy()`` is of one state and stands still.
        """
        if self._mirror is None:
            self._mirror = self._unchanged(self._mirrored)
        return self._mirror.view()

    def _mirrored(self) -> Mirror:
        return Mirror({v: node.kind for v, node in self._nodes.items()}, self._children, self._into, self._vector)

    @property
    def layout(self) -> Layout:
        """The frozen structure: which number stands where."""
        kept: Layout | None = self._made.get("layout")
        return self._unchanged(self._lay_out) if kept is None else kept

    def _lay_out(self) -> Layout:
        made, vector = self._made, self._vector
        found = lay_out(self._nodes, self._into, self._order, len(vector), vector.names, self._heads)
        layout: Layout = made.setdefault("layout", found)  # of use to nobody if the structure has changed meanwhile
        return layout

    def same_structure(self, other: Structure) -> bool:
        """Whether theta and results of one network fit the other: same nodes, edges, ties and outputs."""
        return isinstance(other, Structure) and self.layout.same_structure(other.layout)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        try:
            return name in self._nodes
        except TypeError:
            return False

    def __repr__(self) -> str:
        inputs, edges = len(self.inputs), self._unchanged(lambda: sum(map(len, self._into.values())))
        counts = (inputs, "input"), (len(self) - inputs, "node"), (edges, "edge"), (len(self._vector), "parameter")
        title = f" {self.name!r}" if self.name else ""
        parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        return f"<{type(self).__name__}{title}: {', '.join(parts)}>"

    # ------------------------------------------------------------------ copies

    def copy(self) -> Self:
        """An independent network with the same structure and numbers."""
        other = type(self).__new__(type(self))
        other.__setstate__(self.__getstate__())
        other._vector = self._vector.copy()  # after the structure: it only grows
        return other

    __copy__ = copy

    def __getstate__(self) -> dict[str, Any]:
        return self._unchanged(self._copied)

    def _copied(self) -> dict[str, Any]:
        own: dict[str, Any] = {"_nodes": dict(self._nodes), "_order": TopologicalOrder(self._order)}
        own |= {"_into": {v: dict(into) for v, into in self._into.items()}}
        own |= {"_children": {u: dict(children) for u, children in self._children.items()}}
        return self.__dict__ | own | {"_mirror": None, "_made": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # ------------------------------------------------------------------ inside

    def _unchanged(self, read: Callable[[], Read]) -> Read:
        """What is read of a structure that no other thread changes meanwhile; each change brings a new `_made`."""
        for _ in range(ATTEMPTS):
            made = self._made
            try:
                found = read()
            except Exception:
                if made is self._made:
                    raise
            else:
                if made is self._made:
                    return found
        raise GraphpropError("another thread goes on changing the network")

    def _node(self, name: Name, where: str = "") -> Node:
        try:
            return self._nodes[name]
        except (KeyError, TypeError):
            raise unknown("node", name, self._nodes, where) from None

    def _positions(self, u: Name, v: Name) -> Array:
        self._node(u), self._node(v)
        if u not in self._into[v]:
            known = ", ".join(map(repr, list(self._into[v])[:8])) or "none"
            raise UnknownNameError(f"unknown edge {u!r} -> {v!r}; the parents of {v!r} are: {known}")
        return self._into[v][u]

    def _values(self, positions: Array) -> Array:
        values = np.full(positions.shape, np.nan)
        present = positions != ABSENT
        values[present] = self._vector.values[positions[present]]
        return values

    def _read(self, positions: Array) -> Any:
        values = np.squeeze(self._values(positions))
        values.flags.writeable = False  # set_weight and set_bias change them, writing here would not
        return float(values) if values.ndim == 0 else values


# ------------------------------------------------------------------ for who reads many of them at once


def read_whole(graph: Structure, read: Callable[..., Read]) -> tuple[Read, object]:
    """read(nodes, edges into each, order, heads, whether these were declared, length of theta) of one state of a graph.

    Besides what it gives, the mark of this state. It must not keep the tables.
    """

    def whole() -> tuple[Read, object]:
        declared = graph._heads is not None
        heads = graph._heads if graph._heads is not None else graph._default_heads()
        return read(graph._nodes, graph._into, graph._order, heads, declared, len(graph._vector)), graph._made

    return graph._unchanged(whole)


def mark_of(graph: Structure) -> object:
    """An object in whose place another one is after every change of the structure."""
    return graph._made
