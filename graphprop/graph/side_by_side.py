"""Many graphs as one layout, side by side: numbered one behind the other, each with inputs of its own.

Names play no part in it, so that thousands of graphs are laid out at once. Which inputs are the same is said besides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.functions.activation import Activation
from graphprop.graph.layout import Array, Heads, Joined, Layout, Name, Node, joined, lay_out_numbered
from graphprop.graph.structure import Structure, read_whole


class Output(NamedTuple):
    """A node of a head, as far as it matters for what a loss reads."""

    name: Name
    activation: Activation | None
    m: int
    vector: bool


class Outputs(NamedTuple):
    """What a loss reads of a graph."""

    heads: tuple[tuple[Output, ...], ...]
    declared: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class SideBySide:
    """The graphs that were laid out, by number.

    Attributes
    ----------
    layout : Layout
        Its nodes are named by number.
    first_node, first_position, first_head : array
        Where each graph begins, and the last one ends.
    outputs : list
        Of each graph; equal ones are the same object.
    marks : list
        Of each graph that of the state in which it was read; see `mark_of`.
    inputs : dict
        Those of all graphs, each once, in the order in which they come.
    input_column : array
        Of each column of the layout that is one of an input, its column among those of `inputs`.
    """

    layout: Layout
    first_node: Array
    first_position: Array
    first_head: Array
    outputs: list[Outputs]
    marks: list[object]
    inputs: Mapping[Name, Node]
    input_column: Array

    def __len__(self) -> int:
        return len(self.marks)

    def input_columns_of(self, graph: int) -> Array:
        """Which columns of the inputs of all a graph has, in its own order."""
        columns = self.layout.o_start[self.first_node[graph : graph + 2]]
        first, last = np.searchsorted(self.layout.input_columns, columns).tolist()
        found: Array = self.input_column[first:last]
        return found


@dataclass
class _Lists:
    """What is read of all graphs, one behind the other; few objects are made for each, as Python looks at them all."""

    nodes: list[Node] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    fan_in: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    weight_sizes: list[int] = field(default_factory=list)
    biases: list[int] = field(default_factory=list)
    bias_sizes: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    heads: list[tuple[int, ...]] = field(default_factory=list)


def lay_out_side_by_side(graphs: Mapping[Any, Structure]) -> SideBySide:
    """Graphs by the names that they have in errors, one behind the other."""
    lists, starts = _Lists(), [(0, 0, 0)]  # of nodes, theta and heads
    shared, outputs, marks = _SharedInputs(), [], []
    known: dict[Outputs, Outputs] = {}
    shifts = []

    def read(
        nodes: Mapping[Name, Node], into: Mapping[Name, Mapping[Name, Array]], order: Iterable[Name], *rest: Any
    ) -> tuple[Any, ...]:
        number = dict(zip(nodes, itertools.count(starts[-1][0])))
        parents = [into[name] for name in nodes]
        heads: Heads = rest[0]
        return (
            list(nodes.values()),
            [number[u] for own in parents for u in own],
            list(map(len, parents)),
            *joined([block for own in parents for block in own.values()]),
            *joined([node.bias for node in nodes.values() if node.bias is not None]),
            [number[name] for name in order],
            [tuple([number[name] for name in head]) for head in heads],
            [(name, node) for name, node in nodes.items() if node.activation is None],
            Outputs(tuple([tuple([_output(name, nodes[name]) for name in head]) for head in heads]), rest[1]),
            rest[2],
        )

    for key, graph in graphs.items():
        (*parts, inputs, own_outputs, size), mark = read_whole(graph, read)
        for one, more in zip(vars(lists).values(), parts, strict=True):
            one += more
        shared.add(key, inputs)
        outputs.append(known.setdefault(own_outputs, own_outputs))
        marks.append(mark)
        shifts += [starts[-1][1]] * len(parts[0])
        starts.append((len(lists.nodes), starts[-1][1] + size, len(lists.heads)))
    first_node, first_position, first_head = np.array(starts, dtype=np.intp).T
    layout = lay_out_numbered(
        range(len(lists.nodes)),
        lists.nodes,
        np.array(lists.source, dtype=np.intp),
        np.array(lists.fan_in, dtype=np.intp),
        Joined(lists.weights, lists.weight_sizes),
        Joined(lists.biases, lists.bias_sizes),
        np.array(lists.order, dtype=np.intp),
        int(first_position[-1]),
        shift=np.array(shifts, dtype=np.intp),
        parameters={},
        heads=tuple(lists.heads),
        outputs_declared=True,
    )
    return SideBySide(
        layout=layout,
        first_node=first_node,
        first_position=first_position,
        first_head=first_head,
        outputs=outputs,
        marks=marks,
        inputs=shared.nodes,
        input_column=np.array(shared.columns, dtype=np.intp),
    )


def _output(name: Name, node: Node) -> Output:
    return Output(name, node.activation, node.m, node.vector)


class _SharedInputs:
    """The inputs of all graphs, each once, and which columns each input of each graph has among theirs."""

    def __init__(self) -> None:
        self.nodes: dict[Name, Node] = {}
        self.columns: list[int] = []
        self._first: dict[Name, int] = {}
        self._width = 0

    def add(self, key: Any, inputs: list[tuple[Name, Node]]) -> None:
        for name, node in inputs:
            other = self.nodes.setdefault(name, node)
            if name not in self._first:
                self._first[name], self._width = self._width, self._width + node.m
            elif (other.m, other.vector) != (node.m, node.vector):
                told = f"{node.m} components, another's {other.m}"
                if node.m == other.m:
                    told = "one component, and whether it is a vector differs from another's"
                raise GraphpropError(f"member {key!r}: its input {name!r} has {told}; inputs of one name are shared")
            self.columns += range(self._first[name], self._first[name] + node.m)
