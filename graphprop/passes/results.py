"""What a run gives: a `Trace` of the forward pass, `Gradients` of the backward pass. Frozen; names in, numbers out.

Both keep the layout and theta they were made with, so that a later change of the network cannot mix numbers.
How they were computed is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError, UnknownNameError
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import keeps_warnings, one_number
from graphprop.graph.columns import Columns, columns_of_biases, columns_of_weights
from graphprop.graph.layout import Array, Layout, Name, Node
from graphprop.graph.matrix_view import (
    block_matrix,
)
from graphprop.notation.escaping import label, markup
from graphprop.notation.short import (
    number,
    short,
    table,
)
from graphprop.passes.apart import Difference, apart, excess
from graphprop.passes.by_name import (
    Values,
    biases_by_node,
    parameters_by_name,
    shown,
    weights_by_edge,
)
from graphprop.passes.objective import Objective


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Every value of one forward pass.

    Attributes
    ----------
    a, o : mappings from node names
        Pre-activations and outputs.
    theta : array
        The parameters that were used.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 3.0})
    >>> net.forward([1.0])
    <Trace of 2 nodes, 1 sample: y = 9>
    >>> net.forward([[1.0], [2.0]]).o["y"]
    array([ 9., 36.])
    """

    layout: Layout
    theta: Array
    a_flat: Array  # (samples, all pre-activations)
    o_flat: Array  # (samples, all outputs)
    batched: bool
    numbers: Any = None  # what was computed with: None for floats, or a library of numbers

    @property
    def samples(self) -> int:
        return len(self.o_flat)

    @property
    def a(self) -> Values:
        """The pre-activations of every node but the inputs."""
        layout = self.layout
        return Values(
            lambda: _where(layout, lambda node: not node.is_input), self._read_a, lambda name: _why_no_a(layout, name)
        )

    @property
    def o(self) -> Values:
        """The output of every node; of an input, what was given."""
        return Values(lambda: self.layout.names, self._read_o, lambda name: "")

    def _read_a(self, name: Name) -> Any:
        v = self.layout.find(name)
        if self.layout.nodes[v].is_input:
            raise UnknownNameError(name)
        return shown(self.a_flat[:, self.layout.a_slice(v)], self.layout.nodes[v].vector, self.batched)

    def _read_o(self, name: Name) -> Any:
        v = self.layout.find(name)
        return shown(self.o_flat[:, self.layout.o_slice(v)], self.layout.nodes[v].listed, self.batched)

    def __repr__(self) -> str:
        samples = f"{self.samples} sample{'' if self.samples == 1 else 's'}"
        outputs = [name for head in self.layout.heads for name in head][:4]
        shown = ", ".join(f"{label(name)} = {short(self.o[name])}" for name in outputs)
        return f"<Trace of {len(self.layout.names)} nodes, {samples}{f': {shown}' if shown else ''}>"

    def _repr_html_(self) -> str:
        def row(name: Name) -> tuple[Any, ...]:
            node = self.layout.nodes[self.layout.number[name]]
            return label(name), node.kind, "" if node.is_input else short(self.a[name]), short(self.o[name])

        return table(("node", "kind", "a", "o"), map(row, self.layout.names), len(self.layout.names))


def check_trace(trace: object, layout: Layout) -> None:
    """Refuse what is no trace, or a trace of another structure."""
    if not isinstance(trace, Trace):
        raise GraphpropError(f"a trace of net.forward is needed, not {type(trace).__name__}")
    if not trace.layout.same_structure(layout):
        raise GraphpropError("the trace is of another structure; the network changed since: run net.forward again")


@dataclass(frozen=True, eq=False, repr=False)
class Gradients:
    """The derivatives of `value` with respect to everything; each is shaped like what it is the derivative of.

    Attributes
    ----------
    value : float
        The objective: a loss is its mean over the batch, a plain output its sum.
    delta, gamma : mappings from node names
        With respect to the pre-activations: delta of a vector (every component), gamma of a scalar node.
    o : mapping from node names
        With respect to the outputs, over all paths.
    weight, bias, input : mappings
        With respect to each use of a weight (by edge), each bias (by node), each input.
    parameter : mapping from parameter names
        Summed over all uses.
    theta : array
        All parameters, aligned with `net.theta`.
    calls : int
        How many times the method that was used evaluated its equation, per sample.
    trace : Trace
        The forward pass that was differentiated.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 3.0})
    >>> g = net.backward(net.forward([1.0]), "y")
    >>> g
    <Gradients of o[y] = 9: 1 parameter>
    >>> g.gamma["y"], g.weight["x", "y"], g.input["x"]
    (6.0, 6.0, 18.0)
    >>> g.delta["y"]
    Traceback (most recent call last):
    graphprop.errors.UnknownNameError: node 'y' is scalar; its sensitivity is gamma['y']
    """

    layout: Layout
    objective: Objective
    value: Any
    a_flat: Array  # (samples, all pre-activations): d value / d a, nan where it was not asked for
    o_flat: Array  # (samples, all outputs): d value / d o, over all paths
    weight_uses: Array  # per weight use of the layout, summed over the samples
    bias_uses: Array
    batched: bool
    calls: int
    trace: Trace | None = None  # of the forward pass that was differentiated
    theta: Array = field(init=False)

    def __post_init__(self) -> None:
        theta = _summed_by_position(self.layout, self.weight_uses, self.bias_uses)
        theta.flags.writeable = False
        object.__setattr__(self, "theta", theta)

    @property
    def delta(self) -> Values:
        """Of the vector pre-activations, by node."""
        return self._sensitivity(vector=True)

    @property
    def gamma(self) -> Values:
        """Of the scalar pre-activations, by node."""
        return self._sensitivity(vector=False)

    def _sensitivity(self, vector: bool) -> Values:
        layout = self.layout

        def read(name: Name) -> Any:
            v = layout.find(name)
            node = layout.nodes[v]
            if node.is_input or node.vector != vector:
                raise UnknownNameError(name)
            return shown(self.a_flat[:, layout.a_slice(v)], vector, self.batched)

        def absent(name: Name) -> str:
            if reason := _why_no_a(layout, name):
                return f"{reason}; its derivative is input[{name!r}]"
            if name not in layout.number:
                return ""
            kinds = ("is scalar", "gamma") if vector else ("has a vector of pre-activations", "delta")
            return f"node {name!r} {kinds[0]}; its sensitivity is {kinds[1]}[{name!r}]"

        return Values(lambda: _where(layout, lambda node: node.n > 0 and node.vector == vector), read, absent)

    @property
    def o(self) -> Values:
        return Values(lambda: self.layout.names, self._read_o, lambda name: "")

    @property
    def input(self) -> Values:
        def read(name: Name) -> Any:
            if not self.layout.nodes[self.layout.find(name)].is_input:
                raise UnknownNameError(name)
            return self._read_o(name)

        return Values(lambda: self.layout.inputs, read, lambda name: f"{name!r} is no input" if name in self.o else "")

    def _read_o(self, name: Name) -> Any:
        v = self.layout.find(name)
        return shown(self.o_flat[:, self.layout.o_slice(v)], self.layout.nodes[v].listed, self.batched)

    @property
    def weight(self) -> Values:
        return weights_by_edge(self.layout, self.weight_uses)

    @property
    def bias(self) -> Values:
        return biases_by_node(self.layout, self.bias_uses)

    @property
    def parameter(self) -> Values:
        return parameters_by_name(self.layout, self.theta)

    def weights(self) -> Columns:
        """The derivatives by all weights as arrays side by side, row by row as in `Network.weights`.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "softmax_dot", {"x": [0.0, 0.0]})
        >>> net.backward(net.forward([2.0]), "y").weights()
        parent  child  to  of  position  value
        x       y      0   0   0         1
        x       y      1   0   1         1
        """
        return columns_of_weights(self.layout, self.weight_uses)

    def biases(self) -> Columns:
        """The derivatives by all biases as arrays side by side, row by row as in `Network.biases`."""
        return columns_of_biases(self.layout, self.bias_uses)

    def weight_matrix(self, rows: Any, columns: Any, order: Literal["C", "F"] = "C") -> Array:
        """The derivatives by the weights from the nodes `columns` into the nodes `rows`, as one dense matrix.

        As `Network.weight_matrix`: the matrix of a layer that was declared neuron by neuron, for example. It is 0 where
        there is no edge, and nan where the derivative was not asked for.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("p", "identity", {"x": 2.0})
        >>> net.add_node("q", "identity", {"x": 3.0, "p": 4.0})
        >>> g = net.backward(net.forward([1.0]), "q")
        >>> g.weight_matrix(rows=["p", "q"], columns=["x", "p"])
        array([[4., 0.],
               [1., 2.]])
        """
        layout, uses = self.layout, self.weight_uses

        def blocks_into(v: Name) -> Iterator[tuple[Name, Array]]:
            for u in layout.parents[layout.find(v)]:
                name = layout.names[u]
                yield name, layout.scatter_edge(layout.find_edge(name, v), uses, absent=0.0)

        def node(name: Name) -> Node:
            return layout.nodes[layout.find(name)]

        return block_matrix(rows, columns, order, node, blocks_into, uses.dtype)

    @keeps_warnings
    def difference(self, other: Gradients) -> Difference:
        """The entry in which two gradients of one structure differ most, relative to its size.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 3.0})
        >>> trace = net.forward([1.0])
        >>> net.backward(trace, "y").difference(net.backward(trace, seed={"y": 2.0})).entry
        'value'
        """
        check_comparable(self, other)
        worst, most = Difference("value", self.value, other.value, *apart(self.value, other.value)), 0.0
        if worst.absolute > 0:
            most = worst.relative
        for mine, theirs, name in self._aligned(other):
            over = excess(mine, theirs)
            if over.size and over.max() > most:
                i = int(np.argmax(over))
                most = float(over[i])
                worst = Difference(name(i), number(mine[i]), number(theirs[i]), *apart(mine[i], theirs[i]))
        return worst

    def allclose(self, other: Gradients, rtol: float = 1e-9) -> bool:
        """Whether all numbers agree, the value too.

        Two entries x and y agree if ``|x - y| <= rtol * (max(|x|, |y|) + s / 1000)`` where s is the largest entry of
        their kind (delta and gamma, o, weights, biases, theta): what cancelled down to nearly 0 is held to that.
        """
        check_comparable(self, other)
        rtol = one_number(rtol, "rtol")
        if not apart(self.value, other.value)[1] <= rtol:
            return False
        return all(bool((excess(x, y) <= rtol).all()) for x, y, _ in self._aligned(other))

    def _aligned(self, other: Gradients) -> Iterator[tuple[Array, Array, Callable[[int], str]]]:
        """Each kind of number of both, flat, and how its entries are called."""
        layout = self.layout

        def sampled(label: Callable[[int, str], str], symbol: str, width: int) -> Callable[[int], str]:
            return lambda i: label(i % width, symbol) + (f" of sample {i // width}" if self.batched else "")

        a, o = layout.label_row, layout.label_column
        yield self.a_flat.ravel(), other.a_flat.ravel(), sampled(a, "delta", self.a_flat.shape[1])
        yield self.o_flat.ravel(), other.o_flat.ravel(), sampled(o, "o", self.o_flat.shape[1])
        yield self.weight_uses, other.weight_uses, layout.label_use
        yield self.bias_uses, other.bias_uses, lambda i: a(int(layout.bias_row[i]), "b")
        yield self.theta, other.theta, layout.label_position

    def __repr__(self) -> str:
        size = f"{self.layout.size} parameter{'' if self.layout.size == 1 else 's'}"
        return f"<Gradients of {self.objective} = {short(self.value)}: {size}>"

    def _repr_html_(self) -> str:
        layout = self.layout

        def row(name: Name) -> tuple[Any, ...]:
            node = layout.nodes[layout.number[name]]
            if node.is_input:
                return label(name), "input", "", short(self.input[name])
            sensitivity = self.delta[name] if node.vector else self.gamma[name]
            return label(name), node.kind, short(sensitivity), short(self.o[name])

        heads = ("node", "kind", "delta or gamma", "d / d o")
        title = f"<p>{markup(str(self.objective))} = {markup(short(self.value))}</p>"
        return title + table(heads, map(row, layout.names), len(layout.names))


def _where(layout: Layout, condition: Callable[[Node], bool]) -> Iterator[Name]:
    """The names of the nodes that meet a condition."""
    return (name for name, node in zip(layout.names, layout.nodes, strict=True) if condition(node))


def _summed_by_position(layout: Layout, weight_uses: Array, bias_uses: Array) -> Array:
    """The sum of the uses of each position; those of a tied one exactly, so that their order does not matter."""
    theta = np.zeros(layout.size, dtype=np.result_type(weight_uses, bias_uses))
    theta[layout.position], theta[layout.bias_position] = weight_uses, bias_uses
    if layout.ties:
        uses = np.concatenate((weight_uses, bias_uses))
        total = sum if uses.dtype == object else Floats().total
        for position, own in layout.ties:
            theta[position] = total(uses[own].tolist())
    return theta


def _why_no_a(layout: Layout, name: Name) -> str:
    try:
        is_input = layout.nodes[layout.number[name]].is_input
    except (KeyError, TypeError):
        return ""
    return f"{name!r} is an input, which has no pre-activation" if is_input else ""


def check_comparable(g: Gradients, other: object) -> None:
    """Refuse what is no gradient of the same structure and batch."""
    if not isinstance(other, Gradients):
        raise GraphpropError(f"gradients are compared with gradients, not with {type(other).__name__}")
    if not g.layout.same_structure(other.layout) or g.a_flat.shape != other.a_flat.shape:
        raise GraphpropError("the gradients are of different structures or batches, and cannot be compared")
