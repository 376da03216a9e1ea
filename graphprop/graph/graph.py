"""A graph of named nodes, as it is built and changed, with every check at the door; each change is made as a whole.

How a network is run is not known here; what runs it, and every result, reads its frozen `layout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from graphprop.atomic.steps import Steps, changed, entered, take
from graphprop.errors import CycleError, GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import resolve
from graphprop.given.arguments import (
    checked_flag,
    checked_size,
    chosen,
    generator,
)
from graphprop.given.arrays import cut_into_matrices, read_array, real_array
from graphprop.graph.components import (
    inferred_components,
)
from graphprop.graph.layout import Array, Heads, Layout, Name, Node
from graphprop.graph.names import (
    checked_name,
)
from graphprop.graph.order import TopologicalOrder
from graphprop.graph.parameters import ABSENT, Parameter, ParameterVector, Plan, Weight, joined
from graphprop.graph.structure import Structure
from graphprop.notation.escaping import label

NO_POSITIONS = np.empty(0, dtype=np.intp)
G = TypeVar("G", bound="Graph")


class Graph(Structure):
    """A directed acyclic graph of nodes with ``a[v] = b[v] + sum of w o[u]`` and ``o[v] = f(a[v])``, as data."""

    # ------------------------------------------------------------------ building

    def add_input(self, name: Name, size: int | None = None) -> None:
        """Add an input; with `size` a vector of that many numbers."""
        name = self._checked_new(name)
        m = 1 if size is None else checked_size(size, f"input {name!r}")
        self._take(self._inserting(name, Node(None, 0, m, size is not None), {}))

    def add_node(
        self,
        name: Name,
        activation: str | Activation,
        parents: Mapping[Any, Weight] | None = None,
        bias: Weight | None = None,
        *,
        size: int | None = None,
        trainable: bool = True,
    ) -> None:
        """Add a node that reads existing ones.

        Parameters
        ----------
        name : str, int or tuple of these
        activation : str or Activation
        parents : mapping from node names to weights
            A weight has the shape (components of this node, components of the parent's output), axes of
            length one dropped: a number between scalars. A Parameter may stand for any number, and None for
            an absent entry.
        bias : number or one per component, optional
            No bias is created if none is given.
        size : int, optional
            Makes a vector node of that many components. A reducing or vector activation takes it
            from the weights, or has one component per parent where they are single numbers.
        trainable : bool
            False marks the new numbers as frozen in `net.trainable`; their gradients are still reported.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x", size=2)
        >>> net.add_node("h", "tanh", {"x": [[1.0, 2.0], [3.0, None], [5.0, 6.0]]}, size=3)
        >>> net.add_node("m", "max", {"h": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]})
        >>> net.weight("x", "h")
        array([[ 1.,  2.],
               [ 3., nan],
               [ 5.,  6.]])
        """
        name = self._checked_new(name)
        where = f"node {name!r}"
        checked_flag(trainable, where)
        try:
            f = resolve(activation)
        except GraphpropError as error:
            raise type(error)(f"{where}: {error}") from None
        if parents is not None and not isinstance(parents, Mapping):
            raise GraphpropError(f"{where}: parents are a mapping from node names to weights, not {parents!r}")
        parents = {} if parents is None else parents
        widths = [node.m for node in self._known(parents, f"{where}, parent: ")]
        if size is not None:
            n = checked_size(size, where)
        elif f.kind == "elementwise":
            n = 1
        else:
            n, parents = inferred_components(where, parents, dict(zip(parents, widths, strict=True)), bias)
        plan = self._plan_weights(name, parents, n, widths) if parents else None
        bias_plan = None if bias is None else self._plan_bias(name, bias, n, f)
        if bias_plan is not None and bias_plan.is_empty:
            bias_plan = None
        plans = [each for each in (plan, bias_plan) if each is not None]
        positions, steps = self._vector.commit(joined(plans), trainable) if plans else (NO_POSITIONS, [])
        positions, b = (positions, None) if bias_plan is None else (positions[:-n], positions[-n:])
        blocks = cut_into_matrices(positions, n, widths)
        m = 1 if f.kind == "reducing" else n
        node = Node(f, n, m, f.kind != "elementwise" or size is not None, b)
        self._take([*steps, *self._inserting(name, node, dict(zip(parents, blocks, strict=True)))])

    def add_edge(
        self, u: Name, v: Name, weight: Weight, *, to: int | None = None, of: int | None = None, trainable: bool = True
    ) -> None:
        """Add an edge between existing nodes, or with `to` and `of` one entry of it.

        `to` is a component of v, `of` one of the output of u. Where only one of them is given the other one runs
        over all. Entries that an edge lacks can be added later; the same entry twice is refused.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("p", "softmax", {"x": [1.0, 2.0, 3.0]})
        >>> net.add_node("y", "identity")
        >>> net.add_edge("p", "y", 0.5, of=2)
        >>> net.weight("p", "y")
        array([nan, nan, 0.5])
        """
        source, target = self._node(u, "edge: "), self._node(v, "edge: ")
        where = f"edge {u!r} -> {v!r}"
        checked_flag(trainable, where)
        if u == v:
            raise CycleError(f"{where} is a self-loop; the graph has to be acyclic", (u, v))
        if target.is_input:
            raise GraphpropError(f"{where}: {v!r} is an input; nothing flows into an input")
        rows = chosen("to", to, target.n, where, "components of", v)
        columns = chosen("of", of, source.m, where, "components of the output of", u)
        plan = self._vector.plan(weight, (len(rows), len(columns)), f"the weight of {where}")
        if plan.is_empty:
            raise GraphpropError(f"{where} has no entry; leave it out")
        whole = len(rows) == target.n and len(columns) == source.m
        known = self._into[v].get(u)
        before = np.full((target.n, source.m), ABSENT) if known is None and not whole else known
        block = np.ix_(rows, columns) if before is not None else ()
        if known is not None and (twice := np.argwhere((known[block] != ABSENT) & plan.present)).size:
            if to is None and of is None:
                raise GraphpropError(f"{where} exists already; set_weight changes it, remove_edge takes it away")
            i, k = rows[twice[0][0]], columns[twice[0][1]]
            raise GraphpropError(f"{where}: the entry to={i}, of={k} exists already; set_weight changes it")
        path, moves = self._order.admit(u, v, self._children.__getitem__, self._into.__getitem__)
        if path is not None:
            trail = " -> ".join(label(x) for x in [*path, v])
            raise CycleError(f"{where} closes the cycle {trail}", (*path, v))
        positions, steps = self._vector.commit(plan, trainable)
        if before is not None:
            entries, positions = positions, before.copy()
            positions[block] = np.where(entries == ABSENT, before[block], entries)
        steps += [*moves, (self._into[v].__setitem__, u, positions), (self._children[u].__setitem__, v, None)]
        if self._mirror is not None and known is None:
            steps += self._mirror.add_edge(u, v, self._into[v])
        self._take(steps)

    def parameter(self, name: Name, value: ArrayLike, trainable: bool = True) -> Parameter:
        """Make a named parameter, a number or an array, to be used as weight or bias, as often as wanted.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("p")
        >>> net.add_input("q")
        >>> f = net.parameter("f", 2.0)
        >>> net.add_node("s", "identity", {"p": f, "q": f})
        >>> net.backward(net.forward([3.0, 4.0]), "s").parameter["f"]
        7.0
        """
        name = checked_name(name)
        if name in self._vector.names:
            raise GraphpropError(f"parameter {name!r} exists already; net.parameters has it")
        values = real_array(value, f"parameter {name!r}")
        checked_flag(trainable, f"parameter {name!r}")
        if not values.size:
            raise GraphpropError(f"parameter {name!r} is empty")
        if not np.isfinite(values).all():
            raise NumberError(f"parameter {name!r} is not finite: {np.asarray(value)}")
        positions, steps = self._vector.extend(values, trainable)
        made = Parameter(self._vector, name, positions)
        self._take([*steps, (self._vector.names.__setitem__, name, positions)])
        return made

    def set_outputs(self, *heads: Name | list[Name]) -> None:
        """Declare the outputs, in the order of a target's columns; one argument is what one loss term reads.

        A node's name is a head of its own, a list of scalar nodes is one head together. With no argument
        the sinks are the outputs again: each vector node a head, all scalar sinks together one.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("z", "softmax", {"x": [1.0, 2.0]})
        >>> net.add_node("b", "tanh", {"x": 1.0})
        >>> net.add_node("c", "tanh", {"x": 2.0})
        >>> net.set_outputs("z", ["b", "c"])
        >>> net.outputs
        ('z', 'b', 'c')
        """
        groups = tuple(tuple(head) if isinstance(head, list) else (head,) for head in heads)
        seen: set[Name] = set()
        for group in groups:
            if not group:
                raise GraphpropError("outputs: an empty list is no head")
            for name in group:
                node = self._node(name, "outputs: ")
                if name in seen:
                    raise GraphpropError(f"outputs: {name!r} is named twice")
                seen.add(name)
                if len(group) > 1 and node.listed:
                    raise GraphpropError(f"outputs: {name!r} is a vector node, which is a head of its own")
        self._take([changed(self, _heads=groups or None)])

    # ------------------------------------------------------------------ change

    def remove_edge(self, u: Name, v: Name) -> None:
        """Take an edge away. Its numbers stay in theta, unused, so that no position moves."""
        self._positions(u, v)
        self._take(self._cutting(u, v))

    def remove_node(self, name: Name) -> None:
        """Take a node away, with its edges. Its numbers stay in theta, unused."""
        self._node(name)
        if self._heads is not None and any(name in head for head in self._heads):
            raise GraphpropError(f"node {name!r} is a declared output; declare others with set_outputs first")
        self._take(self._removing([name]))

    def set_weight(self, u: Name, v: Name, weight: Weight) -> None:
        """Give the weight of an edge new numbers, in the shape of `weight(u, v)`; nan or None where it has no entry."""
        self._vector.overwrite(self._positions(u, v), weight, f"the weight of edge {u!r} -> {v!r}")

    def set_bias(self, v: Name, bias: Weight) -> None:
        """Give the bias of a node new numbers; a node that has none gets one, at the end of theta."""
        node = self._node(v)
        if node.activation is None:
            raise GraphpropError(f"node {v!r} is an input, which has no bias")
        f = node.activation
        if node.bias is not None:
            masks = f.masks and _holds_mask(bias) and bool(self.layout.maskable[node.bias[node.bias != ABSENT]].all())
            self._vector.overwrite(node.bias, bias, f"the bias of node {v!r}", masks)
            return
        plan = self._plan_bias(v, bias, node.n, f)
        if plan.is_empty:
            raise GraphpropError(f"the bias of node {v!r} has no entry")
        positions, steps = self._vector.commit(plan)
        new = Node(f, node.n, node.m, node.vector, positions)
        self._take([*steps, (self._nodes.__setitem__, v, new)])

    def randomize(self, seed: int) -> None:
        """Draw every trainable weight from a normal distribution of variance 1 / fan-in, and set biases to 0.

        Fan-in is the number of weights that flow into the same component; of a tied weight, its first use counts.
        """
        layout, theta = self.layout, self._vector.values.copy()
        _, trainable = self._vector.views()
        positions, first = np.unique(layout.position, return_index=True)
        drawn = generator(seed).standard_normal(len(positions)) / np.sqrt(layout.fan_in[layout.row[first]])
        only_bias = np.setdiff1d(layout.bias_position, positions)
        free = trainable[positions]
        theta[positions[free]] = drawn[free]
        theta[only_bias[trainable[only_bias] & np.isfinite(theta[only_bias])]] = 0.0
        self._vector.values[:] = theta

    # ------------------------------------------------------------------ inside

    def _take(self, steps: Steps) -> None:
        """Change the structure, all at once."""
        take([*steps, changed(self, _made={})])

    def _inserting(self, name: Name, node: Node, parents: dict[Name, Array]) -> Steps:
        """Put in a node whose parents exist, by the positions of its weights; everything has been checked."""
        steps: Steps = [
            (self._nodes.__setitem__, name, node),
            (self._into.__setitem__, name, parents),
            (self._children.__setitem__, name, {}),
            entered([self._children[u] for u in parents], name),
        ]
        if self._mirror is not None:
            steps += self._mirror.add_node(name, node.kind, parents)
        return steps + self._order.append(name)

    def _cutting(self, u: Name, v: Name) -> Steps:
        """Take out an edge."""
        steps: Steps = [(self._into[v].pop, u), (self._children[u].pop, v)]
        return steps if self._mirror is None else steps + self._mirror.remove_edge(u, v)

    def _removing(self, names: Sequence[Name]) -> Steps:
        """Take out nodes with their edges."""
        edges = {(u, v): None for v in names for u in self._into[v]}
        edges |= {(u, v): None for u in names for v in self._children[u]}
        steps = [step for edge in edges for step in self._cutting(*edge)]
        steps += [(table.pop, v) for v in names for table in (self._nodes, self._into, self._children)]
        if self._mirror is not None:
            steps += [step for v in names for step in self._mirror.remove_node(v)]
        return steps + self._order.remove(names)

    def _known(self, names: Iterable[Name], where: str) -> list[Node]:
        try:
            return [self._nodes[name] for name in names]
        except (KeyError, TypeError):
            return [self._node(name, where) for name in names]

    def _checked_new(self, name: Name) -> Name:
        name = checked_name(name)
        if name in self._nodes:
            raise GraphpropError(f"node {name!r} exists already")
        return name

    def _plan_weights(self, name: Name, parents: Mapping[Any, Any], n: int, widths: list[int]) -> Plan:
        """One plan for the weights of all parents, whose outputs have these widths, into a node of n components."""
        if n == 1 and set(widths) == {1}:
            plan = self._vector.plan_numbers([*parents.values()])
            if plan is not None:
                return plan
        plans = [
            self._vector.plan(w, (n, m), f"the weight of edge {u!r} -> {name!r}")
            for (u, w), m in zip(parents.items(), widths, strict=True)
        ]
        for u, plan in zip(parents, plans, strict=True):
            if plan.is_empty:
                raise GraphpropError(f"edge {u!r} -> {name!r} has no entry; leave the parent out")
        return joined(plans)

    def _plan_bias(self, name: Name, bias: Any, n: int, f: Activation) -> Plan:
        return self._vector.plan(bias, (n,), f"the bias of node {name!r}", masks=f.masks)


class AllOrNothing:
    """Takes what was added to a graph out of it again if something is refused on the way."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._count = len(graph)
        self._mark = graph._vector.mark()

    def __enter__(self) -> list[Name]:
        return []

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        graph = self._graph
        if error is not None:
            graph._take([*graph._removing(graph.nodes[self._count :]), *graph._vector.shrink(self._mark)])


class Contents(NamedTuple):
    """All that a graph is made of, for those who write it down."""

    nodes: Mapping[Name, Node]
    into: Mapping[Name, Mapping[Name, Array]]  # of v, by parent u: the positions of w(i,u,v), shaped (n, m)
    order: Iterable[Name]  # parents before children
    vector: ParameterVector
    heads: Heads | None  # as they were declared


def contents(graph: Graph) -> Contents:
    return Contents(graph._nodes, graph._into, graph._order, graph._vector, graph._heads)


def assemble(
    kind: type[G],
    nodes: dict[Name, Node],
    into: dict[Name, dict[Name, Array]],
    order: Iterable[Name],
    vector: ParameterVector,
    name: str = "",
    children: dict[Name, dict[Name, None]] | None = None,
) -> G:
    """A graph of parts that have been checked, and that it keeps without a copy.

    Of each node, in order of creation, `into` has the positions of the weights by parent. `order` names them with
    parents before children. `children` is worked out if it is not given.
    """
    net = kind(name)
    net._nodes, net._into, net._vector = nodes, into, vector
    net._order = TopologicalOrder(order)
    if children is None:
        children = {v: {} for v in nodes}
        for v, parents in into.items():
            for u in parents:
                children[u][v] = None
    net._children = children
    return net


def numbers_of(graph: Structure, layout: Layout) -> Array:
    """theta as one of the graph's layouts has it; another thread may have let it grow since."""
    return graph._vector.values[: layout.size]


def checked_graph(net: Any) -> Graph:
    if not isinstance(net, Graph):
        raise GraphpropError(f"a network is needed, a gp.Network, not {type(net).__name__}")
    return net


def _holds_mask(bias: Any) -> bool:
    entries = bias if isinstance(bias, list | tuple) else read_array(bias, "the bias").ravel()
    return any(isinstance(x, float | np.floating) and x == -np.inf for x in entries)
