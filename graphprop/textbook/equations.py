"""One sample of a network with its numbers put in, node by node: what the equations of the recursion read.

Nodes go by number here; a list by node holds a list by component.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphprop.errors import LimitError
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.graph.layout import Array, Layout
from graphprop.passes.finiteness import check_slopes, pull_of_node

Vector = list[Any]
Row = list[tuple[int, int, Any]]  # of a[v][i]: (u, k, w) for each weight w that carries o[u][k] to it


@dataclass
class Equations:
    """The forward rule with the parameters put in."""

    layout: Layout
    numbers: Floats | Formulas
    order: list[int]  # parents before children
    bias: list[list[Vector]]  # of a[v][i]: its bias in a list, which is empty if there is none
    rows: list[list[Row]]


@dataclass
class Sample:
    """The values of one forward pass; an input has a = o."""

    equations: Equations
    a: list[Vector]
    o: list[Vector]
    number: int | None = None  # which it is of several

    def pull(self, v: int, g: Vector) -> Vector:
        """g L[v]"""
        equations = self.equations
        layout, numbers = equations.layout, equations.numbers
        f = layout.nodes[v].activation
        return g if f is None else pull_of_node(layout, v, f, numbers, self.a[v], self.o[v], g, self.number)

    def jacobian(self, v: int) -> list[Vector]:
        """L[v], a row for each output: the unit vectors times it."""
        layout, numbers, m = self.equations.layout, self.equations.numbers, len(self.o[v])
        rows = [self.pull(v, [numbers.number(int(k == j)) for j in range(m)]) for k in range(m)]
        if numbers.dtype is float:
            check_slopes(layout, v, rows, self.number)
        return rows


def write_equations(layout: Layout, theta: Array, numbers: Floats | Formulas) -> Equations:
    """The rows of every node, from the layout's flat arrays."""
    n = int(layout.a_start[-1])
    flat_rows: list[Row] = [[] for _ in range(n)]
    source = layout.node_of_column[layout.column]
    uses = (layout.row, source, layout.column - layout.o_start[source], theta[layout.position])
    for row, u, k, w in zip(*(part.tolist() for part in uses), strict=True):
        flat_rows[row].append((u, k, w))
    flat_bias: list[Vector] = [[] for _ in range(n)]
    for row, b in zip(layout.bias_row.tolist(), theta[layout.bias_position].tolist(), strict=True):
        flat_bias[row].append(b)
    order: list[int] = layout.order.tolist()
    return Equations(layout, numbers, order, cut(flat_bias, layout.a_start), cut(flat_rows, layout.a_start))


def read_sample(equations: Equations, a_flat: Array, o_flat: Array, number: int | None = None) -> Sample:
    """The values of one sample of a trace."""
    layout = equations.layout
    a, o = cut(a_flat.tolist(), layout.a_start), cut(o_flat.tolist(), layout.o_start)
    return Sample(equations, [o[v] if node.is_input else a[v] for v, node in enumerate(layout.nodes)], o, number)


def cut(flat: list[Any], start: Array) -> list[list[Any]]:
    """A flat list by node."""
    return [flat[i:j] for i, j in zip(start[:-1].tolist(), start[1:].tolist(), strict=True)]


def check_calls(layout: Layout, sources: list[int], reads: Iterable[int], form: str, limit: int) -> None:
    """Count the calls of form (a) or (c) before any is made, as integers without limit, and refuse too many."""
    region = layout.between(sources, reads)
    if form == "parents":
        calls = len(sources) * len(region)
    else:
        walks = dict.fromkeys(region, 0)  # how many paths lead from a node to the objective
        for t in reads:
            if t in walks:
                walks[t] += 1
        for v in reversed(region):
            for u in layout.parents[v]:
                if u in walks:
                    walks[u] += walks[v]
        calls = sum(walks.values())
    if calls > limit:
        amount = f"{calls}" if calls < 10**15 else f"about 2^{calls.bit_length() - 1}"
        raise LimitError(
            f"form {form!r} would take {amount} calls, more than the limit of {limit}; ask for some nodes with of=, "
            "raise limit=, or use form='children'"
        )
