"""The frozen structure of a network: which number stands where.

All pre-activations of a network form one flat vector `a`, all outputs one flat vector `o`, all parameters
`theta`; a layout says which slice belongs to which node, and by which name. In these terms the forward rule of the
whole network is

    a[row] = sum over bias uses of theta[position] + sum over weight uses of theta[position] * o[column]

What runs a network, and every result, stands on a layout and never on the network itself. No parameter's value is here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphprop.errors import GraphpropError, unknown
from graphprop.functions.activation import Activation
from graphprop.graph.wiring import Wiring
from graphprop.notation.escaping import label

Name: TypeAlias = "str | int | tuple[Name, ...]"
Array = NDArray[Any]
Heads = tuple[tuple[Name, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node: its activation (None for an input), the lengths n of a and m of o, the positions of its biases.

    `vector` says whether it is a vector node: its sensitivity is then called delta, else gamma.
    `bias` has one position per component, -1 where there is none; it is None if there is none at all.
    """

    activation: Activation | None
    n: int
    m: int
    vector: bool
    bias: Array | None = None

    @property
    def is_input(self) -> bool:
        return self.activation is None

    @property
    def kind_of_function(self) -> str:
        """Elementwise, reducing or vector; empty for an input."""
        return "" if self.activation is None else self.activation.kind

    @property
    def listed(self) -> bool:
        """Whether the output is an array rather than a number, and a head of its own."""
        return self.vector and self.kind_of_function != "reducing"

    @property
    def kind(self) -> str:
        return "input" if self.activation is None else self.activation.name


class AlikeNodes(Sequence[Node]):
    """The nodes of a graph given as arrays, in place of an object for each; those are made when they are asked for.

    Node v has `n[v]` pre-activations and `m[v]` outputs, is a vector node if `vector[v]`, and has the activation
    `activations[which[v]]`; without pre-activations it is an input. `bias` has the positions of all biases, by
    pre-activation, with -1 where there is none; it is None if there is none at all.
    """

    def __init__(
        self, activations: Sequence[Activation], which: Array, n: Array, m: Array, vector: Array, bias: Array | None
    ) -> None:
        self.activations, self.which, self.n, self.m, self.vector, self.bias = activations, which, n, m, vector, bias
        self._start = np.concatenate(([0], np.cumsum(n, dtype=np.intp)))

    def __len__(self) -> int:
        return len(self.n)

    def __iter__(self) -> Iterator[Node]:
        return self._made(0, len(self))

    def __getitem__(self, v: Any) -> Any:
        if isinstance(v, slice):
            return [self[i] for i in range(*v.indices(len(self)))]
        v = range(len(self))[v]
        return next(self._made(v, v + 1))

    def _made(self, first: int, last: int) -> Iterator[Node]:
        columns = [array[first:last].tolist() for array in (self.which, self.n, self.m, self.vector)]
        for which, n, m, vector, bias in zip(*columns, self._biases(first, last), strict=False):
            yield Node(self.activations[which] if n else None, n, m, vector, bias)

    def _biases(self, first: int, last: int) -> Iterable[Array | None]:
        if self.bias is None:
            return itertools.repeat(None)
        start = self._start[first : last + 1]
        rows = self.bias[start[0] : start[-1]]
        has = np.concatenate(([0], np.cumsum(rows >= 0)))[start - start[0]]
        slices = itertools.pairwise((start - start[0]).tolist())
        return (rows[i:k] if some else None for (i, k), some in zip(slices, np.diff(has).tolist(), strict=True))


@dataclass(frozen=True, eq=False, repr=False)
class Layout(Wiring):
    """The arrays of a network, and names to them; see the module."""

    names: Sequence[Name]
    nodes: Sequence[Node]
    parameters: Mapping[Name, Array]  # the positions of the named ones
    heads: Heads
    outputs_declared: bool

    def __repr__(self) -> str:
        return f"<layout of {len(self.names)} nodes, {len(self.edge_source)} edges, {self.size} parameters>"

    @cached_property
    def number(self) -> dict[Name, int]:
        """Node name -> node number."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def name_array(self) -> Array:
        """The names as an array: of integers if all are, else of objects."""
        if isinstance(self.names, range):
            return np.arange(len(self.names))
        if set(map(type, self.names)) == {int}:
            with suppress(OverflowError):
                return np.array(self.names, dtype=np.int64)
        return np.fromiter(self.names, dtype=object, count=len(self.names))

    @cached_property
    def uses_by_name(self) -> dict[str, Array]:
        """Of each weight use the names of its nodes, and its component of either."""
        source, target = self.node_of_column[self.column], self.node_of_row[self.row]
        to, of = self.row - self.a_start[target], self.column - self.o_start[source]
        return {"parent": self.name_array[source], "child": self.name_array[target], "to": to, "of": of}

    @cached_property
    def biases_by_name(self) -> dict[str, Array]:
        """Of each bias use the name of its node, and its component."""
        node = self.node_of_row[self.bias_row]
        return {"node": self.name_array[node], "component": self.bias_row - self.a_start[node]}

    @cached_property
    def edge_number(self) -> dict[tuple[Name, Name], int]:
        names = self.names
        pairs = zip(self.edge_source.tolist(), self.edge_target.tolist(), strict=True)
        return {(names[u], names[v]): e for e, (u, v) in enumerate(pairs)}

    @cached_property
    def inputs(self) -> tuple[Name, ...]:
        return tuple(self.input_nodes)

    @cached_property
    def input_nodes(self) -> dict[Name, Node]:
        return {name: node for name, node in zip(self.names, self.nodes, strict=True) if node.is_input}

    @cached_property
    def kinds(self) -> tuple[tuple[Activation, ...], Array]:
        """The activations, each once, and for each node which of them it has; 0 for an input."""
        found: dict[Activation, int] = {}
        if isinstance(self.nodes, AlikeNodes):
            per_kind = np.array(
                [found.setdefault(f, len(found)) for f in self.nodes.activations] or [0], dtype=np.uint32
            )
            return tuple(found), np.where(self.nodes.n > 0, per_kind[self.nodes.which], np.uint32(0))
        seen: dict[int, int] = {id(None): 0}  # objects are told apart faster than compared
        for f in (node.activation for node in self.nodes):
            if id(f) not in seen and f is not None:
                seen[id(f)] = found.setdefault(f, len(found))
        of_nodes = (seen[id(node.activation)] for node in self.nodes)
        return tuple(found), np.fromiter(of_nodes, dtype=np.uint32, count=len(self.nodes))

    @cached_property
    def maskable(self) -> Array:
        """Where in theta -inf may stand: where nothing but biases of the softmax family uses it."""
        kinds, of_node = self.kinds
        masks = np.array([f.masks for f in kinds], dtype=bool)[np.repeat(of_node, np.diff(self.a_start))]
        result = np.ones(self.size, dtype=bool)
        result[self.bias_position[~masks[self.bias_row]]] = False
        result[self.position] = False
        return result

    def improper(self, theta: Array) -> int | None:
        """The first position of theta that holds nan, or an infinity that is no mask; None if there is none."""
        good = np.isfinite(theta) | (self.maskable & (theta == -np.inf))
        return None if good.all() else int(np.argmin(good))

    def find(self, name: Name, where: str = "") -> int:
        """The number of a node; an error for a name that is none."""
        try:
            return self.number[name]
        except (KeyError, TypeError):
            raise unknown("node", name, self.names, where) from None

    def find_edge(self, u: Name, v: Name) -> int:
        try:
            return self.edge_number[u, v]
        except (KeyError, TypeError):
            self.find(u), self.find(v)
            raise unknown("edge", (u, v), [f"{p!r} -> {q!r}" for p, q in self.edge_number if q == v]) from None

    def label_use(self, use: int) -> str:
        """The name of a weight use as the textbook writes it: w(i, u, v), or w(u, v) between scalars."""
        (v, i), (u, k) = self.at_row(int(self.row[use])), self.at_column(int(self.column[use]))
        source = label(self.names[u], most=0) + (f"[{k}]" if self.nodes[u].m > 1 else "")
        component = f"{i}, " if self.nodes[v].n > 1 else ""
        return f"w({component}{source}, {label(self.names[v], most=0)})"

    def label_row(self, row: int, symbol: str = "a") -> str:
        """The name of a pre-activation, or with another symbol of what belongs to it."""
        v, i = self.at_row(row)
        return self._label(v, i, self.nodes[v].n, symbol)

    def label_column(self, column: int, symbol: str = "o") -> str:
        """The name of an output component."""
        v, k = self.at_column(column)
        return self._label(v, k, self.nodes[v].m, symbol)

    def _label(self, v: int, component: int, length: int, symbol: str) -> str:
        return f"{symbol}[{label(self.names[v], most=0)}]" + (f"[{component}]" if length > 1 else "")

    @cached_property
    def _parameter_labels(self) -> dict[int, str]:
        return {
            int(positions[index]): label(name, most=0) + "".join(f"[{i}]" for i in index)
            for name, positions in self.parameters.items()
            for index in np.ndindex(positions.shape)
        }

    def label_position(self, position: int) -> str:
        """What theta[position] is: a parameter's name, else its use."""
        if position in self._parameter_labels:
            return self._parameter_labels[position]
        weights, biases = self.uses_of_position(position)
        if weights:
            return self.label_use(weights[0])
        if biases:
            return self.label_row(int(self.bias_row[biases[0]]), "b")
        return f"theta[{position}]"

    def check_runnable(self) -> None:
        """Refuse a network that has nodes nothing flows into, or no node at all."""
        if not self.names:
            raise GraphpropError("the network has no nodes; add_input and add_node make some")
        fed = np.zeros(len(self.names), dtype=bool)
        fed[self.edge_target] = True
        for v in np.flatnonzero(~fed).tolist():
            if not self.nodes[v].is_input:
                raise GraphpropError(
                    f"node {self.names[v]!r} has no parents and is no input; "
                    "give it an edge with add_edge, or remove it with remove_node"
                )

    def same_structure(self, other: Layout) -> bool:
        """Whether theta, inputs and results of one fit the other. The values of parameters do not matter."""
        if self is other:
            return True
        arrays = ("a_start", "o_start", "edge_source", "edge_target", "edge_start", "row", "column", "position")
        return (
            self.size == other.size
            and list(self.names) == list(other.names)
            and self.heads == other.heads
            and all(map(_same_node, self.nodes, other.nodes))
            and all(np.array_equal(getattr(self, x), getattr(other, x)) for x in (*arrays, "bias_row", "bias_position"))
            and list(self.parameters) == list(other.parameters)
            and all(np.array_equal(p, other.parameters[name]) for name, p in self.parameters.items())
        )


def _same_node(one: Node, other: Node) -> bool:
    return (one.activation, one.n, one.m, one.vector) == (other.activation, other.n, other.m, other.vector)


def lay_out(
    nodes: Mapping[Name, Node],
    edges_into: Mapping[Name, Mapping[Name, Array]],
    order: Iterable[Name],
    size: int,
    parameters: Mapping[Name, Array],
    declared: Heads | None,
) -> Layout:
    """The layout of a graph: `edges_into[v][u]` are the positions of the weights of u -> v, shaped (n, m)."""
    names, numbered = tuple(nodes), tuple(nodes.values())
    number = {name: i for i, name in enumerate(names)}
    into = [edges_into[name] for name in names]
    source = np.array([number[u] for parents in into for u in parents], dtype=np.intp)
    if declared is None:
        is_sink = np.array([node.n > 0 for node in numbered], dtype=bool)
        is_sink[source] = False
        heads = default_heads([names[v] for v in np.flatnonzero(is_sink).tolist()], nodes)
    else:
        heads = declared
    return lay_out_numbered(
        names,
        numbered,
        source,
        np.array([len(parents) for parents in into], dtype=np.intp),
        joined([block for parents in into for block in parents.values()]),
        joined([node.bias for node in numbered if node.bias is not None]),
        np.array([number[name] for name in order], dtype=np.intp),
        size,
        parameters=dict(parameters),
        heads=heads,
        outputs_declared=declared is not None,
    )


class Joined(NamedTuple):
    """The entries of arrays, each flattened in C order, one behind the other, and how many each array has."""

    entries: list[int]
    sizes: list[int]


def joined(arrays: Sequence[Array]) -> Joined:
    try:  # between scalars, as nearly all are: numpy takes its time to join thousands of arrays
        entries = [array.item() for array in arrays]
    except ValueError:
        return Joined(np.concatenate(arrays, axis=None).tolist(), [array.size for array in arrays])
    return Joined(entries, [1] * len(entries))


def lay_out_numbered(
    names: Sequence[Name],
    nodes: Sequence[Node],
    source: Array,
    fan_in: Array,
    weights: Joined,
    biases: Joined,
    order: Array,
    size: int,
    *,
    shift: Array | None = None,
    parameters: Mapping[Name, Array],
    heads: Heads,
    outputs_declared: bool,
) -> Layout:
    """The same of nodes by number: of each the count of its edges, whose sources and weights stand one after the other.

    `biases` are those of the nodes that have some. `shift`, of each node, is added to the positions of both.
    """
    a_start = np.concatenate(([0], np.cumsum([node.n for node in nodes], dtype=np.intp)))
    o_start = np.concatenate(([0], np.cumsum([node.m for node in nodes], dtype=np.intp)))
    target = np.repeat(np.arange(len(nodes)), fan_in)
    # the absent entries are dropped
    position, edge, within = _present_entries(weights)
    bias_position, biased, component = _present_entries(biases)
    with_bias = np.array([v for v, node in enumerate(nodes) if node.bias is not None], dtype=np.intp)
    width = np.diff(o_start)[source[edge]]
    if shift is not None:
        position, bias_position = position + shift[target[edge]], bias_position + shift[with_bias[biased]]
    return Layout(
        names=names,
        nodes=nodes,
        order=order,
        a_start=a_start,
        o_start=o_start,
        edge_source=source,
        edge_target=target,
        edge_start=np.concatenate(([0], np.cumsum(np.bincount(edge, minlength=len(source))))),
        row=a_start[target[edge]] + within // width,
        column=o_start[source[edge]] + within % width,
        position=position,
        bias_row=a_start[with_bias[biased]] + component,
        bias_position=bias_position,
        size=size,
        parameters=parameters,
        heads=heads,
        outputs_declared=outputs_declared,
    )


def _present_entries(arrays: Joined) -> tuple[Array, Array, Array]:
    """The entries of all arrays that are there, that is from 0 on; of each, in which array and where in it."""
    flat, sizes = (np.array(numbers, dtype=np.intp) for numbers in arrays)
    which = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(flat)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    present = flat >= 0
    return flat[present], which[present], within[present]


def default_heads(names: Iterable[Name], nodes: Mapping[Name, Node]) -> Heads:
    """What a loss reads of these nodes: each vector node is a head, all scalar ones together are one.

    A reducing node gives one number, so it counts as a scalar here although its sensitivity is a vector.
    """
    heads: list[list[Name]] = []
    scalars: list[Name] = []
    for name in names:
        if nodes[name].listed:
            heads.append([name])
            continue
        if not scalars:
            heads.append(scalars)
        scalars.append(name)
    return tuple(tuple(head) for head in heads)
