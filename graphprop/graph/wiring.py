"""Who reads whom: the arrays that a layout consists of, and what is asked of them, by number.

A row is a place in the flat vector `a` of all pre-activations, a column one in the flat vector `o` of all outputs, a
position one in `theta`. A use of a weight leads from a column to a row, a use of a bias to a row. Names, activations
and the values of parameters are not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.given.arrays import Array, cut_into_matrices


@dataclass(frozen=True, eq=False, repr=False)
class Wiring:
    """Nodes are numbered in the order in which they were created. All arrays are read-only."""

    order: Array  # node numbers, parents before children
    a_start: Array  # node number v has the pre-activations a[a_start[v] : a_start[v + 1]]; an input has none
    o_start: Array
    edge_source: Array  # node numbers; edges into one node stand together, in the order they were made
    edge_target: Array
    edge_start: Array  # edge e has the weight uses edge_start[e] : edge_start[e + 1]
    row: Array  # of each weight use
    column: Array
    position: Array
    bias_row: Array  # of each bias use
    bias_position: Array
    size: int  # of theta

    def __post_init__(self) -> None:
        for entry in vars(self).values():
            if isinstance(entry, np.ndarray):
                frozen(entry)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    # ------------------------------------------------------------------ nodes and their numbers

    def a_slice(self, v: int) -> slice:
        return slice(int(self.a_start[v]), int(self.a_start[v + 1]))

    def o_slice(self, v: int) -> slice:
        return slice(int(self.o_start[v]), int(self.o_start[v + 1]))

    def row_of(self, v: int, i: int = 0) -> int:
        """The row of a[v][i]."""
        return int(self.a_start[v]) + i

    def column_of(self, v: int, k: int = 0) -> int:
        """The column of o[v][k]."""
        return int(self.o_start[v]) + k

    @cached_property
    def node_of_row(self) -> Array:
        """Of each row its node."""
        return frozen(np.repeat(np.arange(len(self.order)), np.diff(self.a_start)))

    @cached_property
    def node_of_column(self) -> Array:
        """Of each column its node."""
        return frozen(np.repeat(np.arange(len(self.order)), np.diff(self.o_start)))

    def at_row(self, row: int) -> tuple[int, int]:
        """The node of a row, and which of its components it is."""
        v = int(self.node_of_row[row])
        return v, row - int(self.a_start[v])

    def at_column(self, column: int) -> tuple[int, int]:
        """The node of a column, and which of its components it is."""
        v = int(self.node_of_column[column])
        return v, column - int(self.o_start[v])

    def rows_of(self, nodes: Iterable[int]) -> Array:
        """All rows of some nodes, one behind the other."""
        return _joined(self.a_start, nodes)

    def columns_of(self, nodes: Iterable[int]) -> Array:
        """All columns of some nodes, one behind the other."""
        return _joined(self.o_start, nodes)

    @cached_property
    def input_columns(self) -> Array:
        """The columns of all inputs, in order."""
        return np.flatnonzero(np.repeat(np.diff(self.a_start) == 0, np.diff(self.o_start)))

    # ------------------------------------------------------------------ uses

    @cached_property
    def edge_of_use(self) -> Array:
        """Of each weight use its edge."""
        return frozen(np.repeat(np.arange(len(self.edge_source)), np.diff(self.edge_start)))

    def edge_slice(self, e: int) -> slice:
        """The weight uses of an edge."""
        return slice(int(self.edge_start[e]), int(self.edge_start[e + 1]))

    def node_slice(self, v: int) -> slice:
        """The weight uses that lead into a node; they stand together, as its edges do."""
        edges = np.searchsorted(self.edge_target, (v, v + 1))
        first, last = self.edge_start[edges].tolist()
        return slice(first, last)

    def uses_into(self, row: int) -> list[int]:
        """The weight uses that lead to a row."""
        return _of_place(self._by_row, row)

    def uses_of_column(self, column: int) -> list[int]:
        """The weight uses that lead from a column."""
        return _of_place(self._by_column, column)

    def bias_slice(self, v: int) -> slice:
        """The bias uses of a node."""
        first, last = np.searchsorted(self.bias_row, self.a_start[v : v + 2]).tolist()
        return slice(first, last)

    def bias_into(self, row: int) -> int | None:
        """The bias use that leads to a row, if there is one."""
        use = int(np.searchsorted(self.bias_row, row))
        return use if use < len(self.bias_row) and self.bias_row[use] == row else None

    def uses_of_position(self, position: int) -> tuple[list[int], list[int]]:
        """The weight uses and the bias uses of a number of theta."""
        weights, biases = (np.flatnonzero(x == position) for x in (self.position, self.bias_position))
        return weights.tolist(), biases.tolist()

    @cached_property
    def count_of_uses(self) -> Array:
        """Of each position, by how many weights and biases together it is used."""
        counts = np.bincount(self.position, minlength=self.size)
        return frozen(counts + np.bincount(self.bias_position, minlength=self.size))

    @cached_property
    def ties(self) -> tuple[tuple[int, Array], ...]:
        """The positions that are used more than once, each with its uses: those of weights, then those of biases."""
        positions = np.concatenate((self.position, self.bias_position))
        order = np.argsort(positions, kind="stable")
        used, first, count = np.unique(positions[order], return_index=True, return_counts=True)
        tied = (array[count > 1].tolist() for array in (used, first, count))
        return tuple((position, order[i : i + k]) for position, i, k in zip(*tied, strict=True))

    @cached_property
    def fan_in(self) -> Array:
        """Of each row, how many weights lead to it."""
        return frozen(np.bincount(self.row, minlength=int(self.a_start[-1])))

    @cached_property
    def fan_out(self) -> Array:
        """Of each column, how many weights read it."""
        return frozen(np.bincount(self.column, minlength=int(self.o_start[-1])))

    def sum_of_uses(self, weights: Array, biases: Array) -> Array:
        """Of each position the sum of the numbers of its uses."""
        total = np.zeros(self.size)
        np.add.at(total, self.position, weights)
        np.add.at(total, self.bias_position, biases)
        return total

    @cached_property
    def _by_row(self) -> tuple[Array, Array]:
        return _grouped(self.row, self.fan_in)

    @cached_property
    def _by_column(self) -> tuple[Array, Array]:
        return _grouped(self.column, self.fan_out)

    # ------------------------------------------------------------------ matrices of uses

    def edge_shape(self, e: int) -> tuple[int, int]:
        a, o = self.a_slice(int(self.edge_target[e])), self.o_slice(int(self.edge_source[e]))
        return a.stop - a.start, o.stop - o.start

    def scatter_edge(self, e: int, entries: Array, absent: float = np.nan) -> Array:
        """Numbers of the weight uses of one edge, as a matrix with `absent` where there is no entry."""
        uses = self.edge_slice(e)
        matrix = np.full(self.edge_shape(e), absent, dtype=entries.dtype)
        rows = self.row[uses] - self.a_start[self.edge_target[e]]
        matrix[rows, self.column[uses] - self.o_start[self.edge_source[e]]] = entries[uses]
        return matrix

    def scatter_edges(self, entries: Array, absent: float = np.nan) -> list[Array]:
        """The matrices of `scatter_edge`, of all edges in order."""
        n, m = np.diff(self.a_start)[self.edge_target], np.diff(self.o_start)[self.edge_source]
        first = np.cumsum(n * m) - n * m  # where each begins, if they stand one behind the other
        edge = self.edge_of_use
        row = self.row - self.a_start[self.edge_target][edge]
        column = self.column - self.o_start[self.edge_source][edge]
        flat = np.full((n * m).sum(), absent, dtype=entries.dtype)
        flat[first[edge] + row * m[edge] + column] = entries
        return cut_into_matrices(flat, n, m)

    def scatter_bias(self, v: int, entries: Array, absent: float = np.nan) -> Array:
        """Numbers of the bias uses of one node, with `absent` where there is no bias."""
        rows, uses = self.a_slice(v), self.bias_slice(v)
        result = np.full(rows.stop - rows.start, absent, dtype=entries.dtype)
        result[self.bias_row[uses] - rows.start] = entries[uses]
        return result

    # ------------------------------------------------------------------ who reads whom

    @cached_property
    def parents(self) -> list[list[int]]:
        """Of each node number, the numbers of its parents."""
        result: list[list[int]] = [[] for _ in range(len(self.order))]
        for u, v in zip(self.edge_source.tolist(), self.edge_target.tolist(), strict=True):
            result[v].append(u)
        return result

    @cached_property
    def edges_from(self) -> list[list[int]]:
        """Of each node number, the edges to its children."""
        result: list[list[int]] = [[] for _ in range(len(self.order))]
        for e, u in enumerate(self.edge_source.tolist()):
            result[u].append(e)
        return result

    @cached_property
    def children(self) -> list[list[int]]:
        """Of each node number, the numbers of its children."""
        target = self.edge_target.tolist()
        return [[target[e] for e in edges] for edges in self.edges_from]

    @cached_property
    def level(self) -> Array:
        """The level of each node: 0 for an input, else one more than the highest of its parents."""
        level = [0] * len(self.order)
        for v in self.order.tolist():
            level[v] = 1 + max((level[u] for u in self.parents[v]), default=-1)
        return frozen(np.array(level, dtype=np.intp))

    def ancestors(self, nodes: Iterable[int]) -> set[int]:
        """The nodes that some depend on, these too."""
        return _reached(nodes, self.parents)

    def descendants(self, nodes: Iterable[int]) -> set[int]:
        """The nodes that depend on some, these too."""
        return _reached(nodes, self.children)

    def between(self, sources: Iterable[int], targets: Iterable[int]) -> list[int]:
        """The nodes on paths from the sources to the targets, parents first."""
        both = self.descendants(sources) & self.ancestors(targets)
        return [v for v in self.order.tolist() if v in both]


def frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _joined(start: Array, nodes: Iterable[int]) -> Array:
    members = np.asarray(list(nodes), dtype=np.intp)
    first = start[members]
    counts = start[members + 1] - first
    places: Array = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return places


def _grouped(places: Array, counts: Array) -> tuple[Array, Array]:
    """The uses by place, in order: those of place p are ``order[start[p] : start[p + 1]]``."""
    return np.argsort(places, kind="stable"), np.concatenate(([0], np.cumsum(counts)))


def _of_place(grouped: tuple[Array, Array], place: int) -> list[int]:
    order, start = grouped
    uses: list[int] = order[start[place] : start[place + 1]].tolist()
    return uses


def _reached(nodes: Iterable[int], onward: list[list[int]]) -> set[int]:
    found = set(nodes)
    todo = list(found)
    while todo:
        new = set(onward[todo.pop()]) - found
        found |= new
        todo += new
    return found
