"""The network that a user builds: a graph of named nodes over one flat vector theta, with every check at the door.

How a network is run is not known here; results and engines read its frozen `layout`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from graphprop.atomic.forking import load
from graphprop.atomic.steps import Steps, changed, entered, take
from graphprop.errors import CycleError, GraphpropError, NumberError, UnknownNameError, unknown
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import resolve
from graphprop.given.arguments import (
    block_matrix,
    checked_flag,
    checked_name,
    checked_size,
    chosen,
    generator,
    inferred_components,
)
from graphprop.given.arrays import cut_into_matrices, read_array, real_array
from graphprop.graph.layout import Array, Heads, Layout, Name, Node, default_heads, lay_out
from graphprop.graph.mirror import Mirror
from graphprop.graph.order import TopologicalOrder
from graphprop.graph.parameters import ABSENT, Parameter, ParameterVector, Plan, joined
from graphprop.notation.escaping import label

if TYPE_CHECKING:
    import networkx as nx

    from graphprop.functions.losses import Loss
    from graphprop.passes.results import Gradients, Trace
    from graphprop.program import Program

Read = TypeVar("Read")
NO_POSITIONS = np.empty(0, dtype=np.intp)
ATTEMPTS = 100  # to read a structure between two changes by another thread


class Network:
    """A directed acyclic graph of nodes with ``a[v] = b[v] + sum of w o[u]`` and ``o[v] = f(a[v])``.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network("two hidden nodes")
    >>> net.add_input("x")
    >>> net.add_node("h1", "sigmoid", {"x": 0.5}, bias=0.1)
    >>> net.add_node("h2", "tanh", {"x": 0.8})
    >>> net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    >>> net
    <Network 'two hidden nodes': 1 input, 3 nodes, 4 edges, 7 parameters>
    >>> g = net.backward(net.forward({"x": 1.0}), "y")
    >>> g.weight["h1", "y"].shape
    (2,)
    """

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
        parents: Mapping[Any, Any] | None = None,
        bias: Any = None,
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
        self, u: Name, v: Name, weight: Any, *, to: int | None = None, of: int | None = None, trainable: bool = True
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
            steps += self._mirror.add_edge(u, v)
        self._take(steps)

    def parameter(self, name: Name, value: Any, trainable: bool = True) -> Parameter:
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
            raise NumberError(f"parameter {name!r} is not finite: {value}")
        positions, steps = self._vector.extend(values, trainable)
        made = Parameter(self._vector, name, positions)
        self._take([*steps, (self._vector.names.__setitem__, name, positions)])
        return made

    def set_outputs(self, *heads: Any) -> None:
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

    def set_weight(self, u: Name, v: Name, weight: Any) -> None:
        """Give the weight of an edge new numbers, in the shape of `weight(u, v)`; nan or None where it has no entry."""
        self._overwrite(self._positions(u, v), weight, f"the weight of edge {u!r} -> {v!r}")

    def set_bias(self, v: Name, bias: Any) -> None:
        """Give the bias of a node new numbers; a node that has none gets one, at the end of theta."""
        node = self._node(v)
        if node.activation is None:
            raise GraphpropError(f"node {v!r} is an input, which has no bias")
        f = node.activation
        if node.bias is not None:
            masks = f.masks and _holds_mask(bias) and bool(self.layout.maskable[node.bias[node.bias != ABSENT]].all())
            self._overwrite(node.bias, bias, f"the bias of node {v!r}", masks)
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
        fan_in = np.bincount(layout.row, minlength=int(layout.a_start[-1]))
        positions, first = np.unique(layout.position, return_index=True)
        drawn = generator(seed).standard_normal(len(positions)) / np.sqrt(fan_in[layout.row[first]])
        only_bias = np.setdiff1d(layout.bias_position, positions)
        free = trainable[positions]
        theta[positions[free]] = drawn[free]
        theta[only_bias[trainable[only_bias] & np.isfinite(theta[only_bias])]] = 0.0
        self._vector.values[:] = theta

    # ------------------------------------------------------------------ reading

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

    @property
    def nodes(self) -> tuple[Name, ...]:
        """The names of all nodes, the inputs too, in order of creation."""
        return tuple(self._nodes)

    @property
    def inputs(self) -> tuple[Name, ...]:
        """The names of the inputs, in the order of the columns of an array of inputs."""
        return tuple(name for name, node in list(self._nodes.items()) if node.is_input)

    @property
    def outputs(self) -> tuple[Name, ...]:
        """The nodes that a loss reads, in the order of a target's columns: those declared, else the sinks."""
        heads = self._unchanged(self._default_heads) if self._heads is None else self._heads
        return tuple(name for head in heads for name in head)

    def _default_heads(self) -> Heads:
        sinks = (v for v, node in self._nodes.items() if not node.is_input and not self._children[v])
        return default_heads(sinks, self._nodes)

    @property
    def edges(self) -> tuple[tuple[Name, Name], ...]:
        """(parent, child) of every edge."""
        return self._unchanged(lambda: tuple((u, v) for v, into in self._into.items() for u in into))

    @property
    def graph(self) -> nx.DiGraph[Name]:
        """The graph as a frozen view, for every algorithm of networkx; it follows later changes."""
        if self._mirror is None:
            self._mirror = self._unchanged(self._mirrored)
        return self._mirror.view()

    def _mirrored(self) -> Mirror:
        return Mirror({v: node.kind for v, node in self._nodes.items()}, self._children, self.edges)

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

    @property
    def program(self) -> Program:
        """The structure as arrays that the engine runs, made once; the same as `gp.compile(net)`."""
        made, layout = self._made, self.layout
        program: Program | None = made.get("program")
        if program is None or program.layout is not layout:
            program = load("graphprop.engine.lowering").compile_layout(layout)
            if made.get("layout") is layout:
                program = made.setdefault("program", program)
        return program

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
        return f"<Network{title}: {', '.join(parts)}>"

    # ------------------------------------------------------------------ whole networks

    def same_structure(self, other: Network) -> bool:
        """Whether theta and results of one network fit the other: same nodes, edges, ties and outputs."""
        return isinstance(other, Network) and self.layout.same_structure(other.layout)

    def copy(self) -> Network:
        """An independent network with the same structure and numbers."""
        other = Network.__new__(type(self))
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

    def expand(self) -> Network:
        """The same network with each elementwise vector node v as scalar nodes (v, i), on the same theta."""
        from graphprop.graph.rewriting import expand

        return expand(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a JSON file, which `gp.load` reads; an existing file is replaced as a whole.

        An activation of your own is written by its name and parameters, without its functions: give it back with
        ``gp.load(path, activations=[...])``.
        """
        from graphprop.files.saving import save

        save(self, path)

    def forward(self, inputs: Any) -> Trace:
        """Run the network on one sample, or on a batch.

        `inputs` is a mapping from input names to numbers (with a batch: arrays whose first axis is the sample),
        or an array with the columns of all inputs in order, of one row per sample if it has two axes. A data frame is
        a mapping from the names of its columns.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x", size=2)
        >>> net.add_node("y", "identity", {"x": [1.0, 10.0]})
        >>> net.forward({"x": [3.0, 4.0]}).o["y"]
        43.0
        >>> net.forward([[3.0, 4.0], [5.0, 6.0]]).o["y"]
        array([43., 65.])
        """
        program = self.program
        return program.forward(numbers_of(self, program.layout), inputs)

    def backward(
        self,
        trace: Trace,
        node: Name = None,
        *,
        component: int | None = None,
        loss: str | Loss | None = None,
        target: Any = None,
        sample_weight: Any = None,
        seed: Mapping[Any, Any] | None = None,
    ) -> Gradients:
        """The derivatives of an objective with respect to everything: of a node's output, of a loss, or of a seed.

        Parameters
        ----------
        trace : Trace
            What `forward` gave.
        node, component
            The output of a node, of one component if it has several; the sum over the samples.
        loss, target, sample_weight
            A loss on the outputs, by name or as a `gp.Loss`; the mean over the samples, each counted with its weight.
            The target is an array with the columns of the outputs in order, integers as class labels
            where the loss reads classes, or a mapping (or a data frame) from node names to theirs.
        seed : mapping
            From node names to numbers shaped like their outputs: the objective is the sum of seed times output.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 3.0}, bias=1.0)
        >>> trace = net.forward([[1.0], [2.0]])
        >>> net.backward(trace, "y").theta
        array([3., 2.])
        >>> net.backward(trace, loss="half_squared", target={"y": [4.0, 6.0]}).theta
        array([1. , 0.5])
        >>> net.backward(trace, seed={"y": [1.0, -1.0]}).input["x"]
        array([ 3., -3.])
        """
        objective: dict[str, Any] = {"component": component, "loss": loss, "target": target}
        objective |= {"sample_weight": sample_weight, "seed": seed}
        if getattr(trace, "numbers", None) is not None:
            from graphprop.textbook.recursion import backpropagate

            return backpropagate(self, trace, node, **objective)
        return self.program.backward(trace, node, **objective)

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

    def _back_to(self, count: int, mark: tuple[int, int]) -> None:
        """Take out all nodes after so many, and all numbers after a mark."""
        self._take([*self._removing(self.nodes[count:]), *self._vector.shrink(mark)])

    def _known(self, names: Iterable[Name], where: str) -> list[Node]:
        try:
            return [self._nodes[name] for name in names]
        except (KeyError, TypeError):
            return [self._node(name, where) for name in names]

    def _node(self, name: Name, where: str = "") -> Node:
        try:
            return self._nodes[name]
        except (KeyError, TypeError):
            raise unknown("node", name, self._nodes, where) from None

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

    def _overwrite(self, positions: Array, given: Any, where: str, masks: bool = False) -> None:
        """Give entries that exist new numbers; nan or None stands for the absent ones."""
        present = positions != ABSENT
        try:
            given = _nan_as_none(given)
        except RecursionError:
            raise GraphpropError(f"{where}: the list is nested too deeply") from None
        plan = self._vector.plan(given, positions.shape, where, masks)
        if plan.positions is not None and (plan.positions >= 0).any():
            raise GraphpropError(f"{where}: numbers are needed; a Parameter joins where the edge is made")
        if (plan.present != present).any():
            raise GraphpropError(f"{where}: every entry that exists needs a number, and the others nan or None")
        places, numbers = positions[present], plan.values[present]
        _, first, use = np.unique(places, return_index=True, return_inverse=True)
        if (numbers[first][use] != numbers).any():
            raise GraphpropError(f"{where}: entries that share a parameter were given different numbers")
        self._vector.values[places] = numbers


def numbers_of(net: Network, layout: Layout) -> Array:
    """theta as one of the network's layouts has it; another thread may have let it grow since."""
    return net._vector.values[: layout.size]


def checked_network(net: Any) -> Network:
    if not isinstance(net, Network):
        raise GraphpropError(f"a network is needed, a gp.Network, not {type(net).__name__}")
    return net


def assemble(
    nodes: dict[Name, Node],
    into: dict[Name, dict[Name, Array]],
    order: Iterable[Name],
    vector: ParameterVector,
    name: str = "",
) -> Network:
    """A network of parts that have been checked, and that it keeps without a copy.

    Of each node, in order of creation, `into` has the positions of the weights by parent. `order` names them with
    parents before children.
    """
    net = Network(name)
    net._nodes, net._into, net._vector = nodes, into, vector
    net._order = TopologicalOrder(order)
    net._children = {v: {} for v in nodes}
    for v, parents in into.items():
        for u in parents:
            net._children[u][v] = None
    return net


def _holds_mask(bias: Any) -> bool:
    entries = bias if isinstance(bias, list | tuple) else read_array(bias, "the bias").ravel()
    return any(isinstance(x, float | np.floating) and x == -np.inf for x in entries)


def _nan_as_none(given: Any) -> Any:
    """The numbers with None in place of nan, as an absent entry is given."""
    if isinstance(given, list | tuple):
        return [_nan_as_none(x) for x in given]
    if isinstance(given, np.ndarray) and given.dtype.kind == "f":
        return np.where(np.isnan(given), None, given)  # type: ignore[call-overload]
    return None if isinstance(given, float) and given != given else given
