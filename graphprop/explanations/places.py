"""Where everything of a layout is, the node of a row and the uses that lead to it; and the symbols for it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from graphprop.graph.layout import Array, Layout, Node
from graphprop.notation.escaping import label
from graphprop.notation.expressions import Derivative, Symbol


def grouped(places: Array, size: int) -> tuple[Array, Array]:
    """The indices that hold each place, in order: those of place p are ``order[start[p] : start[p + 1]]``."""
    start = np.concatenate(([0], np.cumsum(np.bincount(places, minlength=size))))
    return np.argsort(places, kind="stable"), start


class Places:
    """The rows, columns and uses of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @cached_property
    def into(self) -> tuple[Array, Array]:
        return grouped(self.layout.row, int(self.layout.a_start[-1]))

    @cached_property
    def out_of(self) -> tuple[Array, Array]:
        return grouped(self.layout.column, int(self.layout.o_start[-1]))

    def uses_into(self, row: int) -> list[int]:
        order, start = self.into
        uses: list[int] = order[start[row] : start[row + 1]].tolist()
        return uses

    def uses_of(self, column: int) -> list[int]:
        order, start = self.out_of
        uses: list[int] = order[start[column] : start[column + 1]].tolist()
        return uses

    def at_row(self, row: int) -> tuple[int, int]:
        v = int(np.searchsorted(self.layout.a_start, row, side="right")) - 1
        return v, row - int(self.layout.a_start[v])

    def at_column(self, column: int) -> tuple[int, int]:
        v = int(np.searchsorted(self.layout.o_start, column, side="right")) - 1
        return v, column - int(self.layout.o_start[v])

    def row_of(self, v: int, i: int = 0) -> int:
        return int(self.layout.a_start[v]) + i

    def column_of(self, v: int, k: int = 0) -> int:
        return int(self.layout.o_start[v]) + k

    def node(self, v: int) -> Node:
        node: Node = self.layout.nodes[v]
        return node


class Symbols(Places):
    """How the quantities of a layout are written; `labelled` puts the sample into the symbols."""

    def __init__(self, layout: Layout, labelled: bool) -> None:
        super().__init__(layout)
        self.labelled = labelled
        self.output: int | None = None  # the column that is differentiated, if it is one output

    def _marked(self, s: int | None) -> int | None:
        return s if self.labelled else None

    def _symbol(self, letter: str, v: int, component: int, length: int, s: int | None) -> Symbol:
        index = (component,) if length > 1 else ()
        return Symbol(letter, (label(self.layout.names[v]), *index), sample=self._marked(s))

    def _a_symbol(self, letter: str, s: int, row: int) -> Symbol:
        v, i = self.at_row(row)
        return self._symbol(letter, v, i, self.node(v).n, s)

    def _o_symbol(self, letter: str, s: int | None, column: int) -> Symbol:
        v, k = self.at_column(column)
        return self._symbol(letter, v, k, self.node(v).m, s)

    def goal_symbol(self) -> Symbol:
        """What is differentiated: the output of a node, or J."""
        if self.output is not None and not self.labelled:
            return self._o_symbol("o", None, self.output)
        return Symbol("J")

    def by_goal(self, by: Symbol, s: int | None = None) -> Derivative:
        return Derivative(self.goal_symbol(), by)

    def weight_symbol(self, use: int) -> Symbol:
        (v, i), (u, k) = self.at_row(int(self.layout.row[use])), self.at_column(int(self.layout.column[use]))
        source = label(self.layout.names[u])
        to = (i,) if self.node(v).n > 1 else ()
        of = (source, k) if self.node(u).m > 1 else source
        return Symbol("w", round=(*to, of, label(self.layout.names[v])))
