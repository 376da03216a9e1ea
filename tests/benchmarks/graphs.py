"""Graphs as arrays of edges, random or regular, and the same graphs level by level; no peer is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """A DAG whose first nodes are its inputs, each edge from a smaller number to a larger one.

    The weight of edge e is theta[weight_at[e]], the bias of node inputs + i is theta[bias_at[i]].
    """

    inputs: int
    source: Array
    target: Array
    kinds: tuple[str, ...]
    kind: Array  # of each node that is no input, which of `kinds` it computes
    weight_at: Array
    bias_at: Array

    @property
    def nodes(self) -> int:
        return self.inputs + len(self.kind)

    @property
    def edges(self) -> int:
        return len(self.source)

    @property
    def parameters(self) -> int:
        return self.edges + len(self.kind)

    @cached_property
    def activations(self) -> list[str]:
        """Of each node that is no input."""
        return [self.kinds[i] for i in self.kind.tolist()]

    @cached_property
    def sinks(self) -> Array:
        return np.setdiff1d(np.arange(self.inputs, self.nodes), self.source)

    @cached_property
    def level(self) -> Array:
        """Of each node, the length of the longest path to it."""
        by_target = np.argsort(self.target, kind="stable")
        level = [0] * self.nodes
        for u, v in zip(self.source[by_target].tolist(), self.target[by_target].tolist(), strict=True):
            level[v] = max(level[v], level[u] + 1)
        return np.array(level)

    @cached_property
    def levels(self) -> Levels:
        return Levels.of(self)

    def draw_theta(self, seed: int) -> Array:
        """Weights of variance 1 / fan-in, and small biases."""
        random = np.random.default_rng(seed)
        fan_in = np.bincount(self.target, minlength=self.nodes)
        theta = np.empty(self.parameters)
        theta[self.weight_at] = random.standard_normal(self.edges) / np.sqrt(fan_in[self.target])
        theta[self.bias_at] = 0.1 * random.standard_normal(len(self.kind))
        return theta


def _graph(inputs: int, source: Array, target: Array, kinds: Sequence[str], kind: Array) -> Graph:
    count = len(source)
    return Graph(inputs, source, target, tuple(kinds), kind, np.arange(count), count + np.arange(len(kind)))


def random_graph(inputs: int, nodes: int, edges: int, kinds: Sequence[str] = ("tanh",), seed: int = 0) -> Graph:
    """Every node that is no input has a parent; all other edges join any two nodes. They come node by node."""
    random = np.random.default_rng(seed)
    own = np.arange(inputs, nodes)
    key = own * nodes + (random.random(len(own)) * own).astype(np.int64)
    while len(key) < edges:
        target = random.integers(inputs, nodes, edges - len(key))
        key = np.unique(np.concatenate((key, target * nodes + (random.random(len(target)) * target).astype(np.int64))))
    return _graph(inputs, key % nodes, key // nodes, kinds, random.integers(0, len(kinds), nodes - inputs))


def chain(length: int) -> Graph:
    """Node t reads t - 1 and t - 5."""
    node = np.arange(1, length)
    near, far = node, node[4:]
    key = np.sort(np.concatenate((near * length + near - 1, far * length + far - 5)))
    return _graph(1, key % length, key // length, ("tanh",), np.zeros(length - 1, dtype=np.int64))


def side_by_side(graphs: Sequence[Graph]) -> Graph:
    """The disjoint union; the inputs of all graphs come first, their thetas one behind the other."""
    inputs = sum(graph.inputs for graph in graphs)
    sources, targets, weights, biases = [], [], [], []
    input_first, first, parameter = 0, inputs, 0
    for graph in graphs:
        number = np.concatenate((input_first + np.arange(graph.inputs), first + np.arange(len(graph.kind))))
        sources.append(number[graph.source])
        targets.append(number[graph.target])
        weights.append(parameter + graph.weight_at)
        biases.append(parameter + graph.bias_at)
        input_first += graph.inputs
        first += len(graph.kind)
        parameter += graph.parameters
    kind = np.concatenate([graph.kind for graph in graphs])
    arrays = [np.concatenate(parts) for parts in (sources, targets, weights, biases)]
    return Graph(inputs, arrays[0], arrays[1], graphs[0].kinds, kind, arrays[2], arrays[3])


@dataclass(frozen=True, eq=False)
class Step:
    """The nodes first : last, all of one level, in the numbering of `Levels`.

    Edge e leads from source[e] to first + row[e], sorted by row. `parents` and `parents_at` are the same as matrices
    with a row for each node, padded with source 0 and the position behind the last of theta.
    """

    first: int
    last: int
    source: Array
    row: Array
    weight_at: Array
    bias_at: Array
    spans: tuple[tuple[str, int, int], ...]  # activation, and which rows it is applied to
    parents: Array
    parents_at: Array

    @property
    def size(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, eq=False)
class Levels:
    """A graph renumbered level by level, the nodes of one activation next to each other."""

    steps: tuple[Step, ...]
    sinks: Array

    @classmethod
    def of(cls, graph: Graph) -> Levels:
        kind = np.concatenate((np.full(graph.inputs, -1), graph.kind))
        order = np.lexsort((kind, graph.level))
        number = np.argsort(order)
        if not np.array_equal(order[: graph.inputs], np.arange(graph.inputs)):
            raise ValueError("a node that is no input has no parent")
        source, target = number[graph.source], number[graph.target]
        by_target = np.argsort(target, kind="stable")
        source, target, weight_at = source[by_target], target[by_target], graph.weight_at[by_target]
        level = graph.level[order]
        bounds = np.flatnonzero(np.diff(level, append=-1)) + 1
        steps = []
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            edges = slice(*np.searchsorted(target, (first, last)).tolist())
            row = target[edges] - first
            fan_in = np.bincount(row, minlength=last - first)
            slot = np.arange(len(row)) - np.repeat(np.cumsum(fan_in) - fan_in, fan_in)
            parents = np.zeros((last - first, fan_in.max()), dtype=np.int64)
            parents_at = np.full(parents.shape, graph.parameters)
            parents[row, slot], parents_at[row, slot] = source[edges], weight_at[edges]
            kinds = kind[order[first:last]]
            ends = [0, *(np.flatnonzero(np.diff(kinds, append=-1)) + 1).tolist()]
            spans = tuple((graph.kinds[kinds[i]], i, j) for i, j in pairwise(ends))
            bias_at = graph.bias_at[order[first:last] - graph.inputs]
            steps.append(Step(first, last, source[edges], row, weight_at[edges], bias_at, spans, parents, parents_at))
        return cls(tuple(steps), number[graph.sinks])

    @cached_property
    def joined(self) -> tuple[Array, Array]:
        """The positions in theta of all weights and of all biases, level by level."""
        weights, biases = zip(*((step.weight_at, step.bias_at) for step in self.steps), strict=True)
        return np.concatenate(weights), np.concatenate(biases)
